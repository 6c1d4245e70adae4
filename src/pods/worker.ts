import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { codeOf, isAbort, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Pod, PodStatus } from '../core/objects.ts';
import type { Tasks } from '../core/tasks.ts';
import { waitWith } from '../core/wait-with.ts';
import type { NodeCounts, PodMetrics } from '../metrics/kubelet-metrics.ts';
import { isSidecar } from '../podspec/containers.ts';
import type { PodProvider, PodRef, PodReport, PodResolver } from '../providers/contract.ts';
import type { Rejection } from './admission.ts';
import { ownConditionTypes } from './conditions.ts';
import { isTerminal, type PodFailure, podStatus, rejectedStatus, type Stage } from './status.ts';
import type { PodStatusWriter } from './status-writer.ts';
import type { NodeUsage } from './usage.ts';

/** What a worker needs; the same for all of them. */
export interface WorkerParts {
  readonly provider: PodProvider;
  readonly writer: PodStatusWriter;
  readonly clock: Clock;
  readonly log: Logger;
  readonly tasks: Tasks;
  readonly hostIPs: readonly string[];
  readonly signal: AbortSignal;
  /** The node's verdict on a pod that it has not run before. */
  admit(pod: Pod): Rejection | undefined;
  /** What the pods that are on the node take up. */
  readonly usage: NodeUsage;
  resolver(pod: () => Pod): PodResolver;
  event(pod: PodRef, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** The final DELETE: grace 0, UID as precondition. */
  deletePod(pod: PodRef): Promise<void>;
  /** How long a refused pod waits before it is Failed; grows per owner. */
  refusalDelayMs(pod: Pod): number;
  /** The pod is gone from the API server and from the provider. */
  done(uid: string): void;
  readonly metrics?: PodMetrics;
}

/** A pod's way on this node. It never goes back. */
type State =
  | { readonly stage: 'new' }
  | { readonly stage: 'syncing' }
  | { readonly stage: 'terminating'; readonly deadline: number }
  /** Nothing of it runs. `rejected` pods never ran and keep the status they were given. */
  | { readonly stage: 'terminated'; readonly keepStatus: boolean };

/**
 * What becomes of one pod: admitted and handed to the provider, kept in step with its reports, stopped when it is
 * over or unwanted, and deleted when nothing of it is left. Keyed by UID; everything it is told only changes what it
 * knows, and `#advance` draws the consequences.
 *
 * Follows pkg/kubelet/pod_workers.go (sync, terminating, terminated).
 */
export class PodWorker {
  readonly ref: PodRef;
  readonly #parts: WorkerParts;
  #pod: Pod;
  #removed = false;
  #report: PodReport | undefined;
  #state: State = { stage: 'new' };
  #failure: PodFailure | undefined;
  #waiting: { reason: string; message: string } | undefined;
  #status: PodStatus | undefined;
  /** What was known of the pod before the provider was asked to run it. */
  #lastStatus: PodStatus | undefined;
  #cancelDeadline: (() => void) | undefined;
  /** The provider's answer to `run`, while it is due: until it is there, a stop might find nothing to stop. */
  #handover: Promise<void> | undefined;
  #ending = false;
  #ended = false;
  readonly #seenAt: number;
  /** It was handed over for the first time, by this process, and has not been seen to run yet. */
  #isStarting = false;

  constructor(pod: Pod, parts: WorkerParts) {
    const { uid, name, namespace } = pod.metadata;
    this.ref = { uid, name, namespace };
    this.#pod = pod;
    this.#parts = parts;
    this.#seenAt = parts.clock.now();
    parts.writer.observe(pod);
  }

  /** Where it is in its life, in a kubelet's words. */
  get standing(): Pick<NodeCounts['workingPods'][number], 'lifecycle' | 'config'> {
    const { stage } = this.#state;
    return {
      lifecycle: stage === 'new' || stage === 'syncing' ? 'sync' : stage,
      config: this.#removed ? 'orphan' : 'desired',
    };
  }

  /** The pod with the status that this node last computed. */
  get pod(): Pod {
    return this.#status === undefined ? this.#pod : { ...this.#pod, status: this.#status };
  }

  /**
   * First look at the pod; called once, in the order in which pods are to be admitted. `report` is what the provider
   * has of it from an earlier process.
   */
  begin(report: PodReport | undefined): void {
    const { pod, parts } = { pod: this.#pod, parts: this.#parts };
    this.#report = report;
    this.#lastStatus = pod.status;
    if (isTerminal(pod.status?.phase) || pod.metadata.deletionTimestamp !== undefined) {
      // Never started by this process, but the provider may hold something of it.
      this.#status = pod.status;
      this.#terminate('deleted');
      return;
    }
    const rejection = report !== undefined || wasAdmitted(pod) ? undefined : parts.admit(pod);
    if (rejection !== undefined) {
      this.#reject(rejection);
      return;
    }
    this.#state = { stage: 'syncing' };
    this.#failure ??= report?.failure;
    this.#isStarting = report === undefined && !wasAdmitted(pod);
    parts.metrics?.workerStartDuration.observe({}, (parts.clock.now() - this.#seenAt) / 1000);
    parts.usage.add(pod);
    parts.tasks.run('run pod', () => this.#run());
    this.#advance();
  }

  /** The API server has a newer version of the pod. */
  podChanged(pod: Pod): void {
    const before = this.#pod;
    this.#pod = pod;
    this.#parts.writer.observe(pod);
    const isNews = before.metadata.generation !== pod.metadata.generation || metadataChanged(before, pod);
    if (this.#state.stage === 'syncing' && isNews) this.#update(before);
    this.#advance();
  }

  /** The API server has the pod no more. */
  podRemoved(): void {
    this.#removed = true;
    this.#parts.writer.forget(this.ref.uid);
    this.#advance();
  }

  reported(report: PodReport): void {
    // The kubelet looks again when all is stopped; until then the pod shows what it was when it was told to stop.
    if (this.#state.stage !== 'syncing') return;
    this.#report = report;
    if (report.failure !== undefined) this.#failure ??= report.failure;
    this.#advance();
  }

  /** The provider holds nothing of the pod any more, unasked: it is to make it anew. */
  lost(): void {
    if (this.#state.stage !== 'syncing' || this.#report === undefined) return;
    this.#report = undefined;
    this.#lastStatus = this.#status;
    this.#parts.tasks.run('run pod', () => this.#run());
  }

  /** Ends the pod as Failed with this reason; used for deadlines, evictions and refusals. */
  fail(failure: PodFailure): void {
    this.#failure ??= failure;
    this.#advance();
  }

  dispose(): void {
    this.#cancelDeadline?.();
  }

  #reject({ reason, message }: Rejection): void {
    const { parts } = { parts: this.#parts };
    parts.event(this.ref, 'Warning', reason, message);
    this.#state = { stage: 'terminated', keepStatus: true };
    this.#status = rejectedStatus(this.#pod, reason, message, parts.clock.now());
    parts.writer.write(this.ref.uid, this.#status);
    this.#advance();
  }

  /** Asks the provider until it accepts, for ever and visibly. */
  async #run(): Promise<void> {
    const { provider, clock, log, signal, metrics } = this.#parts;
    const resolver = this.#parts.resolver(() => this.#pod);
    const backOff = new BackOff(clock, { initialMs: 1_000, maxMs: 300_000 });
    let said: string | undefined;
    while (this.#state.stage === 'syncing' && !signal.aborted) {
      const askedAt = clock.now();
      try {
        this.#handover = provider.run(this.#pod, resolver, this.#lastStatus);
        await waitWith(this.#handover, signal);
        this.#waiting = undefined;
        metrics?.workerDuration.observe({ operation_type: 'create' }, (clock.now() - askedAt) / 1000);
        if (this.#isStarting) metrics?.started.add({});
        return;
      } catch (err) {
        if (isAbort(err, signal) || this.#state.stage !== 'syncing') return;
        metrics?.startErrors.add({});
        const message = messageOf(err);
        if (codeOf(err) === 'InvalidInput') return await this.#refused(message);
        log.warn('provider did not take pod', {
          pod: `${this.ref.namespace}/${this.ref.name}`,
          uid: this.ref.uid,
          err: message,
        });
        if (message !== said) this.#parts.event(this.ref, 'Warning', 'ProviderFailed', message);
        said = message;
        this.#waiting = { reason: 'ProviderFailed', message };
        this.#advance();
        await clock.sleep(backOff.next(), signal).catch(() => {});
      } finally {
        this.#handover = undefined;
      }
    }
  }

  /** A refusal stays visible for a while before it is final: whoever owns the pod would only make another one. */
  async #refused(message: string): Promise<void> {
    this.#parts.event(this.ref, 'Warning', 'ProviderRefused', message);
    this.#waiting = { reason: 'ProviderRefused', message };
    this.#advance();
    await this.#parts.clock.sleep(this.#parts.refusalDelayMs(this.#pod), this.#parts.signal).catch(() => {});
    if (this.#state.stage === 'syncing' && !this.#parts.signal.aborted)
      this.fail({ reason: 'ProviderRefused', message });
  }

  #update(before: Pod): void {
    const { provider, tasks, signal, clock, metrics } = this.#parts;
    if (provider.update === undefined) {
      if (JSON.stringify(before.spec) === JSON.stringify(this.#pod.spec)) return;
      const message = `provider ${provider.name} cannot change a pod that runs: the new spec is not applied`;
      this.#parts.event(this.ref, 'Warning', 'FailedUpdate', message);
      return;
    }
    tasks.run('update pod', async () => {
      const askedAt = clock.now();
      try {
        await waitWith(Promise.resolve(provider.update?.(this.#pod)), signal);
        metrics?.workerDuration.observe({ operation_type: 'update' }, (clock.now() - askedAt) / 1000);
      } catch (err) {
        if (isAbort(err, signal)) return;
        this.#parts.event(this.ref, 'Warning', 'FailedUpdate', messageOf(err));
      }
    });
  }

  /** Everything that follows from what is known now. */
  #advance(): void {
    if (this.#state.stage === 'new') return;
    this.#watchDeadline();
    const over = this.#writeStatus();
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.#pod.metadata;
    if (this.#state.stage === 'syncing') {
      if (this.#removed || deletionTimestamp !== undefined) this.#terminate('deleted');
      else if (over) this.#terminate(this.#failure?.reason ?? 'completed');
    } else if (this.#state.stage === 'terminating') {
      this.#shorten(this.#removed ? 0 : deletionGracePeriodSeconds);
    } else if (this.#removed || deletionTimestamp !== undefined) {
      this.#end();
    }
  }

  /** Computes the status and has it written; true when the pod is over. */
  #writeStatus(): boolean {
    if (this.#removed || (this.#state.stage === 'terminated' && this.#state.keepStatus)) return false;
    const { writer, clock, hostIPs } = this.#parts;
    const previous = withOwn(writer.known(this.ref.uid) ?? this.#pod.status ?? {}, this.#status);
    // What has ended has ended: nothing computed later may take it back.
    if (isTerminal(previous.phase)) return true;
    const { status, over } = podStatus({
      pod: this.#pod,
      report: this.#report,
      previous,
      stage: this.#state.stage as Stage,
      failure: this.#failure,
      waiting: this.#waiting,
      hostIPs,
      now: clock.now(),
    });
    this.#status = status;
    writer.write(this.ref.uid, status);
    if (this.#isStarting) this.#observeStart(status);
    return over;
  }

  #observeStart({ phase, containerStatuses = [] }: PodStatus): void {
    const runs = containerStatuses.length > 0 && containerStatuses.every((c) => c.state?.waiting === undefined);
    if (!runs || phase === 'Pending') return;
    this.#isStarting = false;
    const { metrics, clock } = this.#parts;
    const createdAt = Date.parse(this.#pod.metadata.creationTimestamp ?? '');
    metrics?.startDuration.observe({}, (clock.now() - this.#seenAt) / 1000);
    // The API server's clock is another, and its time has whole seconds.
    if (!Number.isNaN(createdAt)) metrics?.startTotalDuration.observe({}, Math.max(0, clock.now() - createdAt) / 1000);
  }

  #watchDeadline(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    const startTime = this.#status?.startTime ?? this.#pod.status?.startTime;
    if (seconds === undefined || startTime === undefined || this.#state.stage !== 'syncing') return;
    const { clock } = this.#parts;
    const deadline = Date.parse(startTime) + seconds * 1000;
    this.#cancelDeadline = clock.after(deadline - clock.now(), () => {
      // No timer is as long as the longest deadlines.
      if (clock.now() < deadline) return this.#watchDeadline();
      const message = 'Pod was active on the node longer than the specified deadline';
      this.#parts.event(this.ref, 'Normal', 'DeadlineExceeded', message);
      this.fail({ reason: 'DeadlineExceeded', message });
    });
  }

  #terminate(reason: string): void {
    const { clock, tasks } = this.#parts;
    this.#cancelDeadline?.();
    const grace = this.#graceSeconds();
    this.#state = { stage: 'terminating', deadline: clock.now() + grace * 1000 };
    tasks.run('stop pod', async () => {
      // A pod that ended by itself is seen to have ended before it is cleared away, as a kubelet's is.
      const endedByItself = this.#pod.metadata.deletionTimestamp === undefined && this.#failure === undefined;
      if (endedByItself) await this.#parts.writer.landed(this.ref.uid, this.#parts.signal);
      if (this.#handover !== undefined)
        await waitWith(
          this.#handover.catch(() => {}),
          this.#parts.signal,
        );
      await this.#stop(grace, reason);
    });
  }

  #graceSeconds(): number {
    const { deletionTimestamp, deletionGracePeriodSeconds } = this.#pod.metadata;
    if (deletionTimestamp !== undefined || this.#removed) return deletionGracePeriodSeconds ?? 0;
    return this.#pod.spec.terminationGracePeriodSeconds ?? 30;
  }

  async #stop(gracePeriodSeconds: number, reason: string): Promise<void> {
    const { provider, clock, log, signal } = this.#parts;
    const backOff = new BackOff(clock);
    let said: string | undefined;
    while (!signal.aborted) {
      try {
        const stopped = provider.stop(this.ref.uid, { gracePeriodSeconds, reason, pod: this.#pod });
        const last = await waitWith(stopped, signal);
        if (last !== undefined) this.#report = last;
        if (
          this.#pod.metadata.deletionTimestamp === undefined &&
          this.#pod.spec.initContainers?.some(isSidecar) === true
        ) {
          this.#advance();
          await this.#parts.writer.landed(this.ref.uid, signal);
        }
        this.#state = { stage: 'terminated', keepStatus: false };
        this.#parts.usage.remove(this.ref.uid);
        this.#advance();
        return;
      } catch (err) {
        if (isAbort(err, signal)) return;
        const message = messageOf(err);
        log.warn('pod stop failed', { pod: `${this.ref.namespace}/${this.ref.name}`, uid: this.ref.uid, err: message });
        if (message !== said) this.#parts.event(this.ref, 'Warning', 'FailedKillPod', `error killing pod: ${message}`);
        said = message;
        await clock.sleep(backOff.next(), signal).catch(() => {});
      }
    }
  }

  /** A second, hastier delete. */
  #shorten(graceSeconds: number | undefined): void {
    if (graceSeconds === undefined || this.#state.stage !== 'terminating') return;
    const { clock, provider, tasks, signal } = this.#parts;
    if (this.#pod.metadata.deletionTimestamp === undefined && !this.#removed) return;
    const deadline = clock.now() + graceSeconds * 1000;
    // The API server counts the same grace from a moment earlier: only a real difference is a new wish.
    if (deadline >= this.#state.deadline - 1_000) return;
    this.#state = { stage: 'terminating', deadline };
    tasks.run('shorten pod stop', async () => {
      const options = { gracePeriodSeconds: graceSeconds, reason: 'deleted', pod: this.#pod };
      await waitWith(provider.stop(this.ref.uid, options), signal);
    });
  }

  /** The last status, then what the provider keeps, then the object. */
  #end(): void {
    if (this.#ended && this.#removed) this.#parts.done(this.ref.uid);
    if (this.#ending || this.#ended) return;
    this.#ending = true;
    this.#parts.tasks.run('end pod', async () => {
      const { provider, writer, clock, log, signal } = this.#parts;
      const backOff = new BackOff(clock);
      await writer.landed(this.ref.uid, signal);
      for (let freed = provider.remove === undefined; !signal.aborted;) {
        try {
          if (!freed) await waitWith(Promise.resolve(provider.remove?.(this.ref.uid)), signal);
          freed = true;
          if (!this.#removed) await this.#parts.deletePod(this.ref);
          break;
        } catch (err) {
          if (isAbort(err, signal)) return;
          log.warn('pod removal failed', {
            pod: `${this.ref.namespace}/${this.ref.name}`,
            uid: this.ref.uid,
            err: messageOf(err),
          });
          await clock.sleep(backOff.next(), signal).catch(() => {});
        }
      }
      // With finalizers the object outlives its pod; the worker stays until the API server says that it is gone.
      this.#ending = false;
      this.#ended = !signal.aborted;
      if (this.#removed) this.#parts.done(this.ref.uid);
    });
  }
}

/**
 * What the API server has, with this node's own part as it was last computed: that may still be on its way there, and
 * what is computed next must follow from it.
 */
function withOwn(known: PodStatus, own: PodStatus | undefined): PodStatus {
  if (own === undefined) return known;
  const conditions = [
    ...(known.conditions ?? []).filter((c) => !ownConditionTypes.has(c.type)),
    ...(own.conditions ?? []).filter((c) => ownConditionTypes.has(c.type)),
  ];
  return { ...known, ...own, conditions };
}

/** This node has run the pod before, maybe as an earlier process. */
export function wasAdmitted(pod: Pod): boolean {
  return pod.status?.startTime !== undefined && (pod.status.containerStatuses?.length ?? 0) > 0;
}

function metadataChanged(a: Pod, b: Pod): boolean {
  return (
    JSON.stringify([a.metadata.labels, a.metadata.annotations]) !==
    JSON.stringify([b.metadata.labels, b.metadata.annotations])
  );
}
