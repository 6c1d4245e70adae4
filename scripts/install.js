// Installs what package-lock.json says, when node_modules does not hold it yet; else does nothing, in milliseconds.
// Plain JavaScript without dependencies: it runs on a fresh clone, on whatever Node the system has.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeIsSupported } from '../bin/supported-node.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Packages by path; `undefined` when there is no such lock file. */
function packagesOf(lockFile) {
  const path = `${root}${lockFile}`;
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

const wanted = packagesOf('package-lock.json');
// npm's own record of what it has put into node_modules.
const present = packagesOf('node_modules/.package-lock.json');

const upToDate =
  present !== undefined &&
  Object.entries(wanted).every(
    ([path, { version, optional }]) => path === '' || optional || present[path]?.version === version,
  ) &&
  (nodeIsSupported() || existsSync(`${root}node_modules/node/bin/node`));

if (!upToDate) {
  // `ci` empties node_modules first, which is right for a fresh clone only: this may run from there.
  const command = present === undefined ? 'ci' : 'install';
  console.error(`installing dependencies (npm ${command})`);
  const npm = process.env.npm_execpath;
  const [program, before] = npm === undefined ? ['npm', []] : [process.execPath, [npm]];
  const { status, error } = spawnSync(program, [...before, command, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error !== undefined) console.error(`npm cannot be started: ${error.message}`);
  process.exitCode = status ?? 1;
}
