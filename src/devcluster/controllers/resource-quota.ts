import { fromKey, keyOf, ownableKinds, type AnyObject } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { quotaUsage } from './quota-usage.ts';
import type { ResourceQuota } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/** Says in every quota's status what is used. Follows pkg/controller/resourcequota/resource_quota_controller.go. */
export class ResourceQuotaController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    const { objects } = context;
    this.#context = context;
    this.#queue = queueOf(context, 'resourcequota-controller', (key) => this.#sync(key));
    for (const kind of ownableKinds) {
      objects.watch(kind, ({ type, object, previous }) => {
        const { namespace } = object.metadata;
        if (kind === 'ResourceQuota') this.#queue.add(keyOf(object));
        else if (namespace === undefined || (type === 'MODIFIED' && !matters(object, previous))) return;
        for (const quota of objects.list<AnyObject>('ResourceQuota', namespace)) this.#queue.add(keyOf(quota));
      });
    }
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects } = this.#context;
    const { namespace, name } = fromKey(key);
    const quota = objects.find<ResourceQuota>('ResourceQuota', namespace, name);
    if (quota === undefined) return;
    const used = quotaUsage(quota, <T>(kind: string) => objects.list<T>(kind, namespace));
    objects.updateStatus(quota, { hard: quota.spec.hard ?? {}, used });
  }
}

/** Only what a quota counts by amounts can change its use without coming or going. */
function matters(object: AnyObject, previous: unknown): boolean {
  const facts = (of: unknown) => {
    const { spec, status } = of as { spec?: unknown; status?: { phase?: string } };
    return JSON.stringify([spec, status?.phase]);
  };
  return ['Pod', 'Service', 'PersistentVolumeClaim'].includes(object.kind ?? '') && facts(object) !== facts(previous);
}
