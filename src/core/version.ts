import { readFileSync } from 'node:fs';

/** The version of this package, from the package.json above `src` or `dist`. */
export const packageVersion: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
