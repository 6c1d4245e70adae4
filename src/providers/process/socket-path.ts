import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** `sun_path` with its final zero: 108 bytes on Linux, 104 on macOS. */
const longestSocketPath = process.platform === 'linux' ? 107 : 103;
const prefix = 'anylet-shim-';

/**
 * Where the shim with this folder listens: in the folder, or in a new short folder of the system's temporary one
 * when that path is longer than a socket's may be.
 */
export function newSocketPath(folder: string): string {
  const path = join(folder, 'sock');
  if (Buffer.byteLength(path) <= longestSocketPath) return path;
  return join(mkdtempSync(join(tmpdir(), prefix)), 'sock');
}

/** The folder that {@link newSocketPath} made for this socket, to be removed with it; `undefined` when it made none. */
export function temporaryFolderOf(socket: string): string | undefined {
  const folder = dirname(socket);
  return basename(folder).startsWith(prefix) ? folder : undefined;
}
