import { setTimeout as wait } from 'node:timers/promises';

import { environmentValue, listProcesses, type ProcessEntry, type ProcessIdentity } from '../../host/process-table.ts';
import { signalNumber, signalProcess } from '../../host/signals.ts';

/** Kubernetes' name for where the files of a host-process container are; its value here names the container too. */
export const markerVariable = 'CONTAINER_SANDBOX_MOUNT_POINT';

/** What tells the processes of one container, or of one exec, from all others. */
export interface Owner {
  /** Value of {@link markerVariable}. An exec has none of its own: it shares the container's environment. */
  readonly marker?: string;
  readonly main?: ProcessIdentity;
}

/**
 * The processes that belong to any of the owners: the main process, its session, its descendants, and whatever
 * carries the marker in the environment that it was started with. A process that gave up all four (`env -i`, a
 * session of its own, its parents gone) cannot be found without a cgroup.
 */
export async function findBelongings(owners: readonly Owner[]): Promise<ProcessEntry[]> {
  const entries = await listProcesses();
  const byID = new Map(entries.map((entry) => [entry.pid, entry]));
  const markers = new Set(owners.flatMap((owner) => owner.marker ?? []));
  const mains = new Map(owners.flatMap((owner) => (owner.main === undefined ? [] : [[owner.main.pid, owner.main]])));
  const found = new Set<number>();
  for (const entry of entries) {
    if (entry.pid === process.pid || entry.pid === 1) continue;
    if (inSession(entry, mains, byID) || hasMarker(entry, markers)) found.add(entry.pid);
  }
  addDescendants(found, entries);
  return entries.filter((entry) => found.has(entry.pid) && !entry.zombie);
}

/**
 * A session's number is not used again while the session has members. It is ours when its leader is the recorded
 * one, or is gone and the member began after it.
 */
function inSession(
  entry: ProcessEntry,
  mains: ReadonlyMap<number, ProcessIdentity>,
  byID: ReadonlyMap<number, ProcessEntry>,
): boolean {
  const own = mains.get(entry.pid);
  if (own !== undefined && own.startTime === entry.startTime) return true;
  const main = mains.get(entry.session);
  if (main === undefined) return false;
  const leader = byID.get(main.pid);
  return (leader === undefined || leader.startTime === main.startTime) && entry.startTime >= main.startTime;
}

function hasMarker(entry: ProcessEntry, markers: ReadonlySet<string>): boolean {
  if (markers.size === 0 || entry.zombie) return false;
  const value = environmentValue(entry.pid, markerVariable);
  return value !== undefined && markers.has(value);
}

function addDescendants(found: Set<number>, entries: readonly ProcessEntry[]): void {
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of entries) {
      if (found.has(parent) && !found.has(pid) && pid !== process.pid) {
        found.add(pid);
        grown = true;
      }
    }
  }
}

const sigkill = signalNumber('SIGKILL') as number;
const longestWaitMs = 5_000;

/**
 * SIGKILL to all that belongs to the owners, again until nothing of it runs. Resolves with what could not be ended
 * (a process in an uninterruptible wait, or of a user that we may not signal).
 */
export async function killBelongings(owners: readonly Owner[]): Promise<readonly ProcessEntry[]> {
  for (let waitedMs = 0, delayMs = 1; ; waitedMs += delayMs, delayMs = Math.min(delayMs * 2, 100)) {
    const found = await findBelongings(owners);
    if (found.length === 0 || waitedMs > longestWaitMs) return found;
    for (const entry of found) {
      try {
        signalProcess(entry, sigkill);
      } catch {
        // Not allowed: it stays among what is left.
      }
    }
    await wait(delayMs);
  }
}

/**
 * The same for many callers: a search looks at every process of the machine, so those who ask while one is under
 * way share the next.
 */
export class Sweeper {
  #waiting: { owner: Owner; resolve: () => void }[] = [];
  #running = false;
  readonly #onLeft: (left: readonly ProcessEntry[]) => void;

  constructor(onLeft: (left: readonly ProcessEntry[]) => void) {
    this.#onLeft = onLeft;
  }

  /** Resolves when nothing of the owner runs any more, or when it has been given up. */
  kill(owner: Owner): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ owner, resolve });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const left = await killBelongings(batch.map(({ owner }) => owner));
        if (left.length > 0) this.#onLeft(left);
      } finally {
        for (const { resolve } of batch) resolve();
      }
    }
    this.#running = false;
  }
}
