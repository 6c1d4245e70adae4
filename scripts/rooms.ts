/**
 * Who may import whom: the table of rooms and the check of one file against it. A script and not lint rules, since
 * these know folders only as path patterns per file depth, and do not look at dynamic imports.
 */

/** What a room may import beside itself. `a/*` means each room whose name begins so. Everyone may import {@link open}. */
export const rooms: Readonly<Record<string, readonly string[]>> = {
  core: [],
  metrics: [],
  'providers/contract': [],
  config: [],
  podspec: [],
  host: [],
  streaming: [],
  kube: [],
  node: ['kube'],
  pods: ['kube', 'podspec'],
  server: ['kube', 'streaming'],
  engine: ['podspec', 'host'],
  'providers/*': ['podspec', 'host', 'streaming'],
  'providers/registry': ['providers/*'],
  housekeeping: [],
  devcluster: ['host', 'streaming'],
  testing: [],
  index: [],
  daemon: [
    'config',
    'kube',
    'node',
    'pods',
    'podspec',
    'host',
    'streaming',
    'server',
    'engine',
    'housekeeping',
    'providers/registry',
  ],
  // `dev` is a client too: its demo, and a stand-in for a scheduler.
  cli: ['config', 'daemon', 'devcluster', 'providers/registry', 'kube', 'streaming'],
  main: ['cli'],
};

const open = ['core', 'metrics', 'providers/contract'];
/** Below the rooms that all may import there is nothing: `core` knows only itself. */
const opensNothing = ['core'];

interface PackageRule {
  readonly packages: RegExp;
  readonly where: RegExp;
  readonly says: string;
  readonly typesAreFree?: boolean;
}

/** Packages that only some files may import. */
const packageRules: readonly PackageRule[] = [
  {
    packages: /^@kubernetes\/client-node(\/|$)/,
    where: /^src\/kube\/credential-plugin\.ts$/,
    says: 'values of @kubernetes/client-node come by import() in kube/credential-plugin.ts (55 MB)',
    typesAreFree: true,
  },
  { packages: /^express$/, where: /^src\/(server|devcluster)\//, says: 'express belongs to server/ and devcluster/' },
  { packages: /^winston(\/|$)/, where: /^src\/cli\/logger\.ts$/, says: 'winston belongs to cli/logger.ts' },
  { packages: /^node-cron$/, where: /^src\/housekeeping\//, says: 'node-cron belongs to housekeeping/' },
  { packages: /^(node:)?child_process$/, where: /^src\/host\//, says: 'node:child_process belongs to host/' },
];

/** Files that are the first of a process: only they touch its arguments, environment, end and signals. */
const processEntries = /^src\/(main|.*\/shim-main|.*\/shim\/main)\.ts$/;
const processMembers = /\bprocess\.(argv|env|exit|exitCode|on|once|abort)\b/;

/** One import as it is written. */
interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly dynamic: boolean;
}

/** The imports of a TypeScript source. Comments are left out. */
export function importsOf(source: string): Import[] {
  const code = withoutComments(source);
  const found: Import[] = [];
  for (const m of code.matchAll(/^(?:import|export)\s+(type\s)?[^'";]*?\bfrom\s+['"]([^'"]+)['"]/gm)) {
    found.push({ specifier: m[2] ?? '', typeOnly: m[1] !== undefined, dynamic: false });
  }
  for (const m of code.matchAll(/^import\s+['"]([^'"]+)['"]/gm)) {
    found.push({ specifier: m[1] ?? '', typeOnly: false, dynamic: false });
  }
  for (const m of code.matchAll(/(typeof\s+)?\bimport\(\s*['"]([^'"]+)['"]/g)) {
    found.push({ specifier: m[2] ?? '', typeOnly: m[1] !== undefined, dynamic: true });
  }
  return found;
}

/** The room of a file under `src/`, by its path from the checkout's root. */
export function roomOf(path: string): string {
  const [, first = '', second = ''] = path.split('/');
  return first === 'providers' ? `providers/${bare(second)}` : bare(first);
}

/** What is wrong with the imports of one file; a line each. */
export function violations(path: string, source: string): string[] {
  const room = roomOf(path);
  const allowed = rooms[room] ?? (room.startsWith('providers/') ? rooms['providers/*'] : undefined);
  if (allowed === undefined) return [`${path}: ${room} is no room of scripts/rooms.ts`];
  const said: string[] = [];
  for (const { specifier, typeOnly, dynamic } of importsOf(source)) {
    if (specifier.startsWith('.')) {
      const target = roomOf(new URL(specifier, `file:///${path}`).pathname.slice(1));
      if (target !== room && !mayImport(room, allowed, target))
        said.push(`${path}: ${room} may not import ${target} (${specifier})`);
      continue;
    }
    const rule = packageRules.find(({ packages }) => packages.test(specifier));
    if (rule === undefined || (typeOnly && rule.typesAreFree === true)) continue;
    if (!rule.where.test(path) || (rule.typesAreFree === true && !dynamic)) said.push(`${path}: ${rule.says}`);
  }
  const member = processMembers.exec(withoutComments(source));
  if (member !== null && !processEntries.test(path)) said.push(`${path}: ${member[0]} belongs to src/main.ts`);
  return said;
}

function mayImport(room: string, allowed: readonly string[], target: string): boolean {
  if (open.includes(target)) return !opensNothing.includes(room);
  return allowed.some((name) => name === target || (name.endsWith('/*') && target.startsWith(name.slice(0, -1))));
}

function bare(name: string): string {
  return name.replace(/\.[jt]s$/, '');
}

function withoutComments(source: string): string {
  return source.replace(/^\s*\/\*[\s\S]*?\*\//gm, '').replace(/^\s*\/\/.*$/gm, '');
}
