import { posix } from 'node:path';

import { invalidInput } from '../core/errors.ts';

const longestPath = 4096;
const longestName = 255;

/**
 * The normal form of a file's path inside a volume. Rejects with `InvalidInput` a path that is empty, absolute, too
 * long, leaves the volume, or begins with the `..` that the atomic writer keeps for itself. Follows
 * pkg/volume/util/atomic_writer.go.
 */
export function volumePath(path: string): string {
  if (path === '') throw invalidInput('invalid path: must not be empty: ""');
  if (path.startsWith('/')) throw invalidInput(`invalid path: must be relative path: ${path}`);
  if (Buffer.byteLength(path) > longestPath)
    throw invalidInput(`invalid path: must be less than or equal to ${longestPath} characters`);
  if (path.includes('\0')) throw invalidInput('invalid path: must not contain a NUL character');
  const names = path.split('/');
  if (names.includes('..')) throw invalidInput(`invalid path: must not contain '..': ${path}`);
  if (names.some((name) => Buffer.byteLength(name) > longestName))
    throw invalidInput(`invalid path: filenames must be less than or equal to ${longestName} characters`);
  const normal = posix.normalize(path).replace(/\/$/, '');
  if (normal === '.') throw invalidInput(`invalid path: must name a file: ${path}`);
  if (normal.startsWith('..')) throw invalidInput(`invalid path: must not start with '..': ${path}`);
  return normal;
}
