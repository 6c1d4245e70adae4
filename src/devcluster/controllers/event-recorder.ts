import { rfc3339, type Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { KubeEvent } from '../../core/objects.ts';
import type { Logger } from '../../core/logger.ts';
import type { AnyObject, ClusterObjects } from './cluster-objects.ts';

/** How many kinds of event are remembered for counting. */
const remembered = 4096;

/**
 * Records core/v1 events as client-go's recorder does: an event that repeats is counted, not stored again. Follows
 * tools/record/event.go and events_cache.go of k8s.io/client-go. Events are best effort: a refused one is logged.
 */
export class EventRecorder {
  readonly #objects: ClusterObjects;
  readonly #clock: Clock;
  readonly #log: Logger;
  /** What was recorded → the name of its event, the oldest first. */
  readonly #names = new Map<string, string>();
  #serial = 0n;

  constructor(objects: ClusterObjects, clock: Clock, log: Logger) {
    this.#objects = objects;
    this.#clock = clock;
    this.#log = log;
  }

  /** `component` is the controller's name: `replicaset-controller`. */
  record(
    component: string,
    about: AnyObject & { apiVersion?: string | undefined },
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void {
    try {
      this.#record(component, about, type, reason, message);
    } catch (error) {
      this.#log.debug('event not recorded', { reason, err: messageOf(error) });
    }
  }

  #record(
    component: string,
    about: AnyObject & { apiVersion?: string | undefined },
    type: string,
    reason: string,
    text: string,
  ): void {
    const { name, namespace, uid, resourceVersion } = about.metadata;
    const home = namespace ?? 'default';
    const message = text.length > 1024 ? text.slice(0, 1024) : text;
    const key = [component, uid, type, reason, message].join('\0');
    const now = rfc3339(this.#clock.now());
    const before = this.#names.get(key);
    const event = before === undefined ? undefined : this.#objects.find<KubeEvent & AnyObject>('Event', home, before);
    if (event !== undefined) {
      this.#objects.update(event, { count: (event.count ?? 1) + 1, lastTimestamp: now });
      return;
    }
    const stamp = (BigInt(this.#clock.now()) * 1_000_000n + (this.#serial++ % 1_000_000n)).toString(16);
    this.#names.delete(key);
    this.#names.set(key, `${name}.${stamp}`);
    for (const [oldest] of this.#names)
      if (this.#names.size > remembered) this.#names.delete(oldest);
      else break;
    this.#objects.create('Event', home, {
      metadata: { name: `${name}.${stamp}`, namespace: home },
      involvedObject: {
        kind: about.kind,
        apiVersion: about.apiVersion,
        name,
        uid,
        ...(namespace !== undefined && { namespace }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
      reason,
      message,
      type,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component },
      reportingComponent: component,
    });
  }
}
