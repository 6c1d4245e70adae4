import { ApiError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { kinds } from '../kinds/table.ts';
import type { Change } from '../store.ts';
import { keyOf, ownableKinds } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import type { OwnerReference } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/**
 * Deletes what its owners leave behind: in the background when the last owner is gone, before an owner that is deleted
 * in the foreground, and not at all when the owner leaves orphans. Follows pkg/controller/garbagecollector; because the
 * store is at hand, no graph of objects that might exist is needed.
 */
export class GarbageCollector implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, 'garbage-collector', (key) => this.#sync(key));
    for (const kind of ownableKinds) context.objects.watch(kind, (change) => this.#noticed(change));
  }

  stop(): void {
    this.#queue.stop();
  }

  #noticed({ type, object }: Change): void {
    const owners = object.metadata.ownerReferences ?? [];
    if (type === 'DELETED') {
      for (const dependent of this.#context.objects.dependentsOf(object.metadata.uid)) this.#enqueue(dependent);
      for (const owner of owners) this.#enqueueOwner(object, owner);
      return;
    }
    if (owners.length > 0 || isDeletedWith(object, foreground) || isDeletedWith(object, orphan)) this.#enqueue(object);
    // An owner may wait for this one in the foreground, and learn here that it does not have to any more.
    for (const owner of owners) if (owner.blockOwnerDeletion !== true) this.#enqueueOwner(object, owner);
  }

  #enqueue(object: ApiObject): void {
    this.#queue.add(`${object.kind} ${keyOf(object)}`);
  }

  #enqueueOwner({ metadata }: ApiObject, owner: OwnerReference): void {
    const found = this.#ownerOf(metadata.namespace, owner);
    if (found !== undefined && found !== 'unknown' && isDeletedWith(found, foreground)) this.#enqueue(found);
  }

  #sync(key: string): void {
    const [kind = '', path = ''] = key.split(' ');
    const [first = '', name] = path.split('/');
    const [namespace, objectName] = name === undefined ? [undefined, first] : [first, name];
    const object = this.#context.objects.find<ApiObject>(kind, namespace, objectName);
    if (object === undefined) return;
    if (isDeletedWith(object, orphan)) return this.#orphanDependents(object);
    if (isDeletedWith(object, foreground)) return this.#deleteDependents(object);
    if (object.metadata.deletionTimestamp === undefined) this.#collect(object);
  }

  /** Deletes the object when none of its owners is left (attemptToDeleteItem). */
  #collect(object: ApiObject): void {
    const { objects } = this.#context;
    const { ownerReferences = [], namespace } = object.metadata;
    if (ownerReferences.length === 0) return;
    const solid: OwnerReference[] = [];
    let waiting = false;
    for (const reference of ownerReferences) {
      const owner = this.#ownerOf(namespace, reference);
      if (owner === undefined) continue;
      if (owner !== 'unknown' && isDeletedWith(owner, foreground) && reference.blockOwnerDeletion === true)
        waiting = true;
      else solid.push(reference);
    }
    if (solid.length > 0) {
      if (solid.length < ownerReferences.length)
        objects.update(object, { metadata: { ...object.metadata, ownerReferences: solid } });
      return;
    }
    // What owns something itself passes the order on.
    const passOn = waiting && objects.dependentsOf(object.metadata.uid).length > 0;
    const policy = isMarked(object, orphan)
      ? 'Orphan'
      : passOn || isMarked(object, foreground)
        ? 'Foreground'
        : 'Background';
    objects.delete(object, { propagationPolicy: policy });
  }

  #deleteDependents(owner: ApiObject): void {
    const dependents = this.#context.objects.dependentsOf(owner.metadata.uid);
    const blocking = dependents.filter(({ metadata }) =>
      metadata.ownerReferences?.some(
        ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true,
      ),
    );
    if (blocking.length === 0) return this.#removeFinalizer(owner, foreground);
    for (const dependent of dependents) this.#enqueue(dependent);
  }

  #orphanDependents(owner: ApiObject): void {
    const { objects } = this.#context;
    for (const dependent of objects.dependentsOf(owner.metadata.uid)) {
      const ownerReferences = dependent.metadata.ownerReferences?.filter(({ uid }) => uid !== owner.metadata.uid) ?? [];
      objects.update(dependent, { metadata: { ...dependent.metadata, ownerReferences } });
    }
    this.#removeFinalizer(owner, orphan);
  }

  #removeFinalizer(object: ApiObject, finalizer: string): void {
    const finalizers = object.metadata.finalizers?.filter((other) => other !== finalizer) ?? [];
    try {
      this.#context.objects.update(object, { metadata: { ...object.metadata, finalizers } });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 404)) throw error;
    }
  }

  /** The owner as it is; `unknown` when it is of a kind that this cluster does not have, which keeps what it owns. */
  #ownerOf(
    namespace: string | undefined,
    { kind, name, uid, apiVersion }: OwnerReference,
  ): ApiObject | 'unknown' | undefined {
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
    const row = kinds.find((candidate) => candidate.kind === kind && candidate.group === group);
    if (row === undefined || row.review === true) return 'unknown';
    const owner = this.#context.objects.find<ApiObject>(kind, row.namespaced ? namespace : undefined, name);
    return owner?.metadata.uid === uid ? owner : undefined;
  }
}

function isMarked({ metadata }: ApiObject, finalizer: string): boolean {
  return metadata.finalizers?.includes(finalizer) === true;
}

function isDeletedWith(object: ApiObject, finalizer: string): boolean {
  return object.metadata.deletionTimestamp !== undefined && isMarked(object, finalizer);
}
