#!/usr/bin/env node
// Starts anylet: from `src` in a checkout, from `dist` in the package, which has no `src`.
// Plain JavaScript, for it must load on an old Node.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeIsSupported, runOnSupportedNode } from './supported-node.js';

const source = new URL('../src/main.ts', import.meta.url);
const main = existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);
const args = process.argv.slice(2);
const isDaemon = args[0] === 'run' || args[0] === 'dev';

// A daemon lives long on small objects. A heap that grows freely takes 40 MB more after some hundred pods and saves a
// sixth of the CPU; an allocation arena per thread costs some more. All of it is decided when a process begins.
const lean = isDaemon ? ['--max-semi-space-size=1', '--optimize-for-size'] : [];
const environment = { ...process.env, MALLOC_ARENA_MAX: process.env.MALLOC_ARENA_MAX ?? '1' };

if (!nodeIsSupported()) runOnSupportedNode([...lean, fileURLToPath(main), ...args]);
else if (!isDaemon || process.execve === undefined || process.platform === 'win32') await import(main.href);
else {
  // This process becomes the daemon: same pid, nothing in between for signals. It is experimental, and would say so.
  process.removeAllListeners('warning');
  const node = [process.execPath, ...process.execArgv, ...lean, '--disable-warning=ExperimentalWarning'];
  process.execve(process.execPath, [...node, fileURLToPath(main), ...args], environment);
}
