import { chmodSync, mkdirSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { ContainerRecord, ContainerRuntimeStatus, SandboxRecord } from '../contract.ts';
import type { StateFiles } from './files.ts';
import type { StoredContainer, StoredStatus } from './protocol.ts';

/** A sandbox as it lies on disk. */
export interface StoredSandbox {
  readonly record: SandboxRecord;
  readonly hostname: string;
}

/** Makes the folders of the state directory. */
export function prepareStateDirectory(files: StateFiles): void {
  for (const folder of [files.sandboxes, files.containers, files.shims])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  // A container under another user must be able to reach its own mount point, but to list nothing on the way.
  mkdirSync(files.mounts, { recursive: true, mode: 0o711 });
  chmodSync(files.root, 0o711);
}

export async function readSandboxes(files: StateFiles, log: Logger): Promise<StoredSandbox[]> {
  return (await readAll(files.sandboxes, log)) as StoredSandbox[];
}

export async function readContainers(files: StateFiles, log: Logger): Promise<StoredContainer[]> {
  return (await readAll(files.containers, log)) as StoredContainer[];
}

/** Every `<id>.json`. What cannot be read was never complete: it is removed, and so is what a crash left half-written. */
async function readAll(folder: string, log: Logger): Promise<unknown[]> {
  const values: unknown[] = [];
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    try {
      if (!name.endsWith('.json')) throw new Error('not complete');
      const value: unknown = JSON.parse(await readFile(path, 'utf8'));
      if (!(value instanceof Object) || !('record' in value)) throw new Error('not a record');
      values.push(value);
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') continue;
      log.warn('a record is dropped', { path, err: messageOf(err) });
      await rm(path, { force: true });
    }
  }
  return values;
}

/** What the engine sees of a stored container. */
export function recordOf(stored: StoredContainer): ContainerRecord {
  return { ...stored.record, status: statusOf(stored.status) };
}

function statusOf(status: StoredStatus): ContainerRuntimeStatus {
  switch (status.state) {
    case 'created':
    case 'starting':
      return { state: 'created' };
    case 'running':
      return { state: 'running', startedAt: status.startedAt, pid: status.process.pid };
    case 'exited':
      return status;
  }
}
