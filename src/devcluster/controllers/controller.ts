import type { Clock } from '../../core/clock.ts';
import type { Logger } from '../../core/logger.ts';
import type { AnyObject, ClusterObjects } from './cluster-objects.ts';
import { controllerOf } from './cluster-objects.ts';
import type { EventRecorder } from './event-recorder.ts';
import { WorkQueue } from './work-queue.ts';

/** What every controller is given. */
export interface ControllerContext {
  readonly objects: ClusterObjects;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A loop that brings objects closer to what their specs ask for. It starts when it is made. */
export interface Controller {
  stop(): void;
}

/** A queue for the controller called `name`. */
export function queueOf({ clock, log }: ControllerContext, name: string, work: (key: string) => void): WorkQueue {
  return new WorkQueue(name, clock, log, work);
}

/**
 * Adds the objects of `kind`, and those that control or could adopt a changed object of the `dependents` kinds, to
 * the queue.
 */
export function enqueueOwners(
  { objects }: ControllerContext,
  queue: WorkQueue,
  kind: string,
  dependents: readonly string[],
  selectedBy: (owner: AnyObject, dependent: AnyObject) => boolean,
): void {
  objects.watch(kind, ({ object }) => queue.add(keyOf(object)));
  for (const dependent of dependents) {
    objects.watch(dependent, ({ object, previous }) => {
      const { namespace } = object.metadata;
      const owners = [controllerOf(object), previous && controllerOf(previous)];
      for (const owner of owners) if (owner?.kind === kind) queue.add(`${namespace ?? ''}/${owner.name}`);
      if (owners[0] !== undefined) return;
      // Nobody's: whoever selects it may adopt it.
      for (const candidate of objects.list<AnyObject>(kind, namespace))
        if (selectedBy(candidate, object)) queue.add(keyOf(candidate));
    });
  }
}

function keyOf({ metadata: { namespace, name } }: AnyObject): string {
  return `${namespace ?? ''}/${name}`;
}
