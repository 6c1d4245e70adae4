/** What a job's state is read from, and the finalizer by which its pods are counted once and no more. */
import type { Pod } from '../../core/objects.ts';
import type { ControllerContext } from './controller.ts';
import type { Job } from './types.ts';

export const component = 'job-controller';
/** Keeps a pod until its outcome is counted. */
export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';

export type JobStatus = NonNullable<Job['status']>;
export type JobCondition = NonNullable<JobStatus['conditions']>[number];
/** By job UID: failures since the last success, which delay the next pod. */
export type JobFailures = Map<string, { readonly count: number; readonly at: number }>;

export function isJobFinished({ status }: Job): boolean {
  return jobFinishedCondition(status) !== undefined;
}

/** Complete or Failed, once it is true. */
export function jobFinishedCondition(status: JobStatus | undefined): JobCondition | undefined {
  return status?.conditions?.find(
    ({ type, status: value }) => (type === 'Complete' || type === 'Failed') && value === 'True',
  );
}

export function isTracked({ metadata }: Pod): boolean {
  return metadata.finalizers?.includes(trackingFinalizer) === true;
}

/** Lets a pod go, whose outcome is counted or does not matter. */
export function untrack({ objects }: ControllerContext, pod: Pod): void {
  const now = objects.find<Pod>('Pod', pod.metadata.namespace, pod.metadata.name);
  if (now === undefined || now.metadata.uid !== pod.metadata.uid || !isTracked(now)) return;
  const finalizers = now.metadata.finalizers?.filter((finalizer) => finalizer !== trackingFinalizer) ?? [];
  objects.update(now, { metadata: { ...now.metadata, finalizers } });
}
