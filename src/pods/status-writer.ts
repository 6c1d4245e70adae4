import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { codeOf, isAbort, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Pod, PodStatus } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { waitWith } from '../core/wait-with.ts';
import type { PodMetrics } from '../metrics/kubelet-metrics.ts';
import { type KubeApi, patchPodStatus, podStatusPatch, retryAfterOf } from '../kube/index.ts';
import type { PodRef } from '../providers/contract.ts';

interface Entry {
  readonly ref: PodRef;
  /** What the API server has, by its newest answer or watch event. */
  known: PodStatus;
  knownVersion: string;
  desired: PodStatus | undefined;
  busy: boolean;
  queued: boolean;
  gone: boolean;
  backOff: BackOff | undefined;
  /** Since when there is something that the API server does not have. */
  changedAt: number | undefined;
  readonly landed: (() => void)[];
}

/**
 * Writes pod statuses: the newest one of each pod, one write in flight per pod, as the difference to what the API
 * server has. What is equal is not written. Follows pkg/kubelet/status/status_manager.go `syncPod`.
 */
export class PodStatusWriter {
  readonly #client: KubeApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  readonly #entries = new Map<string, Entry>();
  readonly #queue: Entry[] = [];
  readonly #concurrency: number;
  readonly #metrics: PodMetrics | undefined;
  readonly #stopped = new AbortController();
  #active = 0;

  constructor(client: KubeApi, parts: { clock: Clock; log: Logger; concurrency?: number; metrics?: PodMetrics }) {
    this.#client = client;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#tasks = new Tasks(parts.log);
    this.#concurrency = parts.concurrency ?? 16;
    this.#metrics = parts.metrics;
  }

  /** A pod as the API server has just served it. Older versions than the newest seen are ignored. */
  observe(pod: Pod): void {
    const { uid, name, namespace, resourceVersion = '' } = pod.metadata;
    const entry = this.#entries.get(uid);
    if (entry === undefined) {
      this.#entries.set(uid, {
        ref: { uid, name, namespace },
        known: pod.status ?? {},
        knownVersion: resourceVersion,
        desired: undefined,
        busy: false,
        queued: false,
        gone: false,
        backOff: undefined,
        changedAt: undefined,
        landed: [],
      });
      return;
    }
    if (!isNewer(resourceVersion, entry.knownVersion)) return;
    entry.known = pod.status ?? {};
    entry.knownVersion = resourceVersion;
  }

  /** What the API server has of a pod, as far as it is known here. */
  known(uid: string): PodStatus | undefined {
    return this.#entries.get(uid)?.known;
  }

  /** Have this status written; a later call before the write replaces it. */
  write(uid: string, status: PodStatus): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined || entry.gone) return;
    // What the API server has already need not wait in line.
    if (!entry.busy && podStatusPatch(entry.known, status) === undefined) {
      entry.desired = undefined;
      return;
    }
    entry.changedAt ??= this.#clock.now();
    entry.desired = status;
    this.#enqueue(entry);
  }

  /** Resolves when the newest status has been written, or the pod is gone; rejects when the signal aborts. */
  landed(uid: string, signal: AbortSignal): Promise<void> {
    const entry = this.#entries.get(uid);
    if (entry === undefined || entry.gone || (entry.desired === undefined && !entry.busy)) return Promise.resolve();
    return waitWith(new Promise((resolve) => entry.landed.push(resolve)), signal);
  }

  /** The pod is gone from the API server. */
  forget(uid: string): void {
    const entry = this.#entries.get(uid);
    if (entry === undefined) return;
    this.#entries.delete(uid);
    this.#finish(entry);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Writes what is waiting, then stops; what cannot be written by the deadline is left. */
  async stop(deadlineMs: number): Promise<void> {
    const cancel = this.#clock.after(deadlineMs, () => this.#stopped.abort());
    while (!this.#stopped.signal.aborted && (this.#active > 0 || this.#queue.length > 0)) {
      await waitWith(this.#tasks.settled(), this.#stopped.signal).catch(() => {});
    }
    cancel();
    this.#stopped.abort();
    await this.#tasks.settled();
  }

  #enqueue(entry: Entry): void {
    if (entry.busy || entry.queued || this.#stopped.signal.aborted) return;
    entry.queued = true;
    this.#queue.push(entry);
    this.#startNext();
  }

  #startNext(): void {
    while (this.#active < this.#concurrency) {
      const entry = this.#queue.shift();
      if (entry === undefined) return;
      entry.queued = false;
      entry.busy = true;
      this.#active++;
      this.#tasks.run('write pod status', async () => {
        const retryMs = await this.#write(entry);
        this.#active--;
        this.#startNext();
        if (retryMs !== undefined) await this.#clock.sleep(retryMs, this.#stopped.signal).catch(() => {});
        entry.busy = false;
        if (entry.gone || entry.desired === undefined) this.#finish(entry);
        else this.#enqueue(entry);
      });
    }
  }

  /** One write; answers how long to wait before the next try, if one is needed. */
  async #write(entry: Entry): Promise<number | undefined> {
    const { desired, ref } = entry;
    if (desired === undefined || entry.gone) return undefined;
    entry.desired = undefined;
    try {
      const pod = await patchPodStatus(this.#client, ref, entry.known, desired, this.#stopped.signal);
      if (pod !== undefined) this.observe(pod);
      entry.backOff?.reset();
      this.#landed(entry);
      return undefined;
    } catch (err) {
      return this.#failed(entry, desired, err);
    }
  }

  #landed(entry: Entry): void {
    if (entry.changedAt !== undefined)
      this.#metrics?.statusSyncDuration.observe({}, (this.#clock.now() - entry.changedAt) / 1000);
    entry.changedAt = entry.desired === undefined ? undefined : this.#clock.now();
  }

  #failed(entry: Entry, desired: PodStatus, err: unknown): number | undefined {
    if (isAbort(err, this.#stopped.signal)) return undefined;
    const code = codeOf(err);
    if (code === 'NotFound' || code === 'Conflict') {
      // Deleted, or another pod has its name: there is nobody to write to.
      entry.gone = true;
      return undefined;
    }
    const pod = `${entry.ref.namespace}/${entry.ref.name}`;
    const level = code === 'Unavailable' || code === 'Timeout' ? 'warn' : 'error';
    this.#log[level]('pod status write failed', { pod, uid: entry.ref.uid, err: messageOf(err) });
    entry.desired ??= desired;
    entry.backOff ??= new BackOff(this.#clock);
    return Math.max(entry.backOff.next(), retryAfterOf(err) ?? 0);
  }

  #finish(entry: Entry): void {
    for (const resolve of entry.landed.splice(0)) resolve();
  }
}

/** Resource versions of one resource type are comparable integers (KEP-5504). */
export function isNewer(a: string, b: string): boolean {
  return a.length === b.length ? a > b : a.length > b.length;
}
