import { renameSync, rmSync, writeFileSync } from 'node:fs';

let counter = 0;

/** Replaces a file as a whole: a reader, or a start after a crash, sees the old contents or the new. */
export function writeFileAtomic(path: string, data: string, mode = 0o600): void {
  const temporary = `${path}.${process.pid}-${++counter}.tmp`;
  try {
    writeFileSync(temporary, data, { mode });
    renameSync(temporary, path);
  } catch (err) {
    rmSync(temporary, { force: true });
    throw err;
  }
}
