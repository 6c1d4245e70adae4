import type { ProcessEntry } from '../../host/process-table.ts';

interface Seen {
  readonly entry: ProcessEntry;
  /** CPU time that is in this process: its own and that of the children it has waited for. */
  readonly held: number;
}

/**
 * The CPU time of one container by the process table alone, which forgets: a process takes its time with it, unless
 * its parent waits for it and so inherits that. What nobody in the container inherited is kept here.
 */
export class CpuAccount {
  #seen = new Map<number, Seen>();
  #lost = 0;
  #total = 0;

  /** Takes in the processes of the container as they are now; answers nanoseconds, never fewer than before. */
  take(entries: readonly ProcessEntry[]): number {
    const now = new Map(entries.map((entry) => [entry.pid, seen(entry)]));
    this.#lost += this.#notInherited(now);
    let live = 0;
    for (const { held } of now.values()) live += held;
    this.#seen = now;
    this.#total = Math.max(this.#total, this.#lost + live);
    return this.#total;
  }

  /** What ended processes held, less what their nearest ancestors that are left have inherited since. */
  #notInherited(now: ReadonlyMap<number, Seen>): number {
    const ended = new Map<Seen | undefined, number>();
    for (const before of this.#seen.values()) {
      if (same(before, now.get(before.entry.pid))) continue;
      const heir = this.#heir(before, now);
      ended.set(heir, (ended.get(heir) ?? 0) + before.held);
    }
    let lost = 0;
    for (const [heir, held] of ended) {
      const inherited =
        heir === undefined ? 0 : children(heir.entry) - children(this.#seen.get(heir.entry.pid)?.entry ?? heir.entry);
      lost += Math.max(0, held - inherited);
    }
    return lost;
  }

  #heir({ entry }: Seen, now: ReadonlyMap<number, Seen>): Seen | undefined {
    let parent = this.#seen.get(entry.parent);
    // The table is not read in one moment: numbers that were used again could make a ring of it.
    for (let steps = 0; parent !== undefined && steps < this.#seen.size; steps++) {
      const left = now.get(parent.entry.pid);
      if (same(parent, left)) return left;
      parent = this.#seen.get(parent.entry.parent);
    }
    return undefined;
  }
}

function seen(entry: ProcessEntry): Seen {
  return { entry, held: (entry.cpu?.own ?? 0) + children(entry) };
}

function children(entry: ProcessEntry): number {
  return entry.cpu?.children ?? 0;
}

function same(before: Seen, now: Seen | undefined): boolean {
  return now !== undefined && now.entry.startTime === before.entry.startTime;
}
