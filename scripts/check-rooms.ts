// Checks every file under src/ against the table of rooms; part of `npm run check`.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { violations } from './rooms.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = readdirSync(`${root}src`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => `src/${name.replaceAll('\\', '/')}`);

const said = files.toSorted().flatMap((file) => violations(file, readFileSync(`${root}${file}`, 'utf8')));
for (const line of said) console.error(line);
if (said.length > 0) process.exitCode = 1;
