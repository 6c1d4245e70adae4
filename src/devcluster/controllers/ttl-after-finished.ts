import { fromKey, keyOf } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { jobFinishedCondition } from './job-tracking.ts';
import type { Job } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/** Deletes finished jobs when their time to live is over. Follows pkg/controller/ttlafterfinished. */
export class TtlAfterFinishedController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, 'ttl-after-finished-controller', (key) => this.#sync(key));
    context.objects.watch('Job', ({ type, object }) => {
      if (type !== 'DELETED') this.#queue.add(keyOf(object));
    });
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const job = objects.find<Job>('Job', namespace, name);
    const finished = jobFinishedCondition(job?.status)?.lastTransitionTime;
    const ttl = job?.spec.ttlSecondsAfterFinished;
    if (
      job === undefined ||
      finished === undefined ||
      ttl === undefined ||
      job.metadata.deletionTimestamp !== undefined
    )
      return;
    const left = Date.parse(finished) + ttl * 1000 - clock.now();
    if (left > 0) this.#queue.addAfter(key, left);
    else objects.delete(job, { propagationPolicy: 'Foreground' });
  }
}
