import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { conflict, messageOf, unavailable } from '../core/errors.ts';
import { writeFileAtomic } from './atomic-file.ts';
import { isRunning, type ProcessIdentity, readProcess } from './process-table.ts';

/** The layout of the state directory that this program writes; raised when an older one could not read it. */
const layoutVersion = 1;

export interface StateDirectory {
  readonly path: string;
  /** Made once and kept: tells a restart of this daemon from another daemon. */
  readonly instanceID: string;
  /** Lets another daemon have the directory. Idempotent. */
  release(): void;
}

/**
 * Takes the state directory for this process; makes it when it is not there.
 *
 * @throws Conflict when another daemon uses it or a newer anylet wrote it; `Unavailable` when it cannot be written
 */
export function openStateDirectory(path: string): StateDirectory {
  try {
    // Passable, not readable: a container of another user must get to its volumes below.
    mkdirSync(path, { recursive: true, mode: 0o711 });
  } catch (err) {
    throw unavailable(`state directory ${path} cannot be made: ${messageOf(err)}`, err);
  }
  const file = join(path, 'anylet.json');
  const known = readState(file);
  if (known !== undefined && known.layout > layoutVersion)
    throw conflict(
      `state directory ${path} was written by a newer anylet (layout ${known.layout}, this one knows ${layoutVersion}): run that version, or name another directory with --state-dir`,
    );
  const lock = takeLock(path);
  try {
    const instanceID = known?.instanceID ?? randomUUID();
    if (known === undefined) writeFileAtomic(file, `${JSON.stringify({ layout: layoutVersion, instanceID })}\n`);
    return { path, instanceID, release: lock };
  } catch (err) {
    lock();
    throw unavailable(`state directory ${path} cannot be written: ${messageOf(err)}`, err);
  }
}

function readState(file: string): { layout: number; instanceID: string } | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { layout, instanceID } = JSON.parse(text) as { layout?: unknown; instanceID?: unknown };
    if (typeof layout === 'number' && typeof instanceID === 'string') return { layout, instanceID };
  } catch {
    // Said below.
  }
  throw conflict(`${file} is not a state file of anylet: move it away, or name another directory with --state-dir`);
}

/** A file with the holder's identity, linked into place so that of two starters one wins. */
function takeLock(path: string): () => void {
  const lock = join(path, 'daemon.lock');
  const mine = join(path, `daemon.lock.${process.pid}`);
  const { pid, startTime } = readProcess(process.pid) ?? { pid: process.pid, startTime: 0 };
  writeFileSync(mine, JSON.stringify({ pid, startTime }), { mode: 0o600 });
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        linkSync(mine, lock);
        break;
      } catch (err) {
        if ((err as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 1)
          throw unavailable(`cannot lock ${path}: ${messageOf(err)}`, err);
        const holder = readHolder(lock);
        if (holder !== undefined && isRunning(holder))
          throw conflict(
            `state directory ${path} is used by another anylet (pid ${holder.pid}): stop it, or name another directory with --state-dir`,
          );
        rmSync(lock, { force: true });
      }
    }
  } finally {
    unlinkSync(mine);
  }
  let held = true;
  return () => {
    if (held) rmSync(lock, { force: true });
    held = false;
  };
}

function readHolder(lock: string): ProcessIdentity | undefined {
  try {
    const { pid, startTime } = JSON.parse(readFileSync(lock, 'utf8')) as ProcessIdentity;
    return { pid, startTime };
  } catch {
    return undefined;
  }
}
