import type { StoredMeta } from '../../core/objects.ts';
import type { ApiObject } from '../api-object.ts';
import type { JsonObject } from '../json.ts';
import { kindNamed, kinds } from '../kinds/table.ts';
import type { DeleteOptions, Registry } from '../registry.ts';
import type { Change } from '../store.ts';
import type { NamespacedMeta, OwnerReference } from './types.ts';

/** The least that is known of any stored object. */
export interface AnyObject {
  readonly kind?: string | undefined;
  readonly metadata: StoredMeta;
}

/** The kinds whose objects can own and be owned: all that are stored as themselves, but not events. */
export const ownableKinds: readonly string[] = kinds
  .filter(({ review, storedAs, kind }) => review !== true && storedAs === undefined && kind !== 'Event')
  .map(({ kind }) => kind);

/** The reference by which an object is controlled, if it is (metav1.GetControllerOf). */
export function controllerOf({ metadata }: AnyObject): OwnerReference | undefined {
  return metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** `namespace/name`, or the name of what has no namespace. */
export function keyOf({ metadata: { namespace, name } }: AnyObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** The namespace and name of a key. */
export function fromKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * What controllers read and write. Reads give the stored objects themselves, which nobody may change; because reads
 * and writes are synchronous they are never out of date, so that there is nothing to expect, to cache or to resolve.
 * Indexes by owner and by node spare the controllers listings.
 */
export class ClusterObjects {
  readonly #registry: Registry;
  readonly #stops: (() => void)[] = [];
  /** UIDs of owners → UIDs of what they own → that. */
  readonly #dependents = new Map<string, Map<string, ApiObject>>();
  /** `kind/namespace` → UIDs → objects that nobody controls. */
  readonly #orphans = new Map<string, Map<string, ApiObject>>();
  readonly #podsOnNode = new Map<string, Map<string, ApiObject>>();

  constructor(registry: Registry) {
    this.#registry = registry;
    for (const kind of ownableKinds) this.watch(kind, (change) => this.#index(change));
  }

  /** Ends every watch. */
  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Calls `listener` with the objects that are there as ADDED, then with every change. It must not write. */
  watch(kind: string, listener: (change: Change) => void): void {
    const row = kindNamed(kind);
    const { store } = this.#registry;
    for (const object of store.list(row))
      listener({ type: 'ADDED', version: store.version, object, previous: undefined });
    this.#stops.push(store.subscribe(row, store.version, listener));
  }

  find<T>(kind: string, namespace: string | undefined, name: string): T | undefined {
    return this.#registry.store.get(kindNamed(kind), namespace, name) as T | undefined;
  }

  list<T>(kind: string, namespace?: string): T[] {
    return this.#registry.store.list(kindNamed(kind), namespace) as T[];
  }

  /** The objects of a kind that the owner controls. */
  controlledBy<T>(kind: string, uid: string): T[] {
    const found: ApiObject[] = [];
    for (const object of this.#dependents.get(uid)?.values() ?? [])
      if (object.kind === kind && controllerOf(object)?.uid === uid) found.push(object);
    return found as unknown as T[];
  }

  /** Whatever names this UID among its owners. */
  dependentsOf(uid: string): ApiObject[] {
    return [...(this.#dependents.get(uid)?.values() ?? [])];
  }

  /** The objects of a kind in a namespace that nobody controls. */
  uncontrolled<T>(kind: string, namespace: string): T[] {
    return [...(this.#orphans.get(`${kind}/${namespace}`)?.values() ?? [])] as unknown as T[];
  }

  podsOnNode<T>(node: string): T[] {
    return [...(this.#podsOnNode.get(node)?.values() ?? [])] as unknown as T[];
  }

  create<T>(kind: string, namespace: string | undefined, body: object): T {
    return this.#registry.create(kindNamed(kind), namespace, body as JsonObject).object as T;
  }

  /** Replaces these top-level fields of an object: `spec`, `metadata`, `data`. */
  update<T extends AnyObject>(object: T, fields: Partial<T>): T {
    return this.#change(object, undefined, fields);
  }

  updateStatus<T extends AnyObject & { readonly status?: unknown }>(object: T, status: T['status'] & object): T {
    return this.#change(object, 'status', { status } as Partial<T>);
  }

  /** Deletes this object and no other that has its name meanwhile; true when there was something to delete. */
  delete(object: AnyObject, options: DeleteOptions = {}): boolean {
    const { namespace, name, uid } = object.metadata;
    const kind = kindNamed(object.kind ?? '');
    if (this.#registry.store.get(kind, namespace, name)?.metadata.uid !== uid) return false;
    this.#registry.delete(kind, namespace, name, { ...options, preconditions: { uid } });
    return true;
  }

  #change<T extends AnyObject>(object: T, subresource: string | undefined, fields: Partial<T>): T {
    const { namespace, name } = object.metadata as NamespacedMeta;
    const change = (current: JsonObject) => ({ ...current, ...fields }) as unknown as JsonObject;
    return this.#registry.change(kindNamed(object.kind ?? ''), namespace, name, subresource, change)
      .object as unknown as T;
  }

  #index({ type, object, previous }: Change): void {
    const { uid } = object.metadata;
    if (previous !== undefined) this.#unindex(previous);
    if (type === 'DELETED') return;
    for (const owner of object.metadata.ownerReferences ?? []) put(this.#dependents, owner.uid, uid, object);
    if (controllerOf(object) === undefined) put(this.#orphans, orphanKey(object), uid, object);
    const node = nodeOf(object);
    if (node !== undefined) put(this.#podsOnNode, node, uid, object);
  }

  #unindex(object: ApiObject): void {
    const { uid } = object.metadata;
    for (const owner of object.metadata.ownerReferences ?? []) drop(this.#dependents, owner.uid, uid);
    drop(this.#orphans, orphanKey(object), uid);
    const node = nodeOf(object);
    if (node !== undefined) drop(this.#podsOnNode, node, uid);
  }
}

function nodeOf(object: ApiObject): string | undefined {
  return object.kind === 'Pod' ? (object['spec'] as { nodeName?: string }).nodeName : undefined;
}

function orphanKey({ kind, metadata }: ApiObject): string {
  return `${kind}/${metadata.namespace ?? ''}`;
}

function put(index: Map<string, Map<string, ApiObject>>, key: string, uid: string, object: ApiObject): void {
  const entries = index.get(key);
  if (entries === undefined) index.set(key, new Map([[uid, object]]));
  else entries.set(uid, object);
}

function drop(index: Map<string, Map<string, ApiObject>>, key: string, uid: string): void {
  const entries = index.get(key);
  entries?.delete(uid);
  if (entries?.size === 0) index.delete(key);
}
