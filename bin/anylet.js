#!/usr/bin/env node
// Starts anylet: from `src` in a checkout, from `dist` in the package, which has no `src`.
// Plain JavaScript, for it must load on an old Node.
import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { fileURLToPath } from 'node:url';
import { nodeIsSupported, runOnSupportedNode } from './supported-node.js';

const source = new URL('../src/main.ts', import.meta.url);
const main = existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);

if (nodeIsSupported()) {
  // A daemon lives long on small objects: a young generation that grows costs 20 MB and saves a tenth of the CPU.
  setFlagsFromString('--semi-space-growth-factor=1');
  await import(main.href);
} else runOnSupportedNode(['--semi-space-growth-factor=1', fileURLToPath(main), ...process.argv.slice(2)]);
