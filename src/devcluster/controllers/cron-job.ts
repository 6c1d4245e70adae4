import { ApiError } from '../api-error.ts';
import { rfc3339 } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import { cronTimes, type CronTimes } from './cron-times.ts';
import { isJobFinished, jobFinishedCondition } from './job-tracking.ts';
import { controllerReference, isNamespaceTerminating } from './pod-control.ts';
import type { CronJob, Job } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'cronjob-controller';
/** A little late, so that the clock has passed the minute for sure. */
const delayMs = 100;

type CronJobStatus = NonNullable<CronJob['status']>;

/** Starts jobs on time. Follows pkg/controller/cronjob/cronjob_controllerv2.go. */
export class CronJobController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, 'CronJob', ['Job'], () => false);
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const cronJob = objects.find<CronJob>('CronJob', namespace, name);
    if (cronJob === undefined) return;
    const jobs = objects.controlledBy<Job>('Job', cronJob.metadata.uid);
    const status = this.#lookAt(cronJob, jobs);
    this.#forgetOldJobs(cronJob, jobs);
    let failure: Error | undefined;
    if (cronJob.metadata.deletionTimestamp === undefined && cronJob.spec.suspend !== true) {
      try {
        const times = this.#times(cronJob);
        if (times !== undefined) {
          this.#start(cronJob, status, times);
          const next = times(clock.now());
          if (next !== undefined) this.#queue.addAfter(key, next - clock.now() + delayMs);
        }
      } catch (error) {
        failure = error as Error;
      }
    }
    objects.updateStatus(cronJob, status);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
  }

  /** The status after what became of the jobs: which are active, and when one last succeeded. */
  #lookAt(cronJob: CronJob, jobs: readonly Job[]): CronJobStatus {
    const record = (type: 'Normal' | 'Warning', reason: string, message: string) =>
      this.#context.events.record(component, cronJob, type, reason, message);
    const status: CronJobStatus = { ...cronJob.status };
    let active = status.active ?? [];
    for (const job of jobs) {
      const known = active.some(({ uid }) => uid === job.metadata.uid);
      const finished = jobFinishedCondition(job.status);
      if (finished === undefined) {
        if (!known)
          record(
            'Warning',
            'UnexpectedJob',
            `Saw a job that the controller did not create or forgot: ${job.metadata.name}`,
          );
        continue;
      }
      if (known) {
        active = active.filter(({ uid }) => uid !== job.metadata.uid);
        record('Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${finished.type}`);
      }
      const at = finished.type === 'Complete' ? job.status?.completionTime : undefined;
      if (at !== undefined && Date.parse(at) > Date.parse(status.lastSuccessfulTime ?? rfc3339(0)))
        status.lastSuccessfulTime = at;
    }
    for (const { uid, name = '' } of active) {
      if (jobs.some(({ metadata }) => metadata.uid === uid)) continue;
      record('Normal', 'MissingJob', `Active job went missing: ${name}`);
      active = active.filter((reference) => reference.uid !== uid);
    }
    return { ...status, active };
  }

  #times(cronJob: CronJob): CronTimes | undefined {
    const { schedule, timeZone } = cronJob.spec;
    try {
      return cronTimes(schedule, timeZone);
    } catch (error) {
      const [reason, what] =
        timeZone !== undefined && messageOf(error).startsWith('unknown time zone')
          ? ['UnknownTimeZone', `invalid timeZone: ${JSON.stringify(timeZone)}`]
          : ['UnparseableSchedule', `unparseable schedule: ${JSON.stringify(schedule)} `];
      this.#context.events.record(component, cronJob, 'Warning', reason, `${what}: ${messageOf(error)}`);
      return undefined;
    }
  }

  /** Starts the job of the last due time that nothing was done for. */
  #start(cronJob: CronJob, status: CronJobStatus, times: CronTimes): void {
    const { objects, events, clock } = this.#context;
    const now = clock.now();
    const { startingDeadlineSeconds, concurrencyPolicy } = cronJob.spec;
    const begin = Date.parse(status.lastScheduleTime ?? cronJob.metadata.creationTimestamp ?? rfc3339(now));
    const deadlineMs = startingDeadlineSeconds === undefined ? undefined : startingDeadlineSeconds * 1000;
    const earliest = deadlineMs === undefined ? begin : Math.max(begin, now - deadlineMs);
    const { due, missed } = lastDue(times, earliest, now);
    if (missed > 100)
      events.record(
        component,
        cronJob,
        'Warning',
        'TooManyMissedTimes',
        'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew',
      );
    if (due === undefined) return;
    if (deadlineMs !== undefined && due + deadlineMs < now) {
      events.record(
        component,
        cronJob,
        'Warning',
        'MissSchedule',
        `Missed scheduled time to start a job: ${rfc1123(due)}`,
      );
      return;
    }
    const name = `${cronJob.metadata.name}-${Math.floor(due / 60_000)}`;
    if (status.active?.some((job) => job.name === name) || Date.parse(status.lastScheduleTime ?? '') === due) return;
    const active = status.active ?? [];
    if (concurrencyPolicy === 'Forbid' && active.length > 0) {
      events.record(
        component,
        cronJob,
        'Normal',
        'JobAlreadyActive',
        'Not starting job because prior execution is running and concurrency policy is Forbid',
      );
      return;
    }
    if (concurrencyPolicy === 'Replace') {
      for (const reference of active) {
        const job = objects.find<Job>('Job', cronJob.metadata.namespace, reference.name ?? '');
        if (job !== undefined) this.#delete(cronJob, job);
      }
      status.active = [];
    }
    const job = this.#create(cronJob, name, due);
    if (job === undefined) return;
    const { uid, resourceVersion } = job.metadata;
    const reference = { kind: 'Job', apiVersion: 'batch/v1', namespace: job.metadata.namespace, name, uid };
    status.active = [
      ...(status.active ?? []),
      { ...reference, ...(resourceVersion !== undefined && { resourceVersion }) },
    ];
    status.lastScheduleTime = rfc3339(due);
  }

  #create(cronJob: CronJob, name: string, due: number): Job | undefined {
    const { objects, events } = this.#context;
    const { jobTemplate, timeZone = 'UTC' } = cronJob.spec;
    try {
      const job = objects.create<Job>('Job', cronJob.metadata.namespace, {
        metadata: {
          name,
          ...(jobTemplate.metadata?.labels && { labels: jobTemplate.metadata.labels }),
          annotations: {
            ...jobTemplate.metadata?.annotations,
            'batch.kubernetes.io/cronjob-scheduled-timestamp': zonedTime(due, timeZone),
          },
          ownerReferences: [controllerReference(cronJob)],
        },
        spec: jobTemplate.spec,
      });
      events.record(component, cronJob, 'Normal', 'SuccessfulCreate', `Created job ${name}`);
      return job;
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'AlreadyExists') {
        const job = objects.find<Job>('Job', cronJob.metadata.namespace, name);
        return job?.metadata.ownerReferences?.some(({ uid }) => uid === cronJob.metadata.uid) ? job : undefined;
      }
      if (!isNamespaceTerminating(error))
        events.record(component, cronJob, 'Warning', 'FailedCreate', `Error creating job: ${messageOf(error)}`);
      throw error;
    }
  }

  /** Deletes the oldest finished jobs beyond the history limits. */
  #forgetOldJobs(cronJob: CronJob, jobs: readonly Job[]): void {
    const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cronJob.spec;
    const started = ({ status, metadata }: Job) =>
      Date.parse(status?.startTime ?? metadata.creationTimestamp ?? '') || 0;
    for (const [type, limit] of [
      ['Complete', successfulJobsHistoryLimit],
      ['Failed', failedJobsHistoryLimit],
    ] as const) {
      const finished = jobs
        .filter((job) => isJobFinished(job) && jobFinishedCondition(job.status)?.type === type)
        .sort((a, b) => started(a) - started(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
      for (const job of finished.slice(0, Math.max(0, finished.length - limit))) this.#delete(cronJob, job);
    }
  }

  #delete(cronJob: CronJob, job: Job): void {
    const { objects, events } = this.#context;
    if (job.metadata.deletionTimestamp === undefined && objects.delete(job, { propagationPolicy: 'Background' }))
      events.record(component, cronJob, 'Normal', 'SuccessfulDelete', `Deleted job ${keyOf(job).split('/')[1] ?? ''}`);
  }
}

/** The last due time in (`afterMs`, `nowMs`], and about how many there were (mostRecentScheduleTime). */
export function lastDue(times: CronTimes, afterMs: number, nowMs: number): { due: number | undefined; missed: number } {
  const first = times(afterMs);
  if (first === undefined || first > nowMs) return { due: undefined, missed: 0 };
  const second = times(first);
  if (second === undefined || second > nowMs) return { due: first, missed: 0 };
  const between = second - first;
  const missed = Math.floor((nowMs - first) / between) + 1;
  // Most of the way in one step; the rest, which need not be regular, one by one.
  let due: number | undefined;
  for (let time = times(first + (missed - 2) * between); time !== undefined && time <= nowMs; time = times(time))
    due = time;
  return { due, missed };
}

/** RFC 3339 with a zone's offset. */
function zonedTime(ms: number, timeZone: string): string {
  if (timeZone === 'UTC') return rfc3339(ms);
  const part = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
    .formatToParts(ms)
    .find(({ type }) => type === 'timeZoneName')?.value;
  const [, sign, hours = '0', minutes = '0'] = /GMT([+-])(\d+):(\d+)/.exec(part ?? '') ?? [];
  if (sign === undefined) return rfc3339(ms);
  const offset = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
  return rfc3339(ms + offset * 60_000).replace('Z', `${sign}${hours}:${minutes}`);
}

function rfc1123(ms: number): string {
  return new Date(ms).toUTCString().replace('GMT', '+0000');
}
