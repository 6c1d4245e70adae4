import type { Dirent } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rmdir, unlink } from 'node:fs/promises';

import { conflict } from '../../core/errors.ts';

const separator = Buffer.from('/');

/** Code of a failed system call, e.g. `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** True when a folder lies at the path itself, not behind a link. */
export async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (err) {
    if (systemCode(err) === 'ENOENT') return false;
    throw err;
  }
}

/**
 * Makes one folder with exactly this mode, whatever the umask; true when it was not there. Rejects with `Conflict`
 * when something else lies at the path: a symbolic link is never followed.
 */
export async function makeDirectory(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path);
  } catch (err) {
    if (systemCode(err) !== 'EEXIST') throw err;
    if (!(await lstat(path)).isDirectory()) throw conflict(`${path} is not a directory; remove it`, err);
    return false;
  }
  await chmod(path, mode);
  return true;
}

/**
 * Removes a file or a folder with all it holds. Symbolic links are removed, not followed; folders that forbid it are
 * opened first; nothing there is success. Names need not be UTF-8.
 */
export async function removeTree(path: string | Buffer): Promise<void> {
  const entries = await entriesOf(path);
  if (entries === 'nothing') return;
  if (entries === 'file') return unlink(path);
  for (const entry of entries) {
    const child = Buffer.concat([Buffer.from(path), separator, entry.name]);
    if (entry.isDirectory()) await removeTree(child);
    else await unlink(child);
  }
  await rmdir(path);
}

async function entriesOf(path: string | Buffer): Promise<Dirent<Buffer>[] | 'file' | 'nothing'> {
  try {
    if (!(await lstat(path)).isDirectory()) return 'file';
    // A container may have closed its folder even to its owner. Where that is not us, trying is all there is.
    await chmod(path, 0o700).catch(() => undefined);
    return await readdir(path, { withFileTypes: true, encoding: 'buffer' });
  } catch (err) {
    if (systemCode(err) === 'ENOENT') return 'nothing';
    throw err;
  }
}
