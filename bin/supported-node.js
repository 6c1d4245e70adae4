// Finds a Node.js that anylet runs on. Plain JavaScript without imports of ours, for it must load on an old Node.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const wanted = packageJson.engines.node.replace('>=', '');

/** The binary that npm's `node` package, a development dependency, puts into a checkout. */
const installed = fileURLToPath(
  new URL(`../node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url),
);

/** Whether the Node.js that runs this is new enough. */
export function nodeIsSupported(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = wanted.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * Runs `node …args` as a child on a supported Node.js and ends as it ends: same exit code, same signal.
 * Says in one line which Node.js is needed when there is none.
 */
export function runOnSupportedNode(args) {
  const node = nodeIsSupported() ? process.execPath : existsSync(installed) ? installed : undefined;
  if (node === undefined) {
    console.error(`anylet needs Node.js ${wanted} or newer; this is ${process.versions.node} (${process.execPath})`);
    process.exit(1);
  }
  const child = spawn(node, args, { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child by itself; whoever signals this process by its id means the child.
  const relays = ['SIGTERM', 'SIGHUP', 'SIGINT'].map((signal) => {
    const relay = () => (signal === 'SIGINT' && process.stdin.isTTY ? undefined : child.kill(signal));
    process.on(signal, relay);
    return () => process.off(signal, relay);
  });
  child.on('error', (error) => {
    console.error(`${node} cannot be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    for (const stop of relays) stop();
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0);
  });
}
