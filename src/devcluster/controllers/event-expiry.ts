import type { KubeEvent } from '../../core/objects.ts';
import { fromKey, keyOf, type AnyObject } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import type { WorkQueue } from './work-queue.ts';

/** An event that was not written to for so long is forgotten (--event-ttl of kube-apiserver). */
const ttlMs = 3_600_000;

/** Removes old events, as the API server's lease in etcd does. */
export class EventExpiry implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #written = new Map<string, number>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, 'event-expiry', (key) => this.#sync(key));
    context.objects.watch('Event', ({ type, object }) => {
      const key = keyOf(object);
      if (type === 'DELETED') {
        this.#written.delete(key);
        return;
      }
      this.#written.set(key, context.clock.now());
      this.#queue.addAfter(key, ttlMs);
    });
  }

  stop(): void {
    this.#queue.stop();
    this.#written.clear();
  }

  #sync(key: string): void {
    const written = this.#written.get(key);
    if (written === undefined) return;
    const left = written + ttlMs - this.#context.clock.now();
    if (left > 0) return this.#queue.addAfter(key, left);
    const { namespace, name } = fromKey(key);
    const event = this.#context.objects.find<KubeEvent & AnyObject>('Event', namespace, name);
    if (event !== undefined) this.#context.objects.delete(event);
  }
}
