// Runs a script on a Node.js that anylet supports, whatever the system's is: `node scripts/launch.js [options] file …`.
// Plain JavaScript, for it must load on an old Node.
import { runOnSupportedNode } from '../bin/supported-node.js';

runOnSupportedNode(['--disable-warning=ExperimentalWarning', ...process.argv.slice(2)]);
