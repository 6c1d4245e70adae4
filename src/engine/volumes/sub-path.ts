import { chmod, lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { forbidden, invalidInput } from '../../core/errors.ts';
import { systemCode } from './directories.ts';

/**
 * The real path of `subPath` inside a volume; folders that are missing are made, with the volume's own mode. A
 * symbolic link may lead elsewhere in the volume, not out of it (`Forbidden`). The path has no link left when this
 * resolves: a container that changes the volume afterwards changes nothing that the caller opens without delay.
 * Follows `SafeMakeDir` and `PrepareSafeSubpath` of mount-utils.
 */
export async function safeSubPath(volume: string, subPath: string): Promise<string> {
  const root = await realpath(volume);
  const mode = (await stat(root)).mode & 0o7777;
  let current = root;
  for (const name of subPath.split('/')) {
    if (name === '..') throw invalidInput(`subPath ${subPath} must not contain '..'`);
    if (name === '' || name === '.') continue;
    current = await enter(join(current, name), mode);
    if (current !== root && !current.startsWith(`${root}/`)) throw forbidden(`subPath ${subPath} leaves its volume`);
  }
  return current;
}

/** The real path of what lies at `path`, a new folder when nothing does. */
async function enter(path: string, mode: number): Promise<string> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await realpath(path) : path;
  } catch (err) {
    if (systemCode(err) !== 'ENOENT') throw err;
  }
  // Fails for a link that leads to nothing: it is never created through.
  await mkdir(path);
  await chmod(path, mode);
  return path;
}
