import { rfc3339 } from '../../core/clock.ts';
import type { EnvVar, Pod, PodSpec } from '../../core/objects.ts';
import { keyOf } from './cluster-objects.ts';
import type { ControllerContext } from './controller.ts';
import { completionIndex, formatIndexes, indexAnnotation, parseIndexes, pendingIndexes } from './job-indexes.ts';
import {
  component,
  isTracked,
  trackingFinalizer,
  untrack,
  type JobCondition,
  type JobFailures,
  type JobStatus,
} from './job-tracking.ts';
import { isNamespaceTerminating, podFromTemplate, type PodControl } from './pod-control.ts';
import { matchFailurePolicy } from './pod-failure-policy.ts';
import { inDeletionOrder, isPodActive, isPodFinished, isPodReady, isPodTerminating } from './pod-state.ts';
import type { Job, PodTemplate } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/** As many pods are created or deleted in one go. */
const burst = 500;
const firstBackOffMs = 10_000;
const longestBackOffMs = 600_000;

/** One look at one job: counts what has finished, decides, creates and deletes, and writes the status. */
export class JobRound {
  readonly #context: ControllerContext;
  readonly #control: PodControl;
  readonly #queue: WorkQueue;
  readonly #failures: JobFailures;
  readonly #job: Job;
  readonly #pods: readonly Pod[];
  readonly #now: number;
  readonly #completed: Set<number>;
  #active: Pod[];
  #terminating: number;
  #status: JobStatus;

  constructor(
    context: ControllerContext,
    control: PodControl,
    queue: WorkQueue,
    failures: JobFailures,
    job: Job,
    pods: readonly Pod[],
  ) {
    this.#context = context;
    this.#control = control;
    this.#queue = queue;
    this.#failures = failures;
    this.#job = job;
    this.#pods = pods;
    this.#now = context.clock.now();
    this.#active = pods.filter(isPodActive);
    this.#terminating = pods.filter((pod) => isPodTerminating(pod) && !isPodFinished(pod)).length;
    this.#status = { ...job.status };
    this.#completed = parseIndexes(job.status?.completedIndexes, job.spec.completions ?? 0);
  }

  run(): void {
    const { spec, metadata } = this.#job;
    if (this.#status.startTime === undefined && spec.suspend !== true) this.#status.startTime = rfc3339(this.#now);
    const tracked = this.#pods.filter(isTracked);
    const succeeded = tracked.filter(({ status }) => status?.phase === 'Succeeded');
    const failed = tracked.filter((pod) => this.#hasFailed(pod));
    const counted = failed.filter((pod) => matchFailurePolicy(spec.podFailurePolicy, pod).counts);
    this.#count(succeeded, counted.length);
    this.#noteFailures(succeeded.length > 0, counted);

    let failure: Error | undefined;
    let outcome = this.#outcomeSoFar(failed);
    const done: Pod[] = [...succeeded, ...failed];
    if (outcome !== undefined) {
      // What still runs is ended, and counts as failed when the job does.
      for (const pod of this.#active) this.#control.delete(this.#job, pod);
      const ended = this.#active.filter(isTracked);
      done.push(...ended, ...tracked.filter((pod) => isPodTerminating(pod) && !done.includes(pod)));
      if (outcome.type === 'FailureTarget') this.#status.failed = (this.#status.failed ?? 0) + ended.length;
      this.#terminating += this.#active.length;
      this.#active = [];
    } else if (metadata.deletionTimestamp === undefined) {
      try {
        this.#manage();
      } catch (error) {
        failure = error as Error;
      }
      const enough =
        spec.completions === undefined
          ? (this.#status.succeeded ?? 0) > 0
          : (this.#status.succeeded ?? 0) >= spec.completions;
      if (enough && this.#active.length === 0)
        outcome = this.#condition(
          'SuccessCriteriaMet',
          'CompletionsReached',
          'Reached expected number of succeeded pods',
        );
      else this.#noteSuspension();
    } else done.push(...tracked.filter((pod) => !done.includes(pod)));

    this.#report(outcome);
    for (const pod of done) untrack(this.#context, pod);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
  }

  /** Failed, or on its way out before it could end, unless only failed pods are replaced (isPodFailed). */
  #hasFailed(pod: Pod): boolean {
    if (pod.status?.phase === 'Failed') return true;
    const onlyFailed =
      this.#job.spec.podReplacementPolicy === 'Failed' || this.#job.spec.podFailurePolicy !== undefined;
    return !onlyFailed && isPodTerminating(pod) && pod.status?.phase !== 'Succeeded';
  }

  get #indexed(): boolean {
    return this.#job.spec.completionMode === 'Indexed';
  }

  #count(succeeded: readonly Pod[], failed: number): void {
    const completions = this.#job.spec.completions ?? 0;
    if (this.#indexed) {
      for (const pod of succeeded) {
        const index = completionIndex(pod, completions);
        if (index !== undefined) this.#completed.add(index);
      }
      this.#status.succeeded = this.#completed.size;
      this.#status.completedIndexes = formatIndexes(this.#completed);
    } else this.#status.succeeded = (this.#status.succeeded ?? 0) + succeeded.length;
    this.#status.failed = (this.#status.failed ?? 0) + failed;
  }

  #noteFailures(anySucceeded: boolean, failed: readonly Pod[]): void {
    const { uid } = this.#job.metadata;
    if (anySucceeded) this.#failures.delete(uid);
    if (failed.length === 0) return;
    const count = (this.#failures.get(uid)?.count ?? 0) + failed.length;
    this.#failures.set(uid, { count, at: Math.max(...failed.map((pod) => finishedAt(pod, this.#now))) });
  }

  /** How the job ends, when that is decided before its completions are looked at. */
  #outcomeSoFar(failed: readonly Pod[]): JobCondition | undefined {
    const { spec } = this.#job;
    const decided = this.#status.conditions?.find(
      ({ type, status }) => (type === 'FailureTarget' || type === 'SuccessCriteriaMet') && status === 'True',
    );
    if (decided !== undefined) return decided;
    for (const pod of failed) {
      const { failJob } = matchFailurePolicy(spec.podFailurePolicy, pod);
      if (failJob !== undefined) return this.#condition('FailureTarget', 'PodFailurePolicy', failJob);
    }
    const limit = spec.backoffLimit ?? 6;
    if ((this.#status.failed ?? 0) > limit || this.#restartsReached(limit))
      return this.#condition('FailureTarget', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit');
    if (spec.activeDeadlineSeconds === undefined || spec.suspend === true) return undefined;
    const left =
      Date.parse(this.#status.startTime ?? rfc3339(this.#now)) + spec.activeDeadlineSeconds * 1000 - this.#now;
    if (left <= 0)
      return this.#condition('FailureTarget', 'DeadlineExceeded', 'Job was active longer than specified deadline');
    this.#queue.addAfter(keyOf(this.#job), left);
    return undefined;
  }

  /** With restartPolicy OnFailure the restarts of the containers count (pastBackoffLimitOnFailure). */
  #restartsReached(limit: number): boolean {
    if ((this.#job.spec.template.spec as PodSpec).restartPolicy !== 'OnFailure') return false;
    let restarts = 0;
    for (const { status } of this.#pods) {
      if (status?.phase !== 'Running' && status?.phase !== 'Pending') continue;
      for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])])
        restarts += container.restartCount;
    }
    return limit === 0 ? restarts > 0 : restarts >= limit;
  }

  #manage(): void {
    const { spec } = this.#job;
    const succeeded = this.#status.succeeded ?? 0;
    const parallelism = spec.parallelism ?? 1;
    const wanted =
      spec.suspend === true
        ? 0
        : spec.completions === undefined
          ? succeeded > 0
            ? this.#active.length
            : parallelism
          : Math.max(0, Math.min(parallelism, spec.completions - succeeded));
    const surplus = this.#surplus(wanted);
    for (const pod of surplus) {
      // Deleted before its time: it counts neither way.
      untrack(this.#context, pod);
      this.#control.delete(this.#job, pod);
      this.#active.splice(this.#active.indexOf(pod), 1);
      this.#terminating++;
    }
    if (surplus.length > 0 || spec.suspend === true) return;
    const waiting = this.#hasOnlyFailedReplaced() ? this.#terminating : 0;
    const missing = Math.min(burst, wanted - waiting - this.#active.length);
    if (missing <= 0) return;
    const delay = this.#backOffMs();
    if (delay > 0) return this.#queue.addAfter(keyOf(this.#job), delay);
    const indexes = this.#indexed ? this.#nextIndexes(missing) : undefined;
    for (let i = 0; i < (indexes?.length ?? missing); i++)
      this.#active.push(this.#control.create(this.#job, this.#pod(indexes?.[i])));
    if (wanted - this.#active.length > 0) this.#queue.add(keyOf(this.#job));
  }

  #hasOnlyFailedReplaced(): boolean {
    return this.#job.spec.podReplacementPolicy === 'Failed' || this.#job.spec.podFailurePolicy !== undefined;
  }

  /** Pods beyond what is wanted, and of an Indexed job those with an index that is done, doubled or too high. */
  #surplus(wanted: number): Pod[] {
    const { clock } = this.#context;
    const useless: Pod[] = [];
    if (this.#indexed) {
      const seen = new Set(this.#completed);
      for (const pod of this.#active) {
        const index = completionIndex(pod, this.#job.spec.completions ?? 0);
        if (index === undefined || seen.has(index)) useless.push(pod);
        else seen.add(index);
      }
    }
    const useful = this.#active.filter((pod) => !useless.includes(pod));
    const more = Math.max(0, useful.length - wanted);
    return [...useless, ...inDeletionOrder(useful, () => 0, clock.now()).slice(0, more)].slice(0, burst);
  }

  #backOffMs(): number {
    const failures = this.#failures.get(this.#job.metadata.uid);
    if (failures === undefined) return 0;
    const delay = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(failures.count - 1, 10));
    return failures.at + delay - this.#now;
  }

  #nextIndexes(count: number): number[] {
    const completions = this.#job.spec.completions ?? 0;
    const taken = new Set(this.#completed);
    const blocking = this.#hasOnlyFailedReplaced() ? this.#pods.filter((pod) => !isPodFinished(pod)) : this.#active;
    for (const pod of blocking) {
      const index = completionIndex(pod, completions);
      if (index !== undefined) taken.add(index);
    }
    return pendingIndexes(count, completions, taken);
  }

  #pod(index: number | undefined): object {
    const { metadata, spec } = this.#job;
    const { finalizers = [] } = spec.template.metadata ?? {};
    const template: PodTemplate = {
      ...spec.template,
      metadata: {
        ...spec.template.metadata,
        finalizers: [...finalizers.filter((f) => f !== trackingFinalizer), trackingFinalizer],
      },
    };
    const pod = podFromTemplate(this.#job, template);
    if (index === undefined) return pod;
    const value = String(index);
    return {
      metadata: {
        ...pod.metadata,
        generateName: `${metadata.name}-${value}-`,
        labels: { ...pod.metadata.labels, [indexAnnotation]: value },
        annotations: { ...pod.metadata.annotations, [indexAnnotation]: value },
      },
      spec: { ...withIndexVariable(pod.spec), hostname: `${metadata.name}-${value}` },
    };
  }

  /** The Suspended condition, and the start anew of a job that was suspended. */
  #noteSuspension(): void {
    const { conditions = [] } = this.#status;
    const suspended = this.#job.spec.suspend === true;
    const before = conditions.find(({ type }) => type === 'Suspended');
    if (before === undefined ? !suspended : (before.status === 'True') === suspended) return;
    const [reason, message] = suspended ? ['JobSuspended', 'Job suspended'] : ['JobResumed', 'Job resumed'];
    const condition = { ...this.#condition('Suspended', reason, message), status: suspended ? 'True' : 'False' };
    this.#status.conditions = [...conditions.filter((other) => other !== before), condition];
    if (suspended) delete this.#status.startTime;
    else this.#status.startTime = rfc3339(this.#now);
    this.#context.events.record(component, this.#job, 'Normal', suspended ? 'Suspended' : 'Resumed', message);
  }

  #report(outcome: JobCondition | undefined): void {
    const { objects, events } = this.#context;
    const status: JobStatus = {
      ...this.#status,
      active: this.#active.length,
      ready: this.#active.filter(isPodReady).length,
      terminating: this.#terminating,
      uncountedTerminatedPods: {},
    };
    let { conditions = [] } = status;
    if (outcome !== undefined && !conditions.includes(outcome)) conditions = [...conditions, outcome];
    const failed = outcome?.type === 'FailureTarget';
    // The verdict waits until nothing runs any more.
    const finished = outcome !== undefined && this.#terminating === 0;
    if (finished) {
      conditions = [
        ...conditions,
        this.#condition(failed ? 'Failed' : 'Complete', outcome.reason ?? '', outcome.message ?? ''),
      ];
      if (!failed) status.completionTime = rfc3339(this.#now);
    }
    objects.updateStatus(this.#job, { ...status, conditions });
    if (!finished) return;
    if (failed) events.record(component, this.#job, 'Warning', outcome.reason ?? '', outcome.message ?? '');
    else events.record(component, this.#job, 'Normal', 'Completed', 'Job completed');
  }

  #condition(type: string, reason: string, message: string): JobCondition {
    const now = rfc3339(this.#now);
    return { type, status: 'True', lastProbeTime: now, lastTransitionTime: now, reason, message };
  }
}

/** When the last container ended; else when the pod was deleted, else now (getFinishedTime). */
function finishedAt({ status, metadata }: Pod, now: number): number {
  const ends = (status?.containerStatuses ?? []).map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ''));
  const known = ends.filter((ms) => !Number.isNaN(ms));
  if (known.length > 0) return Math.max(...known);
  return metadata.deletionTimestamp === undefined ? now : Math.min(now, Date.parse(metadata.deletionTimestamp));
}

/** Every container learns its index from its pod's annotation (addCompletionIndexEnvVariables). */
function withIndexVariable(spec: PodSpec): PodSpec {
  const variable: EnvVar = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { fieldPath: `metadata.labels['${indexAnnotation}']` } },
  };
  const add = <C extends { env?: EnvVar[] }>(container: C): C =>
    container.env?.some(({ name }) => name === variable.name) === true
      ? container
      : { ...container, env: [...(container.env ?? []), variable] };
  return {
    ...spec,
    containers: spec.containers.map(add),
    ...(spec.initContainers && { initContainers: spec.initContainers.map(add) }),
  };
}
