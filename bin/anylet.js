#!/usr/bin/env node
// Starts anylet: from `src` in a checkout, from `dist` in the package, which has no `src`.
// Plain JavaScript, for it must load on an old Node.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { nodeIsSupported, runOnSupportedNode } from './supported-node.js';

const source = new URL('../src/main.ts', import.meta.url);
const main = existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);

if (nodeIsSupported()) await import(main.href);
else runOnSupportedNode([fileURLToPath(main), ...process.argv.slice(2)]);
