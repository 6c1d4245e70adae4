import type { Pod } from '../../core/objects.ts';
import { claim } from './claim.ts';
import { keyOf } from './cluster-objects.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import { JobRound } from './job-round.ts';
import { component, isJobFinished, trackingFinalizer, untrack, type JobFailures } from './job-tracking.ts';
import { selectsLabels } from './label-selector.ts';
import { PodControl } from './pod-control.ts';
import type { Job } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/**
 * Runs pods to completion. Follows pkg/controller/job/job_controller.go, simpler in one point: because a pod's outcome
 * is counted and its finalizer removed in one step, nothing is ever uncounted. Neither back-off limits per index nor
 * success policies are kept.
 */
export class JobController implements Controller {
  readonly #context: ControllerContext;
  readonly #pods: PodControl;
  readonly #queue: WorkQueue;
  /** By job UID: failures since the last success, which delay the next pod. */
  readonly #failures: JobFailures = new Map();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#pods = new PodControl(context, component);
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, 'Job', ['Pod'], (owner, pod) =>
      selectsLabels((owner as Job).spec.selector, pod.metadata.labels),
    );
    context.objects.watch('Job', ({ type, object }) => {
      if (type === 'DELETED') this.#failures.delete(object.metadata.uid);
    });
    // A pod whose job is gone has nobody who counts it.
    context.objects.watch('Pod', ({ type, object }) => {
      const owner = object.metadata.ownerReferences?.find(
        (reference) => reference.kind === 'Job' && reference.controller,
      );
      if (type !== 'DELETED' && object.metadata.finalizers?.includes(trackingFinalizer) && owner === undefined)
        this.#queue.add(`${keyOf(object)}/orphan`);
    });
  }

  stop(): void {
    this.#queue.stop();
    this.#failures.clear();
  }

  #sync(key: string): void {
    const { objects } = this.#context;
    const [namespace = '', name = '', orphan] = key.split('/');
    if (orphan !== undefined) return this.#releaseOrphan(objects.find<Pod>('Pod', namespace, name));
    const job = objects.find<Job>('Job', namespace, name);
    if (job === undefined) {
      // The pods of a job that is gone go too; their finalizers must not hold them.
      for (const pod of objects.list<Pod>('Pod', namespace)) {
        const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller);
        if (owner?.kind === 'Job' && owner.name === name) this.#untrack(pod);
      }
      return;
    }
    if ((job.spec.managedBy ?? 'kubernetes.io/job-controller') !== 'kubernetes.io/job-controller') return;
    const pods = claim<Pod>(this.#context, job, 'Pod', (pod) => selectsLabels(job.spec.selector, pod.metadata.labels));
    if (isJobFinished(job)) {
      this.#failures.delete(job.metadata.uid);
      for (const pod of pods) this.#untrack(pod);
      return;
    }
    new JobRound(this.#context, this.#pods, this.#queue, this.#failures, job, pods).run();
  }

  #releaseOrphan(pod: Pod | undefined): void {
    if (pod !== undefined && !pod.metadata.ownerReferences?.some((owner) => owner.controller)) this.#untrack(pod);
  }

  #untrack(pod: Pod): void {
    untrack(this.#context, pod);
  }
}
