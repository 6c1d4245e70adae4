import { messageOf } from '../../core/errors.ts';
import type { Pod } from '../../core/objects.ts';
import { claim } from './claim.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import { canonicalJson, revisionHash } from './hash.ts';
import { scaledValue } from './int-or-percent.ts';
import { selectsLabels } from './label-selector.ts';
import { isNamespaceTerminating } from './pod-control.ts';
import { availableInMs, isPodAvailable, isPodFinished, isPodReady, isPodTerminating } from './pod-state.ts';
import {
  revisionData,
  revisionLabel,
  revisionsOf,
  revisionTemplate,
  syncRevision,
  truncateHistory,
} from './revision-history.ts';
import { claimNames, claimOwner, claimsOf, firstOrdinal, ordinalOf, statefulPod } from './stateful-pod.ts';
import type { ControllerRevision, PersistentVolumeClaim, StatefulSet } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'statefulset-controller';

interface Revisions {
  readonly current: ControllerRevision;
  readonly update: ControllerRevision;
}

/** Keeps pods with an identity, one after the other or all at once. Follows pkg/controller/statefulset. */
export class StatefulSetController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, 'StatefulSet', ['Pod'], (owner, pod) =>
      selectsLabels((owner as StatefulSet).spec.selector, pod.metadata.labels),
    );
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, clock } = this.#context;
    const { namespace, name } = fromKey(key);
    const set = objects.find<StatefulSet>('StatefulSet', namespace, name);
    if (set === undefined) return;
    const revisions = this.#revisions(set);
    if (revisions === undefined) return;
    const pods = this.#podsOf(set);
    let failure: Error | undefined;
    if (set.metadata.deletionTimestamp === undefined) {
      try {
        this.#manage(set, revisions, pods);
      } catch (error) {
        failure = error as Error;
      }
    }
    const after = this.#podsOf(set);
    this.#report(set, revisions, after);
    const inUse = [
      ...after.map((pod) => pod.metadata.labels?.[revisionLabel] ?? ''),
      revisions.current.metadata.name,
      revisions.update.metadata.name,
    ];
    truncateHistory(objects, set, new Set(inUse), set.spec.revisionHistoryLimit ?? 10);
    for (const pod of after) {
      const wait = isPodReady(pod) ? availableInMs(pod, set.spec.minReadySeconds ?? 0, clock.now()) : 0;
      if (wait > 0) this.#queue.addAfter(key, wait);
    }
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
  }

  #podsOf(set: StatefulSet): Pod[] {
    return claim<Pod>(
      this.#context,
      set,
      'Pod',
      (pod) => selectsLabels(set.spec.selector, pod.metadata.labels) && ordinalOf(set, pod) !== undefined,
    );
  }

  /** Undefined when a collision of names was noted: the next try takes another. */
  #revisions(set: StatefulSet): Revisions | undefined {
    const { objects } = this.#context;
    const { template } = set.spec;
    const { collisionCount, currentRevision } = set.status ?? {};
    const update = syncRevision(objects, set, template, collisionCount, {
      hash: (collisions) => revisionHash(canonicalJson(revisionData(template)), collisions ?? 0),
      labels: (hash) => ({ 'controller.kubernetes.io/hash': hash }),
    });
    if (update === undefined) {
      objects.updateStatus(set, { replicas: 0, ...set.status, collisionCount: (collisionCount ?? 0) + 1 });
      return undefined;
    }
    const current = revisionsOf(objects, set).find(({ metadata }) => metadata.name === currentRevision) ?? update;
    return { current, update };
  }

  #manage(set: StatefulSet, revisions: Revisions, pods: readonly Pod[]): void {
    const first = firstOrdinal(set);
    const count = set.spec.replicas ?? 1;
    const oneByOne = set.spec.podManagementPolicy !== 'Parallel';
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod) ?? -1, pod]));
    for (let ordinal = first; ordinal < first + count; ordinal++) {
      const goOn = this.#keep(set, revisions, ordinal, byOrdinal.get(ordinal), oneByOne);
      if (!goOn && oneByOne) return;
    }
    const condemned = [...byOrdinal]
      .filter(([ordinal]) => ordinal < first || ordinal >= first + count)
      .sort(([a], [b]) => b - a)
      .map(([, pod]) => pod);
    for (const pod of condemned) this.#ownClaims(set, pod, true);
    if (!this.#scaleDown(set, condemned, oneByOne)) return;
    if (set.spec.updateStrategy?.type !== 'OnDelete') this.#update(set, revisions, byOrdinal);
  }

  /** Sees to the pod of one ordinal; false when what follows has to wait for it. */
  #keep(set: StatefulSet, revisions: Revisions, ordinal: number, pod: Pod | undefined, oneByOne: boolean): boolean {
    if (pod !== undefined && isPodFinished(pod)) {
      if (!isPodTerminating(pod)) this.#delete(set, pod);
      return false;
    }
    if (pod === undefined) {
      this.#create(set, this.#revisionFor(set, revisions, ordinal), ordinal);
      return !oneByOne;
    }
    if (pod.status?.phase === 'Pending') this.#createClaims(set, ordinal, pod.metadata.name);
    this.#ownClaims(set, pod, false);
    if (!oneByOne) return true;
    return !isPodTerminating(pod) && pod.status?.phase === 'Running' && this.#isAvailable(set, pod);
  }

  #isAvailable({ spec }: StatefulSet, pod: Pod): boolean {
    return isPodAvailable(pod, spec.minReadySeconds ?? 0, this.#context.clock.now());
  }

  /** A pod below the partition, or one that the update has not come to, is made as it was (newVersionedStatefulSetPod). */
  #revisionFor(set: StatefulSet, { current, update }: Revisions, ordinal: number): ControllerRevision {
    const { type, rollingUpdate } = set.spec.updateStrategy ?? {};
    if (type === 'OnDelete') return update;
    const below = rollingUpdate === undefined ? (set.status?.currentReplicas ?? 0) : (rollingUpdate.partition ?? 0);
    return ordinal < firstOrdinal(set) + below ? current : update;
  }

  /** Deletes what is too much, the highest ordinal first; false while something is on its way out. */
  #scaleDown(set: StatefulSet, condemned: readonly Pod[], oneByOne: boolean): boolean {
    if (condemned.length === 0) return true;
    const lowestBroken = condemned.findLast((pod) => isPodTerminating(pod) || !this.#isAvailable(set, pod));
    for (const pod of condemned) {
      if (isPodTerminating(pod)) {
        if (oneByOne) return false;
        continue;
      }
      if (oneByOne && !this.#isAvailable(set, pod) && pod !== lowestBroken) return false;
      this.#delete(set, pod);
      if (oneByOne) return false;
    }
    return true;
  }

  /** Replaces pods of an old revision from the highest ordinal down, as many as may be unavailable. */
  #update(set: StatefulSet, { update }: Revisions, byOrdinal: ReadonlyMap<number, Pod>): void {
    const { partition = 0, maxUnavailable } = set.spec.updateStrategy?.rollingUpdate ?? {};
    const first = firstOrdinal(set);
    const count = set.spec.replicas ?? 1;
    const allowed = Math.max(1, scaledValue(maxUnavailable ?? 1, count, 'up') ?? 1);
    const replicas = Array.from({ length: count }, (_, i) => byOrdinal.get(first + i));
    const down = replicas.filter((pod) => pod === undefined || isPodTerminating(pod) || !this.#isAvailable(set, pod));
    let left = allowed - down.length;
    // A pod that does not work is no obstacle to its own replacement, but the ones below it wait for it.
    for (let i = count - 1; i >= partition && left > 0; i--) {
      const pod = replicas[i];
      if (pod === undefined || isPodTerminating(pod) || pod.metadata.labels?.[revisionLabel] === update.metadata.name)
        continue;
      this.#delete(set, pod);
      left--;
    }
  }

  #create(set: StatefulSet, revision: ControllerRevision, ordinal: number): void {
    const { objects, events } = this.#context;
    const name = `${set.metadata.name}-${ordinal}`;
    this.#createClaims(set, ordinal, name);
    const pod = statefulPod(set, revisionTemplate(revision), revision.metadata.name, ordinal);
    try {
      const created = objects.create<Pod>('Pod', set.metadata.namespace, pod);
      events.record(
        component,
        set,
        'Normal',
        'SuccessfulCreate',
        `Create Pod ${name} in StatefulSet ${set.metadata.name} successful`,
      );
      this.#ownClaims(set, created, false);
    } catch (error) {
      if (!isNamespaceTerminating(error))
        events.record(
          component,
          set,
          'Warning',
          'FailedCreate',
          `Create Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${messageOf(error)}`,
        );
      throw error;
    }
  }

  #delete(set: StatefulSet, pod: Pod): void {
    if (this.#context.objects.delete(pod))
      this.#context.events.record(
        component,
        set,
        'Normal',
        'SuccessfulDelete',
        `Delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`,
      );
  }

  #createClaims(set: StatefulSet, ordinal: number, pod: string): void {
    const { objects, events } = this.#context;
    const names = claimNames(set, ordinal);
    for (const [i, body] of claimsOf(set, ordinal).entries()) {
      const name = names[i] as string;
      if (objects.find('PersistentVolumeClaim', set.metadata.namespace, name) !== undefined) continue;
      objects.create('PersistentVolumeClaim', set.metadata.namespace, body);
      events.record(
        component,
        set,
        'Normal',
        'SuccessfulCreate',
        `Create Claim ${name} Pod ${pod} in StatefulSet ${set.metadata.name} success`,
      );
    }
  }

  /** Gives the pod's claims to whoever takes them along when it goes. */
  #ownClaims(set: StatefulSet, pod: Pod, condemned: boolean): void {
    const { objects } = this.#context;
    if (set.spec.persistentVolumeClaimRetentionPolicy === undefined) return;
    for (const name of claimNames(set, ordinalOf(set, pod) ?? -1)) {
      const found = objects.find<PersistentVolumeClaim>('PersistentVolumeClaim', set.metadata.namespace, name);
      if (found === undefined) continue;
      const ownerReferences = claimOwner(set, pod, condemned, found);
      if (canonicalJson(ownerReferences) !== canonicalJson(found.metadata.ownerReferences ?? []))
        objects.update(found, { metadata: { ...found.metadata, ownerReferences } });
    }
  }

  #report(set: StatefulSet, { current, update }: Revisions, pods: readonly Pod[]): void {
    const ready = pods.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod));
    const of = ({ metadata }: ControllerRevision) =>
      pods.filter((pod) => !isPodTerminating(pod) && pod.metadata.labels?.[revisionLabel] === metadata.name).length;
    const updated = of(update);
    const wanted = set.spec.replicas ?? 1;
    // When all pods are of the new revision it becomes the current one (completeRollingUpdate).
    const done =
      set.spec.updateStrategy?.type !== 'OnDelete' &&
      updated === wanted &&
      pods.length === wanted &&
      ready.length === wanted;
    const { collisionCount = 0, conditions } = set.status ?? {};
    this.#context.objects.updateStatus(set, {
      ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
      replicas: pods.length,
      readyReplicas: ready.length,
      availableReplicas: ready.filter((pod) => this.#isAvailable(set, pod)).length,
      currentReplicas: done ? updated : of(current),
      updatedReplicas: updated,
      currentRevision: done ? update.metadata.name : current.metadata.name,
      updateRevision: update.metadata.name,
      collisionCount,
      ...(conditions && { conditions }),
    });
    // The update may go on now that the status says so.
    if (done && current !== update) this.#queue.add(keyOf(set));
  }
}
