import { rfc3339 } from '../../core/clock.ts';
import type { Pod } from '../../core/objects.ts';
import { controllerOf, fromKey, keyOf, type AnyObject } from './cluster-objects.ts';
import { withCondition } from './conditions.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { scaledValue } from './int-or-percent.ts';
import { selectsLabels } from './label-selector.ts';
import { isPodFinished, isPodReady, isPodTerminating } from './pod-state.ts';
import type { PodDisruptionBudget, ReplicaSet } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/** A pod that was evicted has so long to be deleted. */
const evictionMs = 120_000;
const scaled = ['ReplicaSet', 'ReplicationController', 'StatefulSet', 'Deployment'];

/** Says how many pods a budget lets go. Follows pkg/controller/disruption/disruption.go. */
export class DisruptionController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    const { objects } = context;
    this.#context = context;
    this.#queue = queueOf(context, 'disruption-controller', (key) => this.#sync(key));
    objects.watch('PodDisruptionBudget', ({ object }) => this.#queue.add(keyOf(object)));
    objects.watch('Pod', ({ object, previous }) => {
      for (const budget of objects.list<PodDisruptionBudget>('PodDisruptionBudget', object.metadata.namespace)) {
        const selects = ({ metadata }: AnyObject) => selectsLabels(budget.spec.selector, metadata.labels);
        if (selects(object) || (previous && selects(previous))) this.#queue.add(keyOf(budget));
      }
    });
    for (const kind of scaled) {
      objects.watch(kind, ({ object, previous }) => {
        if (sizeOf(object) === (previous && sizeOf(previous))) return;
        for (const budget of objects.list<AnyObject>('PodDisruptionBudget', object.metadata.namespace))
          this.#queue.add(keyOf(budget));
      });
    }
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, events, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const budget = objects.find<PodDisruptionBudget>('PodDisruptionBudget', namespace, name);
    if (budget === undefined) return;
    const pods = objects
      .list<Pod>('Pod', namespace)
      .filter((pod) => selectsLabels(budget.spec.selector, pod.metadata.labels) && !isPodFinished(pod));
    if (pods.length === 0) events.record('controllermanager', budget, 'Normal', 'NoPods', 'No matching pods found');
    const now = clock.now();
    const disrupted = Object.entries(budget.status?.disruptedPods ?? {}).filter(([podName, since]) => {
      const pod = pods.find(({ metadata }) => metadata.name === podName);
      return pod !== undefined && !isPodTerminating(pod) && Date.parse(since) + evictionMs > now;
    });
    for (const [, since] of disrupted) this.#queue.addAfter(key, Date.parse(since) + evictionMs - now);
    const expired = new Set(disrupted.map(([podName]) => podName));
    const healthy = pods.filter(
      (pod) => !isPodTerminating(pod) && !expired.has(pod.metadata.name) && isPodReady(pod),
    ).length;
    const { expected, desired } = this.#demand(budget, pods);
    const allowed = expected > 0 ? Math.max(0, healthy - desired) : 0;
    const observedGeneration = budget.metadata.generation ?? 0;
    objects.updateStatus(budget, {
      currentHealthy: healthy,
      desiredHealthy: desired,
      expectedPods: expected,
      disruptionsAllowed: allowed,
      ...(disrupted.length > 0 && { disruptedPods: Object.fromEntries(disrupted) }),
      observedGeneration,
      conditions: withCondition(budget.status?.conditions, {
        type: 'DisruptionAllowed',
        status: allowed > 0 ? 'True' : 'False',
        reason: allowed > 0 ? 'SufficientPods' : 'InsufficientPods',
        message: '',
        observedGeneration,
        lastTransitionTime: rfc3339(now),
      }).map((condition) => ({ ...condition, observedGeneration })),
    });
  }

  #demand({ spec }: PodDisruptionBudget, pods: readonly Pod[]): { expected: number; desired: number } {
    if (spec.maxUnavailable !== undefined) {
      const expected = this.#expectedScale(pods);
      return { expected, desired: Math.max(0, expected - (scaledValue(spec.maxUnavailable, expected, 'up') ?? 0)) };
    }
    if (typeof spec.minAvailable === 'string') {
      const expected = this.#expectedScale(pods);
      return { expected, desired: scaledValue(spec.minAvailable, expected, 'up') ?? 0 };
    }
    return { expected: pods.length, desired: spec.minAvailable ?? 0 };
  }

  /** The sizes of the pods' controllers; a Deployment's counts for its replica sets. */
  #expectedScale(pods: readonly Pod[]): number {
    const { objects } = this.#context;
    const sizes = new Map<string, number>();
    for (const pod of pods) {
      const owner = controllerOf(pod);
      if (owner === undefined || !scaled.includes(owner.kind)) continue;
      let controller = objects.find<ReplicaSet>(owner.kind, pod.metadata.namespace, owner.name);
      const above = controller && controllerOf(controller);
      if (above?.kind === 'Deployment')
        controller = objects.find<ReplicaSet>('Deployment', pod.metadata.namespace, above.name);
      if (controller !== undefined) sizes.set(controller.metadata.uid, sizeOf(controller));
    }
    return [...sizes.values()].reduce((sum, size) => sum + size, 0);
  }
}

function sizeOf(object: AnyObject): number {
  return (object as ReplicaSet).spec.replicas ?? 1;
}
