import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { isAbort, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { waitWith } from '../core/wait-with.ts';
import type { ContainerRecord, ContainerRuntime, PodReport } from '../providers/contract.ts';
import type { PodRecords } from './records.ts';

export interface TerminationParts {
  readonly records: PodRecords;
  readonly runtime: ContainerRuntime;
  readonly clock: Clock;
  readonly log: Logger;
  readonly graceSeconds: number;
  /** Names of sidecars in spec order; they end last, in reverse. */
  readonly sidecars: readonly string[];
  /** Aborted when the engine closes: what runs then is left to run. */
  readonly signal: AbortSignal;
  /** Resolves when nothing of the pod is being started any more. */
  settled(): Promise<void>;
  killing(record: ContainerRecord): void;
  failed(err: unknown): void;
  finished(): PodReport;
}

/** The kubelet's floors: a pod gets at least one second, a container's stop signal at least two. */
const leastPodGraceSeconds = 1;
const leastStopSeconds = 2;

/** How long a stopped container's last record may take to arrive. */
const lastRecordMs = 2_000;

/**
 * The end of a pod: regular, init and ephemeral containers together, then sidecars in reverse order, each with what is
 * left of the grace period; then the sandbox. What fails is tried again for ever, with an event. `done` rejects only
 * when the engine closes.
 *
 * Follows pkg/kubelet/kuberuntime/kuberuntime_container.go `killContainersWithSyncResult`.
 */
export class PodTermination {
  readonly done: Promise<PodReport>;
  readonly #parts: TerminationParts;
  readonly #told = new Set<string>();
  #deadline: number;
  #isDone = false;
  readonly #waiters = new Set<() => void>();

  constructor(parts: TerminationParts) {
    this.#parts = parts;
    this.#deadline = parts.clock.now() + Math.max(parts.graceSeconds, leastPodGraceSeconds) * 1000;
    this.done = this.#run();
    // Whoever asked for the stop hears of it; when the engine closes there may be nobody left.
    this.done.catch(() => {});
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** Brings the end nearer; never puts it off. */
  shorten(graceSeconds: number): void {
    const deadline = this.#parts.clock.now() + Math.max(graceSeconds, leastPodGraceSeconds) * 1000;
    if (deadline >= this.#deadline) return;
    this.#deadline = deadline;
    for (const record of this.#parts.records.running()) {
      if (!this.#told.has(record.id)) continue;
      // The stop in flight is shortened by the runtime; its failure is the first call's to retry.
      this.#parts.runtime.stopContainer(record.id, this.#graceLeft()).catch((err: unknown) => {
        this.#parts.log.warn('shortening a container stop failed', { container: record.name, err: messageOf(err) });
      });
    }
  }

  /** A record of the pod changed: what waits for an end may look again. */
  recordChanged(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  async #run(): Promise<PodReport> {
    const { records, runtime, sidecars } = this.#parts;
    await this.#parts.settled();
    await this.#untilDone(async () => {
      const running = records.running();
      await Promise.all(running.filter((r) => !sidecars.includes(r.name)).map((r) => this.#stop(r)));
      for (const name of sidecars.toReversed()) {
        await Promise.all(
          records
            .running()
            .filter((r) => r.name === name)
            .map((r) => this.#stop(r)),
        );
      }
    });
    await this.#untilDone(async () => {
      for (const sandbox of records.sandboxes()) await runtime.stopSandbox(sandbox.id);
    });
    this.#isDone = true;
    return this.#parts.finished();
  }

  async #stop(record: ContainerRecord): Promise<void> {
    if (!this.#told.has(record.id)) {
      this.#told.add(record.id);
      if (record.status.state === 'running') this.#parts.killing(record);
    }
    await this.#parts.runtime.stopContainer(record.id, this.#graceLeft());
    if (await this.#hasEnded(record.id)) return;
    // It never ran: there is no end to report.
    await this.#parts.runtime.removeContainer(record.id);
    this.#parts.records.removeContainer(record.id);
  }

  /** The runtime says that it is over; its last record may still be on the way. */
  async #hasEnded(id: string): Promise<boolean> {
    const { records, clock } = this.#parts;
    const giveUp = new AbortController();
    const cancel = clock.after(lastRecordMs, () => {
      giveUp.abort();
      this.recordChanged();
    });
    try {
      for (;;) {
        const record = records.container(id);
        if (record === undefined || record.status.state === 'exited') return true;
        if (giveUp.signal.aborted) return record.status.state === 'running';
        await new Promise<void>((resolve) => this.#waiters.add(resolve));
      }
    } finally {
      cancel();
    }
  }

  #graceLeft(): number {
    return Math.max(leastStopSeconds, Math.ceil((this.#deadline - this.#parts.clock.now()) / 1000));
  }

  async #untilDone(attempt: () => Promise<void>): Promise<void> {
    const { signal } = this.#parts;
    const backOff = new BackOff(this.#parts.clock);
    for (;;) {
      try {
        return await waitWith(attempt(), signal);
      } catch (err) {
        if (isAbort(err, signal)) throw err;
        this.#parts.failed(err);
        this.#parts.log.warn('pod stop failed', { err: messageOf(err) });
        await this.#parts.clock.sleep(backOff.next(), signal);
      }
    }
  }
}
