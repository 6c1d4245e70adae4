// `npm start`: installs what is missing, then runs `anylet dev` on a Node.js that anylet supports.
// Plain JavaScript, for it must load on an old Node.
import { fileURLToPath } from 'node:url';

import { runOnSupportedNode } from '../bin/supported-node.js';
import './install.js';

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));

if (process.exitCode === undefined || process.exitCode === 0) {
  // Compiled code of an earlier start: it halves the time to load.
  process.env.NODE_COMPILE_CACHE ??= path('node_modules/.cache/anylet');
  runOnSupportedNode([path('bin/anylet.js'), 'dev', ...process.argv.slice(2)]);
}
