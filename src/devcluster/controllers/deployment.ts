import { ApiError } from '../api-error.ts';
import { messageOf } from '../../core/errors.ts';
import type { Pod } from '../../core/objects.ts';
import { claim } from './claim.ts';
import { controllerOf, fromKey, keyOf } from './cluster-objects.ts';
import { findCondition } from './conditions.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import {
  deadlineInMs,
  deploymentCondition,
  hasDeadline,
  isComplete,
  rolloutStatusOf,
  setCondition,
  statusOf,
} from './deployment-status.ts';
import { podTemplateHash } from './hash.ts';
import { isEmptySelector, selectsLabels } from './label-selector.ts';
import { controllerReference, isNamespaceTerminating } from './pod-control.ts';
import { isPodFinished } from './pod-state.ts';
import {
  activeOrLatest,
  findNewSet,
  hashLabel,
  isRollingUpdate,
  isSaturated,
  isScalingEvent,
  newSetAnnotations,
  newSetReplicas,
  proportionalSizes,
  replicasOf,
  revisionAnnotation,
  revisionOf,
  scaleDownOld,
  sizeAnnotations,
} from './rollout.ts';
import type { Deployment, ReplicaSet } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'deployment-controller';

/** The replica sets of a Deployment: that of its present template, if there is one, and the others. */
interface Sets {
  readonly current: ReplicaSet | undefined;
  readonly old: readonly ReplicaSet[];
}

/** Moves Deployments from one replica set to the next. Follows pkg/controller/deployment. */
export class DeploymentController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, 'Deployment', ['ReplicaSet'], (owner, set) =>
      selectsLabels((owner as Deployment).spec.selector, set.metadata.labels),
    );
    // A Recreate rollout waits for the last old pod to go.
    context.objects.watch('Pod', ({ type, object }) => {
      const owner = type === 'DELETED' ? controllerOf(object) : undefined;
      const { namespace } = object.metadata;
      if (owner?.kind !== 'ReplicaSet') return;
      const set = context.objects.find<ReplicaSet>('ReplicaSet', namespace, owner.name);
      const deployment = set && controllerOf(set);
      if (deployment?.kind === 'Deployment') this.#queue.add(`${namespace ?? ''}/${deployment.name}`);
    });
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects, events } = this.#context;
    const { namespace, name } = fromKey(key);
    const deployment = objects.find<Deployment>('Deployment', namespace, name);
    if (deployment === undefined) return;
    if (isEmptySelector(deployment.spec.selector)) {
      events.record(
        component,
        deployment,
        'Warning',
        'SelectingAll',
        'This deployment is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    const owned = claim<ReplicaSet>(this.#context, deployment, 'ReplicaSet', (set) =>
      selectsLabels(deployment.spec.selector, set.metadata.labels),
    );
    const current = findNewSet(deployment, owned);
    const sets = { current, old: owned.filter((set) => set !== current) };
    if (deployment.metadata.deletionTimestamp !== undefined) return this.#report(deployment, sets, false);
    const fresh = this.#notePause(deployment);
    if (fresh.spec.paused === true || isScalingEvent(fresh, owned)) this.#scale(fresh, sets);
    else if (isRollingUpdate(fresh)) this.#roll(fresh, sets);
    else this.#recreate(fresh, sets);
  }

  /** Says in the Progressing condition that a rollout was paused or resumed, so that the deadline starts anew. */
  #notePause(deployment: Deployment): Deployment {
    if (!hasDeadline(deployment)) return deployment;
    const { status, spec } = deployment;
    const reason = findCondition(status?.conditions, 'Progressing')?.reason;
    const paused = spec.paused === true;
    if (reason === 'ProgressDeadlineExceeded' || paused === (reason === 'DeploymentPaused')) return deployment;
    const what = paused ? 'Paused' : 'Resumed';
    return this.#setCondition(deployment, 'Unknown', `Deployment${what}`, `Deployment is ${what.toLowerCase()}`);
  }

  #setCondition(deployment: Deployment, value: string, reason: string, message: string): Deployment {
    const condition = deploymentCondition('Progressing', value, reason, message, this.#context.clock.now());
    const conditions = setCondition(deployment.status?.conditions, condition);
    return this.#context.objects.updateStatus(deployment, { ...deployment.status, conditions });
  }

  /** A paused Deployment, or one whose size changed: every replica set gets its share. */
  #scale(deployment: Deployment, before: Sets): void {
    const { deployment: fresh, sets } = this.#syncRevision(deployment, before, false);
    const { current, old } = sets;
    const only = activeOrLatest(current, old);
    let after = sets;
    if (only !== undefined) after = this.#resize(fresh, sets, new Map([[only, replicasOf(fresh)]]));
    else if (isSaturated(fresh, current)) after = this.#resize(fresh, sets, new Map(old.map((set) => [set, 0])));
    else if (isRollingUpdate(fresh)) {
      const active = allOf(sets).filter((set) => replicasOf(set) > 0);
      after = this.#resize(fresh, sets, proportionalSizes(fresh, active), true);
    }
    if (fresh.spec.paused === true) this.#cleanUp(fresh, after.old);
    this.#report(fresh, after, false);
  }

  #roll(deployment: Deployment, before: Sets): void {
    const { deployment: fresh, sets } = this.#syncRevision(deployment, before, true);
    const { current } = sets;
    if (current === undefined) return;
    const size = replicasOf(current);
    const wanted = replicasOf(fresh);
    const next = size > wanted ? wanted : size < wanted ? newSetReplicas(fresh, allOf(sets), size) : size;
    const grown = this.#resize(fresh, sets, new Map([[current, next]]));
    if (next !== size) return this.#report(fresh, grown, true);
    const sizes = scaleDownOld(
      fresh,
      current,
      sets.old.filter((set) => replicasOf(set) > 0),
    );
    const shrunk = this.#resize(fresh, sets, sizes);
    const changed = [...sizes].some(([set, count]) => replicasOf(set) !== count);
    if (!changed && isComplete(fresh, fresh.status)) this.#cleanUp(fresh, shrunk.old);
    this.#report(fresh, shrunk, true);
  }

  #recreate(deployment: Deployment, before: Sets): void {
    const { deployment: fresh, sets } = this.#syncRevision(deployment, before, false);
    const active = sets.old.filter((set) => replicasOf(set) > 0);
    if (active.length > 0) {
      const shrunk = this.#resize(fresh, sets, new Map(active.map((set) => [set, 0])));
      return this.#report(fresh, shrunk, true);
    }
    const busy = sets.old.some(
      (set) =>
        (set.status?.replicas ?? 0) > 0 ||
        this.#context.objects.controlledBy<Pod>('Pod', set.metadata.uid).some((pod) => !isPodFinished(pod)),
    );
    if (busy) return this.#report(fresh, sets, true);
    const made = this.#syncRevision(fresh, sets, true);
    if (made.sets.current === undefined) return;
    const grown = this.#resize(made.deployment, made.sets, new Map([[made.sets.current, replicasOf(fresh)]]));
    if (isComplete(made.deployment, made.deployment.status)) this.#cleanUp(made.deployment, grown.old);
    this.#report(made.deployment, grown, true);
  }

  /** Finds or makes the new replica set; it gets the highest revision, and the Deployment shows it. */
  #syncRevision(deployment: Deployment, sets: Sets, create: boolean): { deployment: Deployment; sets: Sets } {
    const { objects, events } = this.#context;
    const revision = Math.max(0, ...sets.old.map(revisionOf)) + 1;
    const { current } = sets;
    if (current === undefined && !create) return { deployment, sets };
    let fresh = deployment;
    let set = current;
    if (set === undefined) {
      set = this.#create(deployment, sets, revision);
      if (set === undefined) return { deployment, sets };
      const size = replicasOf(set);
      if (size > 0)
        events.record(
          component,
          deployment,
          'Normal',
          'ScalingReplicaSet',
          `Scaled up replica set ${set.metadata.name} from 0 to ${size}`,
        );
      if (hasDeadline(deployment))
        fresh = this.#setCondition(
          fresh,
          'True',
          'NewReplicaSetCreated',
          `Created new replica set "${set.metadata.name}"`,
        );
    } else {
      const annotations = newSetAnnotations(deployment, set, revision);
      const { minReadySeconds } = deployment.spec;
      set = objects.update(set, {
        metadata: { ...set.metadata, annotations },
        spec: { ...set.spec, minReadySeconds: minReadySeconds ?? 0 },
      });
      if (hasDeadline(fresh) && findCondition(fresh.status?.conditions, 'Progressing') === undefined)
        fresh = this.#setCondition(fresh, 'True', 'FoundNewReplicaSet', `Found new replica set "${set.metadata.name}"`);
    }
    const shown = set.metadata.annotations?.[revisionAnnotation] ?? String(revision);
    if (fresh.metadata.annotations?.[revisionAnnotation] !== shown) {
      const annotations = { ...fresh.metadata.annotations, [revisionAnnotation]: shown };
      fresh = objects.update(fresh, { metadata: { ...fresh.metadata, annotations } });
    }
    return { deployment: fresh, sets: { current: set, old: sets.old } };
  }

  /** Undefined when a hash collision was noted, after which the next try gets another name. */
  #create(deployment: Deployment, { old }: Sets, revision: number): ReplicaSet | undefined {
    const { objects, events } = this.#context;
    const { spec, status, metadata } = deployment;
    const hash = podTemplateHash(spec.template, status?.collisionCount);
    const labels = { ...spec.template.metadata?.labels, [hashLabel]: hash };
    const name = `${metadata.name.slice(0, 252 - hash.length)}-${hash}`;
    const body = {
      metadata: {
        name,
        labels,
        annotations: newSetAnnotations(deployment, undefined, revision),
        ownerReferences: [controllerReference(deployment)],
      },
      spec: {
        replicas: newSetReplicas(deployment, old, 0),
        minReadySeconds: spec.minReadySeconds ?? 0,
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [hashLabel]: hash } },
        template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
      },
    };
    try {
      return objects.create<ReplicaSet>('ReplicaSet', metadata.namespace, body);
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'AlreadyExists') {
        objects.updateStatus(deployment, { ...status, collisionCount: (status?.collisionCount ?? 0) + 1 });
        return undefined;
      }
      if (isNamespaceTerminating(error)) return undefined;
      const message = `Failed to create new replica set "${name}": ${messageOf(error)}`;
      if (hasDeadline(deployment)) this.#setCondition(deployment, 'False', 'ReplicaSetCreateError', message);
      events.record(component, deployment, 'Warning', 'ReplicaSetCreateError', message);
      throw error;
    }
  }

  /** Gives replica sets new sizes; returns all as they are then. `noteSizes` also updates the sizes they note. */
  #resize(deployment: Deployment, sets: Sets, sizes: ReadonlyMap<ReplicaSet, number>, noteSizes = false): Sets {
    const resized = (set: ReplicaSet): ReplicaSet => {
      const size = sizes.get(set);
      const before = replicasOf(set);
      if (size === undefined || (size === before && !noteSizes)) return set;
      const annotations = { ...set.metadata.annotations, ...sizeAnnotations(deployment) };
      const after = this.#context.objects.update(set, {
        metadata: { ...set.metadata, annotations },
        spec: { ...set.spec, replicas: size },
      });
      if (size !== before) {
        const message = `Scaled ${size > before ? 'up' : 'down'} replica set ${set.metadata.name} from ${before} to ${size}`;
        this.#context.events.record(component, deployment, 'Normal', 'ScalingReplicaSet', message);
      }
      return after;
    };
    return { current: sets.current && resized(sets.current), old: sets.old.map(resized) };
  }

  /** Forgets the oldest revisions beyond the history limit. */
  #cleanUp({ spec }: Deployment, old: readonly ReplicaSet[]): void {
    const limit = spec.revisionHistoryLimit ?? 10;
    const alive = old.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    const byRevision = [...alive].sort((a, b) => revisionOf(a) - revisionOf(b));
    for (const set of byRevision.slice(0, Math.max(0, alive.length - limit))) {
      const seen = (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0);
      if (replicasOf(set) === 0 && (set.status?.replicas ?? 0) === 0 && seen) this.#context.objects.delete(set);
    }
  }

  #report(deployment: Deployment, sets: Sets, rollout: boolean): void {
    const { objects, clock } = this.#context;
    const now = clock.now();
    const status = (rollout ? rolloutStatusOf : statusOf)(deployment, allOf(sets), sets.current, now);
    const after = objects.updateStatus(deployment, status);
    const deadline = rollout && after.status ? deadlineInMs(after, after.status, now) : undefined;
    if (deadline !== undefined) this.#queue.addAfter(keyOf(deployment), Math.max(1000, deadline));
  }
}

function allOf({ current, old }: Sets): readonly ReplicaSet[] {
  return current === undefined ? old : [...old, current];
}
