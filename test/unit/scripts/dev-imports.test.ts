import { existsSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

import { importsOf } from '../../../scripts/rooms.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Every file of ours that a file imports, directly or not, at once or later. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file) || !existsSync(join(root, file))) return seen;
  seen.add(file);
  for (const { specifier, typeOnly } of importsOf(readFileSync(join(root, file), 'utf8'))) {
    if (specifier.startsWith('.') && !typeOnly) reached(normalize(join(file, '..', specifier)), seen);
  }
  return seen;
}

describe('the development cluster', () => {
  it('is nothing that `anylet run` could load', () => {
    const files = [...reached('src/cli/run.ts')];
    expect(files).toContain('src/daemon.ts');
    expect(files.filter((file) => /^src\/(devcluster\/|cli\/dev)/.test(file))).toEqual([]);
  });
});
