import { rfc3339 } from '../../core/clock.ts';
import type { Pod, PodCondition } from '../../core/objects.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { isPodFinished, isPodTerminating } from './pod-state.ts';
import type { WorkQueue } from './work-queue.ts';

/** A node may be away for so long before its pods are given up. */
const quarantineMs = 40_000;
/** So many finished pods may lie about (--terminated-pod-gc-threshold). */
const finishedThreshold = 12_500;

/**
 * Removes pods that no kubelet will: those of nodes that are gone, those deleted before they had a node, and the oldest
 * of too many finished ones. Follows pkg/controller/podgc/gc_controller.go.
 */
export class PodGarbageCollector implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  readonly #finished = new Map<string, Pod>();

  constructor(context: ControllerContext) {
    const { objects } = context;
    this.#context = context;
    this.#queue = queueOf(context, 'pod-garbage-collector', (key) => this.#sync(key));
    objects.watch('Pod', ({ type, object }) => {
      const pod = object as unknown as Pod;
      if (type !== 'DELETED' && isPodFinished(pod)) this.#finished.set(pod.metadata.uid, pod);
      else this.#finished.delete(pod.metadata.uid);
      if (this.#finished.size > finishedThreshold) this.#queue.add('finished');
      if (type === 'DELETED') return;
      if (!pod.spec.nodeName ? isPodTerminating(pod) : !this.#hasNode(pod)) this.#queue.add(keyOf(object));
    });
    objects.watch('Node', ({ type, object }) => {
      if (type !== 'DELETED') return;
      for (const pod of objects.podsOnNode<Pod>(object.metadata.name)) this.#queue.addAfter(keyOf(pod), quarantineMs);
    });
  }

  stop(): void {
    this.#queue.stop();
    this.#finished.clear();
  }

  #hasNode({ spec }: Pod): boolean {
    return this.#context.objects.find('Node', undefined, spec.nodeName ?? '') !== undefined;
  }

  #sync(key: string): void {
    const { objects, clock } = this.#context;
    if (key === 'finished') return this.#deleteOldest();
    const { namespace, name } = fromKey(key);
    const pod = objects.find<Pod>('Pod', namespace, name);
    if (pod === undefined) return;
    if (!pod.spec.nodeName) {
      if (isPodTerminating(pod)) this.#delete(pod);
      return;
    }
    if (this.#hasNode(pod)) return;
    const created = Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
    const wait = created + quarantineMs - clock.now();
    if (wait > 0) return this.#queue.addAfter(key, wait);
    this.#delete(pod, {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'DeletionByPodGC',
      message: 'PodGC: node no longer exists',
      lastTransitionTime: rfc3339(clock.now()),
    });
  }

  /** A pod that has not ended is marked as failed first, so that whoever counts it learns of it. */
  #delete(pod: Pod, condition?: PodCondition): void {
    const { objects } = this.#context;
    let gone = pod;
    if (!isPodFinished(pod)) {
      const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== condition?.type);
      const conditions = condition === undefined ? others : [...others, condition];
      gone = objects.updateStatus(pod, { ...pod.status, phase: 'Failed', conditions });
    }
    objects.delete(gone, { gracePeriodSeconds: 0 });
  }

  #deleteOldest(): void {
    const created = ({ metadata }: Pod) => Date.parse(metadata.creationTimestamp ?? '') || 0;
    const oldest = [...this.#finished.values()].sort((a, b) => created(a) - created(b));
    for (const pod of oldest.slice(0, Math.max(0, oldest.length - finishedThreshold)))
      this.#context.objects.delete(pod, { gracePeriodSeconds: 0 });
  }
}
