import { rfc3339 } from '../../core/clock.ts';
import type { KubeNode, Pod, PodCondition } from '../../core/objects.ts';
import { tolerates } from '../scheduling/node-fit.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'taint-eviction-controller';

/**
 * Deletes pods from nodes whose NoExecute taints they do not tolerate, or not for long. Follows
 * pkg/controller/tainteviction/taint_eviction.go.
 */
export class TaintEvictionController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    const { objects } = context;
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    objects.watch('Node', ({ object, previous }) => {
      const before = previous as unknown as KubeNode | undefined;
      if (JSON.stringify(noExecute(object)) === JSON.stringify(before ? noExecute(before) : [])) return;
      for (const pod of objects.podsOnNode<Pod>(object.metadata.name)) this.#queue.add(keyOf(pod));
    });
    objects.watch('Pod', ({ type, object, previous }) => {
      const node = (object['spec'] as Pod['spec']).nodeName;
      const before = (previous?.['spec'] as Pod['spec'] | undefined)?.nodeName;
      if (type !== 'DELETED' && node && node !== before) this.#queue.add(keyOf(object));
    });
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, events, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const pod = objects.find<Pod>('Pod', namespace, name);
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || !pod.spec.nodeName) return;
    const node = objects.find<KubeNode>('Node', undefined, pod.spec.nodeName);
    const at = node && evictionTime(pod, node, clock.now());
    if (at === undefined) return;
    if (at > clock.now()) return this.#queue.addAfter(key, at - clock.now());
    events.record(component, pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`);
    const condition: PodCondition = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByTaintManager',
      message: 'Taint manager: deleting due to NoExecute taint',
      lastTransitionTime: rfc3339(clock.now()),
    };
    const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
    objects.updateStatus(pod, { ...pod.status, conditions: [...others, condition] });
    objects.delete(pod);
  }
}

/** When the pod has to go, in milliseconds of the epoch; undefined when it may stay (processPodOnNode). */
export function evictionTime({ spec }: Pod, node: KubeNode, nowMs: number): number | undefined {
  const taints = noExecute(node);
  if (taints.length === 0) return undefined;
  let earliest: number | undefined;
  for (const taint of taints) {
    const used = (spec.tolerations ?? []).find((toleration) => tolerates(toleration, taint));
    if (used === undefined) return nowMs;
    if (used.tolerationSeconds === undefined) continue;
    const since = taint.timeAdded === undefined ? nowMs : Date.parse(taint.timeAdded);
    const end = since + Math.max(0, used.tolerationSeconds) * 1000;
    earliest = Math.min(earliest ?? end, end);
  }
  return earliest;
}

function noExecute({ spec }: KubeNode) {
  return (spec?.taints ?? []).filter(({ effect }) => effect === 'NoExecute');
}
