import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { codeOf, invalidInput, messageOf } from '../core/errors.ts';
import { contractVersion } from './contract.ts';
import type { ContainerRuntime, PodProvider, ProviderContext, ProviderPlugin } from './contract.ts';

/** What a plugin made, told apart by its kind. */
export type CreatedProvider =
  | { readonly kind: 'PodProvider'; readonly provider: PodProvider }
  | { readonly kind: 'ContainerRuntime'; readonly runtime: ContainerRuntime };

/** Providers that come with anylet; each is loaded when it is named. */
const builtIn: Readonly<Record<string, () => Promise<object>>> = {
  process: () => import('./process/index.ts'),
  simulated: () => import('./simulated/index.ts'),
};

/** Whether a provider comes with anylet. */
export function isBuiltIn(name: string): boolean {
  return Object.hasOwn(builtIn, name);
}

const methods = {
  PodProvider: {
    required: ['watch', 'run', 'stop', 'health', 'close'],
    optional: ['update', 'remove', 'node', 'logs', 'exec', 'attach', 'portForward'],
  },
  ContainerRuntime: {
    required: [
      'watch',
      'runSandbox',
      'stopSandbox',
      'removeSandbox',
      'createContainer',
      'startContainer',
      'stopContainer',
      'removeContainer',
      'health',
      'close',
    ],
    optional: ['exec', 'attach', 'portForward', 'node'],
  },
} as const satisfies Record<ProviderPlugin['kind'], { required: readonly string[]; optional: readonly string[] }>;

/**
 * The plugin of a built-in provider, of a file (`./provider.ts`, absolute or from `cwd`; JavaScript or TypeScript),
 * or of an npm package that is installed in `cwd` or beside anylet. Rejects with one `InvalidInput` that names it
 * when it cannot be loaded or keeps another contract.
 */
export async function loadPlugin(name: string, cwd: string = process.cwd()): Promise<ProviderPlugin> {
  const load = isBuiltIn(name) ? builtIn[name] : undefined;
  const module = await (load === undefined ? importPlugin(name, cwd) : load());
  const { provider } = module as { provider?: unknown };
  if (!(provider instanceof Object)) throw refused(name, 'exports no `provider`');
  const plugin = provider as Partial<ProviderPlugin>;
  if (plugin.apiVersion !== contractVersion) {
    throw refused(name, `is made for the contract ${shown(plugin.apiVersion)}, this anylet has ${contractVersion}`);
  }
  if (plugin.kind === undefined || !Object.hasOwn(methods, plugin.kind)) {
    throw refused(name, `has the kind ${shown(plugin.kind)}, which is none of ${Object.keys(methods).join(', ')}`);
  }
  if (typeof plugin.create !== 'function') throw refused(name, 'has no function `create`');
  if (typeof plugin.configSchema?.parse !== 'function') throw refused(name, 'has no `configSchema` with a `parse`');
  return plugin as ProviderPlugin;
}

/** `provider.config` as the plugin understands it. Throws `InvalidInput` with the plugin's own words. */
export function parseProviderConfig(plugin: ProviderPlugin, name: string, rawConfig: unknown): unknown {
  try {
    return plugin.configSchema.parse(rawConfig);
  } catch (err) {
    throw refused(name, `has a wrong configuration: ${configProblems(err)}`, err);
  }
}

/**
 * Makes the provider of a loaded plugin. Rejects with `InvalidInput` for a wrong configuration and for a provider
 * that lacks a method; an error of `create` itself keeps its code and gets the plugin's name.
 */
export async function createProvider(
  plugin: ProviderPlugin,
  name: string,
  rawConfig: unknown,
  context: ProviderContext,
): Promise<CreatedProvider> {
  const config = parseProviderConfig(plugin, name, rawConfig);
  let created: unknown;
  try {
    created = await plugin.create(config, context);
  } catch (err) {
    if (codeOf(err) === 'InvalidInput') throw refused(name, messageOf(err), err);
    throw new Error(`provider ${name} cannot be started: ${messageOf(err)}`, { cause: err });
  }
  const problem = lacks(created, plugin.kind);
  if (problem !== undefined) {
    const { close } = (created ?? {}) as { close?: () => Promise<void> };
    if (typeof close === 'function') await close.call(created);
    throw refused(name, problem);
  }
  return plugin.kind === 'PodProvider'
    ? { kind: 'PodProvider', provider: created as PodProvider }
    : { kind: 'ContainerRuntime', runtime: created as ContainerRuntime };
}

/** What an object lacks to be of a kind, or undefined. */
function lacks(created: unknown, kind: ProviderPlugin['kind']): string | undefined {
  if (!(created instanceof Object)) return `created ${shown(created)} instead of a ${kind}`;
  const members = created as Record<string, unknown>;
  const { required, optional } = methods[kind];
  const missing = [
    ...['name', 'runtimeVersion'].filter((member) => typeof members[member] !== 'string'),
    ...(kind === 'ContainerRuntime' && !(members['features'] instanceof Object) ? ['features'] : []),
    ...required.filter((member) => typeof members[member] !== 'function').map((member) => `${member}()`),
  ];
  if (missing.length > 0) return `lacks ${missing.join(', ')} of a ${kind}`;
  const wrong = optional.filter((member) => members[member] !== undefined && typeof members[member] !== 'function');
  return wrong.length > 0 ? `has ${wrong.join(', ')}, which should be functions or absent` : undefined;
}

async function importPlugin(name: string, cwd: string): Promise<object> {
  const isPath = isAbsolute(name) || /^\.\.?[\\/]/.test(name);
  const file = resolve(cwd, name);
  if (isPath && !existsSync(file)) throw refused(name, `is no file: ${file} does not exist`);
  try {
    return (await import(isPath ? pathToFileURL(file).href : name)) as object;
  } catch (err) {
    if (
      !isPath &&
      (err as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND' &&
      messageOf(err).includes(`'${name}'`)
    ) {
      const names = Object.keys(builtIn).join(', ');
      throw refused(name, `is unknown: it is none of ${names}, no path, and no package installed in ${cwd}`, err);
    }
    throw refused(name, `cannot be loaded: ${messageOf(err)}`, err);
  }
}

function refused(name: string, what: string, cause?: unknown): Error {
  return invalidInput(`provider ${name} ${what}`, cause);
}

/** A schema's complaint on one line per problem; zod's list of issues is read, others speak for themselves. */
function configProblems(err: unknown): string {
  const { issues } = err as { issues?: unknown };
  if (!Array.isArray(issues)) return messageOf(err);
  return (issues as { path?: unknown[]; message?: string }[])
    .map(({ path = [], message = '' }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
    .join('; ');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : value === undefined ? 'none' : typeof value;
}
