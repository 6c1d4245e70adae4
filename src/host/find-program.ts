import { closeSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

/** Who is to run a program. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

export interface ProgramSearch {
  /** The PATH of the environment it will run in. */
  readonly path: string;
  /** Where relative names start; absolute. */
  readonly directory: string;
  readonly user: RunAs;
}

/**
 * The file that `execvp` would run for `name`, found before anything is started, so that a program that cannot
 * start is an error and not an exit code.
 * @throws Error in the words of runc (`exec: "nope": executable file not found in $PATH`).
 */
export function findProgram(name: string, search: ProgramSearch): string {
  if (name.includes('/')) {
    const file = resolve(search.directory, name);
    const stats = statOf(file, (reason) => `exec: ${quoted(name)}: stat ${name}: ${reason}`);
    if (stats.isDirectory()) throw new Error(`exec: ${quoted(name)}: is a directory`);
    if (!mayExecute(stats, search.user)) throw new Error(`exec: ${quoted(name)}: permission denied`);
    checkFormat(file, name, search.directory);
    return file;
  }
  const file = name === '' ? undefined : onPath(name, search);
  if (file === undefined) throw new Error(`exec: ${quoted(name)}: executable file not found in $PATH`);
  checkFormat(file, file, search.directory);
  return file;
}

function onPath(name: string, search: ProgramSearch): string | undefined {
  for (const entry of search.path.split(':')) {
    const file = join(isAbsolute(entry) ? entry : resolve(search.directory, entry), name);
    try {
      const stats = statSync(file);
      if (stats.isFile() && mayExecute(stats, search.user)) return file;
    } catch {
      // Not here; the next folder of PATH may have it.
    }
  }
  return undefined;
}

function mayExecute(stats: Stats, user: RunAs): boolean {
  if (user.uid === 0) return (stats.mode & 0o111) !== 0;
  if (stats.uid === user.uid) return (stats.mode & 0o100) !== 0;
  if (stats.gid === user.gid || user.groups.includes(stats.gid)) return (stats.mode & 0o010) !== 0;
  return (stats.mode & 0o001) !== 0;
}

/** The kernel's own two reasons to refuse a file that may be executed: no known format, no interpreter. */
function checkFormat(file: string, shown: string, directory: string): void {
  const head = headOf(file);
  if (head === undefined) return;
  if (head.startsWith('#!')) {
    const interpreter = head.slice(2).split('\n', 1)[0]?.trim().split(/\s/, 1)[0] ?? '';
    if (interpreter === '') throw new Error(`exec ${shown}: exec format error`);
    statOf(resolve(directory, interpreter), (reason) => `exec ${shown}: ${reason}`);
  } else if (process.platform === 'linux' && !head.startsWith('\x7fELF')) {
    throw new Error(`exec ${shown}: exec format error`);
  }
}

function headOf(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return undefined; // Executable but not readable is legal; the kernel will judge.
  }
  try {
    const head = Buffer.alloc(256);
    return head.toString('latin1', 0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}

function statOf(file: string, message: (reason: string) => string): Stats {
  try {
    return statSync(file);
  } catch (err) {
    throw new Error(message(reasonOf(err)), { cause: err });
  }
}

/** The C library's words for the errors of a path. */
export function reasonOf(err: unknown): string {
  const { code, message } = err as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EPERM: 'operation not permitted',
    ENOTDIR: 'not a directory',
    EISDIR: 'is a directory',
    ELOOP: 'too many levels of symbolic links',
    ENAMETOOLONG: 'file name too long',
    ENOSPC: 'no space left on device',
    EROFS: 'read-only file system',
  };
  return words[code ?? ''] ?? message;
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
