import { setImmediate as nextTurn } from 'node:timers/promises';

import {
  environmentValue,
  listProcesses,
  mainThreadTime,
  processMemory,
  type ProcessEntry,
  type ProcessIdentity,
} from '../../host/process-table.ts';
import type { RuntimeUsage } from '../contract.ts';
import { markerVariable } from './belongings.ts';
import { CpuAccount } from './cpu-account.ts';

/** A container that runs, as its processes are known by. */
export interface RunningContainer {
  readonly id: string;
  /** Value of {@link markerVariable} in its environment. */
  readonly marker: string;
  readonly main: ProcessIdentity;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

interface Kept {
  readonly account: CpuAccount;
  usage: number;
  usageNanoCores: number | undefined;
  /** When `usage` began to count for the rate. */
  since: number;
  usageThen: number;
}

interface KnownEnvironment {
  readonly startTime: number;
  readonly marker: string | undefined;
  /** It was read twice: the first time may have been before the process executed its program. */
  readonly final: boolean;
}

/** A rate over less than this says more of the clock than of the container. */
const shortestRateMs = 500;
/** A process that runs has used something; metrics-server drops a pod that has used nothing. */
const leastNs = 1_000_000;
/** How many processes are looked at in one turn of the event loop. */
const turnLength = 24;

/** Measures running containers by one pass over the process table for all of them. */
export class UsageMeter {
  readonly #kept = new Map<string, Kept>();
  #environments = new Map<number, KnownEnvironment>();

  #measuring: Promise<RuntimeUsage[]> | undefined;

  /**
   * What each container uses now; one whose processes have just ended is left out. Who asks while a pass is under way
   * shares it: an older view of the table must not be taken for a newer one.
   */
  measure(containers: readonly RunningContainer[], at: number): Promise<RuntimeUsage[]> {
    this.#measuring ??= this.#measure(containers, at).finally(() => (this.#measuring = undefined));
    return this.#measuring;
  }

  async #measure(containers: readonly RunningContainer[], at: number): Promise<RuntimeUsage[]> {
    const entries = await listProcesses();
    const byContainer = await this.#attribute(entries, containers);
    const running = new Set(containers.map(({ id }) => id));
    for (const id of this.#kept.keys()) if (!running.has(id)) this.#kept.delete(id);
    const usages: RuntimeUsage[] = [];
    let looked = 0;
    for (const container of containers) {
      const own = byContainer.get(container.id) ?? [];
      if ((looked += own.length) > turnLength) {
        looked = 0;
        await nextTurn();
      }
      const usage = this.#usageOf(container, own, at);
      if (usage !== undefined) usages.push(usage);
    }
    return usages;
  }

  #usageOf(container: RunningContainer, entries: readonly ProcessEntry[], at: number): RuntimeUsage | undefined {
    const sum = { resident: 0, anonymous: 0, swap: 0, threads: 0, processes: 0 };
    for (const { pid, zombie } of entries) {
      const memory = zombie ? undefined : processMemory(pid);
      if (memory === undefined) continue;
      sum.resident += memory.residentBytes;
      sum.anonymous += memory.anonymousBytes;
      sum.swap += memory.swapBytes;
      sum.threads += memory.threads;
      sum.processes++;
    }
    if (sum.processes === 0) return undefined;
    return {
      id: container.id,
      cpu: this.#cpuOf(container, entries, at),
      memory: { at, usageBytes: sum.resident, workingSetBytes: sum.resident, rssBytes: sum.anonymous },
      swap: { at, usageBytes: sum.swap },
      processCount: sum.processes,
      threadCount: sum.threads,
    };
  }

  #cpuOf(
    { id, startedAt }: RunningContainer,
    entries: readonly ProcessEntry[],
    at: number,
  ): NonNullable<RuntimeUsage['cpu']> {
    let kept = this.#kept.get(id);
    if (kept === undefined) {
      kept = { account: new CpuAccount(), usage: 0, usageNanoCores: undefined, since: startedAt, usageThen: 0 };
      this.#kept.set(id, kept);
    }
    kept.usage = Math.max(kept.usage, kept.account.take(entries) || belowOneTick(entries));
    // The first rate is that since the container was started.
    const isDue = at - kept.since >= (kept.usageNanoCores === undefined ? 1 : shortestRateMs);
    if (isDue) {
      kept.usageNanoCores = Math.round((kept.usage - kept.usageThen) / ((at - kept.since) / 1000));
      kept.since = at;
      kept.usageThen = kept.usage;
    }
    const { usageNanoCores } = kept;
    return { at, usageCoreNanoSeconds: kept.usage, ...(usageNanoCores === undefined ? {} : { usageNanoCores }) };
  }

  /** Each process to its container: by session, by what its parent belongs to, by the environment it started with. */
  async #attribute(
    entries: readonly ProcessEntry[],
    containers: readonly RunningContainer[],
  ): Promise<Map<string, ProcessEntry[]>> {
    const byID = new Map(entries.map((entry) => [entry.pid, entry]));
    const byMain = new Map(containers.map((container) => [container.main.pid, container]));
    const byMarker = new Map(containers.map((container) => [container.marker, container.id]));
    const environments = new Map<number, KnownEnvironment>();
    const owners = new Map<number, string | undefined>();
    const ownerOf = (entry: ProcessEntry): string | undefined => {
      if (owners.has(entry.pid)) return owners.get(entry.pid);
      owners.set(entry.pid, undefined); // For a ring of parents, which a table that changes while it is read may show.
      const parent = byID.get(entry.parent);
      const owner =
        inSession(entry, byMain, byID) ??
        (parent === undefined ? undefined : ownerOf(parent)) ??
        byMarker.get(this.#markerOf(entry, environments) ?? '');
      owners.set(entry.pid, owner);
      return owner;
    };
    const found = new Map<string, ProcessEntry[]>();
    for (const [index, entry] of entries.entries()) {
      if (index % turnLength === turnLength - 1) await nextTurn();
      const owner = ownerOf(entry);
      if (owner === undefined) continue;
      const own = found.get(owner);
      if (own === undefined) found.set(owner, [entry]);
      else own.push(entry);
    }
    this.#environments = environments;
    return found;
  }

  #markerOf({ pid, startTime }: ProcessEntry, kept: Map<number, KnownEnvironment>): string | undefined {
    const before = this.#environments.get(pid);
    const known = before?.startTime === startTime ? before : undefined;
    const now =
      known?.final === true
        ? known
        : { startTime, marker: environmentValue(pid, markerVariable), final: known !== undefined };
    kept.set(pid, now);
    return now.marker;
  }
}

/** A session is the container's when its leader is the main process, or is gone and the member began after it. */
function inSession(
  entry: ProcessEntry,
  byMain: ReadonlyMap<number, RunningContainer>,
  byID: ReadonlyMap<number, ProcessEntry>,
): string | undefined {
  const container = byMain.get(entry.session);
  if (container === undefined) return undefined;
  const { pid, startTime } = container.main;
  const leader = byID.get(pid);
  const ours = (leader === undefined || leader.startTime === startTime) && entry.startTime >= startTime;
  return ours ? container.id : undefined;
}

function belowOneTick(entries: readonly ProcessEntry[]): number {
  const ran = entries.reduce((sum, { pid }) => sum + (mainThreadTime(pid) ?? 0), 0);
  return Math.max(leastNs, ran);
}
