import { messageOf } from '../../core/errors.ts';
import { rfc3339 } from '../../core/clock.ts';
import type { Pod } from '../../core/objects.ts';
import { claim } from './claim.ts';
import { fromKey } from './cluster-objects.ts';
import { findCondition, withCondition, withoutCondition } from './conditions.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import { hasLabels, selectsLabels } from './label-selector.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate } from './pod-control.ts';
import {
  availableInMs,
  inDeletionOrder,
  isPodActive,
  isPodAvailable,
  isPodFinished,
  isPodReady,
  isPodTerminating,
} from './pod-state.ts';
import type { LabelSelector, ReplicaSet, ReplicationController } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

/** As many pods are created or deleted in one go (BurstReplicas). */
const burst = 500;

/** What a replication controller has of a replica set, and what they share. */
type Replicated = ReplicaSet | ReplicationController;

/**
 * Keeps as many pods of a template as asked for. It does so for replica sets and, with their older selector, for
 * replication controllers. Follows pkg/controller/replicaset/replica_set.go and replica_set_utils.go.
 */
export class ReplicaSetController implements Controller {
  readonly #context: ControllerContext;
  readonly #kind: 'ReplicaSet' | 'ReplicationController';
  readonly #pods: PodControl;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext, kind: 'ReplicaSet' | 'ReplicationController') {
    const component = kind === 'ReplicaSet' ? 'replicaset-controller' : 'replication-controller';
    this.#context = context;
    this.#kind = kind;
    this.#pods = new PodControl(context, component);
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, kind, ['Pod'], (owner, pod) =>
      selectsLabels(selectorOf(owner as Replicated), pod.metadata.labels),
    );
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const set = objects.find<Replicated>(this.#kind, namespace, name);
    if (set === undefined) return;
    const selector = selectorOf(set);
    // Finished pods are neither adopted nor released.
    const pods = claim<Pod>(this.#context, set, 'Pod', (pod) => selectsLabels(selector, pod.metadata.labels));
    const active = pods.filter(isPodActive);
    let failure: Error | undefined;
    if (set.metadata.deletionTimestamp === undefined) {
      try {
        this.#manage(set, active);
      } catch (error) {
        failure = error as Error;
      }
    }
    const now = clock.now();
    const minReadySeconds = set.spec.minReadySeconds ?? 0;
    const ready = active.filter(isPodReady);
    const available = ready.filter((pod) => isPodAvailable(pod, minReadySeconds, now));
    objects.updateStatus(set as ReplicaSet, {
      ...set.status,
      replicas: active.length,
      fullyLabeledReplicas: active.filter((pod) => hasLabels(pod.metadata.labels, set.spec.template?.metadata?.labels))
        .length,
      readyReplicas: ready.length,
      availableReplicas: available.length,
      ...(this.#kind === 'ReplicaSet' && {
        terminatingReplicas: pods.filter((pod) => isPodTerminating(pod) && !isPodFinished(pod)).length,
      }),
      observedGeneration: set.metadata.generation ?? 0,
      conditions: failureConditions(set, active.length, failure, rfc3339(now)),
    });
    for (const pod of ready) {
      const wait = availableInMs(pod, minReadySeconds, now);
      if (wait > 0) this.#queue.addAfter(key, wait);
    }
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
  }

  /** Creates what is missing, deletes what is too much. */
  #manage(set: Replicated, active: readonly Pod[]): void {
    const wanted = set.spec.replicas ?? 1;
    const missing = Math.min(wanted - active.length, burst);
    for (let i = 0; i < missing; i++) {
      if (set.spec.template) this.#pods.create(set, podFromTemplate(set, set.spec.template));
    }
    if (missing > 0 && wanted - active.length > burst)
      this.#queue.add(`${set.metadata.namespace}/${set.metadata.name}`);
    const surplus = Math.min(active.length - wanted, burst);
    if (surplus <= 0) return;
    const rank = this.#ranks(set);
    const order = surplus < active.length ? inDeletionOrder(active, rank, this.#context.clock.now()) : active;
    for (const pod of order.slice(0, surplus)) this.#pods.delete(set, pod);
  }

  /** How many active pods of the sets with the same owner are on a pod's node. */
  #ranks(set: Replicated): (pod: Pod) => number {
    const { objects } = this.#context;
    const owner = set.metadata.ownerReferences?.find((reference) => reference.controller);
    const related = owner === undefined ? [set] : objects.controlledBy<Replicated>(this.#kind, owner.uid);
    const perNode = new Map<string, number>();
    for (const { metadata } of related) {
      for (const pod of objects.controlledBy<Pod>('Pod', metadata.uid)) {
        const node = pod.spec.nodeName;
        if (node && isPodActive(pod)) perNode.set(node, (perNode.get(node) ?? 0) + 1);
      }
    }
    return (pod) => perNode.get(pod.spec.nodeName ?? '') ?? 0;
  }
}

function selectorOf(set: Replicated): LabelSelector | undefined {
  if (set.kind === 'ReplicaSet') return (set as ReplicaSet).spec.selector;
  const matchLabels = (set as ReplicationController).spec.selector;
  return matchLabels === undefined ? undefined : { matchLabels };
}

function failureConditions(set: Replicated, active: number, failure: Error | undefined, now: string) {
  const before = set.status?.conditions;
  if (failure === undefined) return withoutCondition(before, 'ReplicaFailure');
  if (findCondition(before, 'ReplicaFailure') !== undefined) return [...(before ?? [])];
  const reason = active < (set.spec.replicas ?? 1) ? 'FailedCreate' : 'FailedDelete';
  return withCondition(before, {
    type: 'ReplicaFailure',
    status: 'True',
    lastTransitionTime: now,
    reason,
    message: messageOf(failure),
  });
}
