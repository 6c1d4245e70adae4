import { Quantity } from '../../core/quantity.ts';
import type { Pod } from '../../core/objects.ts';
import { fromKey, keyOf, type AnyObject } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { selectsLabels } from './label-selector.ts';
import { isPodFinished } from './pod-state.ts';
import type { PersistentVolume, PersistentVolumeClaim } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'persistentvolume-controller';
const bindCompleted = 'pv.kubernetes.io/bind-completed';
const boundByController = 'pv.kubernetes.io/bound-by-controller';
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';
const claimProtection = 'kubernetes.io/pvc-protection';
const volumeProtection = 'kubernetes.io/pv-protection';

type ClaimStatus = NonNullable<PersistentVolumeClaim['status']>;

/**
 * Binds claims to volumes that fit. Nothing is provisioned, and no data is ever deleted: a released volume stays, as
 * one without a plugin does. Follows pkg/controller/volume/persistentvolume/pv_controller.go and index.go, and
 * pkg/controller/volume/{pvcprotection,pvprotection}.
 */
export class VolumeBindingController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    const { objects } = context;
    this.#context = context;
    this.#queue = queueOf(context, component, (key) =>
      key.includes('/') ? this.#syncClaim(key) : this.#syncVolume(key),
    );
    objects.watch('PersistentVolumeClaim', ({ object }) => {
      this.#queue.add(keyOf(object));
      const { volumeName } = (object as unknown as PersistentVolumeClaim).spec;
      if (volumeName) this.#queue.add(volumeName);
    });
    objects.watch('PersistentVolume', ({ object }) => {
      this.#queue.add(object.metadata.name);
      for (const claim of objects.list<PersistentVolumeClaim>('PersistentVolumeClaim'))
        if (claim.status?.phase !== 'Bound' || claim.spec.volumeName === object.metadata.name)
          this.#queue.add(keyOf(claim));
    });
    // A first consumer may be what a claim waits for, and the last one what its deletion waits for.
    objects.watch('Pod', ({ type, object, previous }) => {
      if (type === 'MODIFIED' && isPodFinished(object as unknown as Pod) === isPodFinished(previous as unknown as Pod))
        return;
      for (const claim of claimsOf(object as unknown as Pod))
        this.#queue.add(`${object.metadata.namespace ?? ''}/${claim}`);
    });
  }

  stop(): void {
    this.#queue.stop();
  }

  #syncClaim(key: string): void {
    const { objects, events } = this.#context;
    const { namespace, name } = fromKey(key);
    const claim = objects.find<PersistentVolumeClaim>('PersistentVolumeClaim', namespace, name);
    if (claim === undefined) return;
    if (claim.metadata.deletionTimestamp !== undefined) {
      if (!this.#isUsed(claim)) this.#unprotect(claim, claimProtection);
      return;
    }
    if (claim.metadata.annotations?.[bindCompleted] !== undefined) return this.#checkBound(claim);
    const volumes = objects.list<PersistentVolume>('PersistentVolume');
    const chosen = claim.spec.volumeName
      ? volumes.find(
          ({ metadata, spec }) =>
            metadata.name === claim.spec.volumeName && (spec.claimRef === undefined || isFor(spec, claim)),
        )
      : bestVolume(claim, volumes);
    if (
      chosen !== undefined &&
      (chosen.spec.claimRef !== undefined || claim.spec.volumeName || !this.#waitsForConsumer(claim))
    )
      return this.#bind(claim, chosen);
    if (claim.status?.phase !== 'Pending') objects.updateStatus(claim, { ...claim.status, phase: 'Pending' });
    if (chosen === undefined && !storageClassOf(claim) && !claim.spec.volumeName)
      events.record(
        component,
        claim,
        'Normal',
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
      );
    else if (this.#waitsForConsumer(claim))
      events.record(
        component,
        claim,
        'Normal',
        'WaitForFirstConsumer',
        'waiting for first consumer to be created before binding',
      );
  }

  /** A class may ask to bind only when a pod needs the claim; which node that is does not matter here. */
  #waitsForConsumer(claim: PersistentVolumeClaim): boolean {
    const className = storageClassOf(claim);
    const found = className
      ? this.#context.objects.find<{ volumeBindingMode?: string }>('StorageClass', undefined, className)
      : undefined;
    return found?.volumeBindingMode === 'WaitForFirstConsumer' && !this.#isUsed(claim);
  }

  #isUsed({ metadata }: PersistentVolumeClaim): boolean {
    return this.#context.objects
      .list<Pod>('Pod', metadata.namespace)
      .some((pod) => !isPodFinished(pod) && claimsOf(pod).includes(metadata.name));
  }

  #bind(claim: PersistentVolumeClaim, volume: PersistentVolume): void {
    const { objects } = this.#context;
    const byController = volume.spec.claimRef === undefined;
    const { name, namespace, uid, resourceVersion } = claim.metadata;
    const claimRef = {
      kind: 'PersistentVolumeClaim',
      apiVersion: 'v1',
      namespace,
      name,
      uid,
      ...(resourceVersion && { resourceVersion }),
    };
    const bound = objects.update(volume, {
      metadata: annotated(volume, byController ? { [boundByController]: 'yes' } : {}),
      spec: { ...volume.spec, claimRef: volume.spec.claimRef?.uid === uid ? volume.spec.claimRef : claimRef },
    });
    objects.updateStatus(bound, { ...bound.status, phase: 'Bound' });
    const done = objects.update(claim, {
      metadata: annotated(claim, {
        [bindCompleted]: 'yes',
        ...(!claim.spec.volumeName && { [boundByController]: 'yes' }),
      }),
      spec: { ...claim.spec, volumeName: volume.metadata.name },
    });
    objects.updateStatus(done, boundStatus(done, bound));
  }

  /** A bound claim whose volume is gone, or is another's, has lost its data. */
  #checkBound(claim: PersistentVolumeClaim): void {
    const { objects, events } = this.#context;
    const volume = objects.find<PersistentVolume>('PersistentVolume', undefined, claim.spec.volumeName ?? '');
    if (volume?.spec.claimRef?.uid === claim.metadata.uid) {
      objects.updateStatus(claim, boundStatus(claim, volume));
      return;
    }
    if (claim.status?.phase === 'Lost') return;
    const [reason, message] =
      volume === undefined
        ? ['ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!']
        : ['ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly'];
    objects.updateStatus(claim, { phase: 'Lost' });
    events.record(component, claim, 'Warning', reason, message);
  }

  #syncVolume(name: string): void {
    const { objects, events } = this.#context;
    const volume = objects.find<PersistentVolume>('PersistentVolume', undefined, name);
    if (volume === undefined) return;
    const { claimRef } = volume.spec;
    const claim =
      claimRef && objects.find<PersistentVolumeClaim>('PersistentVolumeClaim', claimRef.namespace, claimRef.name ?? '');
    const phase =
      claimRef?.uid === undefined ? 'Available' : claim?.metadata.uid === claimRef.uid ? 'Bound' : 'Released';
    if (volume.metadata.deletionTimestamp !== undefined) {
      if (phase !== 'Bound') this.#unprotect(volume, volumeProtection);
      return;
    }
    if (
      phase === 'Bound' ||
      volume.status?.phase === phase ||
      (phase === 'Released' && volume.status?.phase === 'Failed')
    )
      return;
    const deletes =
      phase === 'Released' && volume.spec.persistentVolumeReclaimPolicy === 'Delete' && volume.spec.csi === undefined;
    if (!deletes) {
      objects.updateStatus(volume, { phase });
      return;
    }
    const message = `error getting deleter volume plugin for volume "${name}": no deletable volume plugin matched`;
    objects.updateStatus(volume, { phase: 'Failed', message });
    events.record(component, { ...volume, kind: 'PersistentVolume' }, 'Warning', 'VolumeFailedDelete', message);
  }

  #unprotect(object: AnyObject, finalizer: string): void {
    const finalizers = object.metadata.finalizers ?? [];
    if (!finalizers.includes(finalizer)) return;
    const rest = finalizers.filter((other) => other !== finalizer);
    this.#context.objects.update(object, { metadata: { ...object.metadata, finalizers: rest } });
  }
}

/** The smallest free volume that fits a claim, one that is kept for it first (findMatchingVolume). */
export function bestVolume(
  claim: PersistentVolumeClaim,
  volumes: readonly PersistentVolume[],
): PersistentVolume | undefined {
  const kept = volumes.find(({ spec }) => spec.claimRef !== undefined && isFor(spec, claim));
  if (kept !== undefined) return kept;
  const requested = sizeOf(claim.spec.resources?.requests);
  return volumes
    .filter(
      (volume) =>
        volume.spec.claimRef === undefined &&
        volume.metadata.deletionTimestamp === undefined &&
        (volume.status?.phase ?? 'Available') === 'Available' &&
        storageClassOf(volume) === storageClassOf(claim) &&
        (volume.spec.volumeMode ?? 'Filesystem') === (claim.spec.volumeMode ?? 'Filesystem') &&
        (claim.spec.accessModes ?? []).every((mode) => volume.spec.accessModes?.includes(mode)) &&
        (claim.spec.selector === undefined || selectsLabels(claim.spec.selector, volume.metadata.labels)) &&
        sizeOf(volume.spec.capacity).compare(requested) >= 0,
    )
    .sort((a, b) => sizeOf(a.spec.capacity).compare(sizeOf(b.spec.capacity)))[0];
}

/** Names of the claims that a pod uses, its ephemeral volumes' too. */
function claimsOf({ metadata, spec }: Pod): string[] {
  return (spec.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) =>
    persistentVolumeClaim ? [persistentVolumeClaim.claimName] : ephemeral ? [`${metadata.name}-${name}`] : [],
  );
}

function isFor({ claimRef }: PersistentVolume['spec'], { metadata }: PersistentVolumeClaim): boolean {
  return (
    claimRef?.name === metadata.name &&
    claimRef.namespace === metadata.namespace &&
    (claimRef.uid === undefined || claimRef.uid === metadata.uid)
  );
}

function boundStatus(claim: PersistentVolumeClaim, volume: PersistentVolume): ClaimStatus {
  const { accessModes = [], capacity = {} } = volume.spec;
  return { ...claim.status, phase: 'Bound', accessModes, capacity: { ...claim.status?.capacity, ...capacity } };
}

function storageClassOf({ metadata, spec }: PersistentVolume | PersistentVolumeClaim): string {
  return metadata.annotations?.[classAnnotation] ?? spec.storageClassName ?? '';
}

function sizeOf(resources: Readonly<Record<string, string>> | undefined): Quantity {
  return Quantity.parse(resources?.['storage'] ?? '0');
}

function annotated<T extends AnyObject>({ metadata }: T, annotations: Readonly<Record<string, string>>): T['metadata'] {
  return { ...metadata, annotations: { ...metadata.annotations, ...annotations } };
}
