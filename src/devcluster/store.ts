import { Interning } from './interning.ts';
import type { ApiObject, GroupResource, ObjectMeta } from './api-object.ts';
import { expired } from './api-error.ts';

/** One thing that happened to one object. `previous` is what it was, absent for ADDED. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly version: number;
  readonly object: ApiObject;
  readonly previous: ApiObject | undefined;
}

export type ChangeListener = (change: Change) => void;

/** The objects of one resource, its recent history and who listens to it. */
interface Shelf {
  readonly objects: Map<string, ApiObject>;
  /** The keys in order; absent after one has come or gone. */
  ordered: string[] | undefined;
  readonly history: Change[];
  readonly listeners: Set<ChangeListener>;
  /** Changes up to this version are forgotten. */
  compacted: number;
}

/**
 * All objects of all kinds, in memory, with one version counter, as etcd has one revision. It knows nothing of what
 * the objects mean. Stored objects are never changed in place: who changes one puts a new one.
 */
export class ResourceStore {
  readonly #shelves = new Map<string, Shelf>();
  readonly #historySize: number;
  readonly #interning = new Interning();
  #version = 1;
  /** Nothing is known of what was before this version. */
  #beginning = 0;

  /** `historySize` is how many changes of each resource a watch may be behind before it gets 410 Gone. */
  constructor(historySize: number) {
    this.#historySize = historySize;
  }

  /** The version of the last change. */
  get version(): number {
    return this.#version;
  }

  get(resource: GroupResource, namespace: string | undefined, name: string): ApiObject | undefined {
    return this.#shelf(resource).objects.get(keyOf(namespace, name));
  }

  /** Objects in the order of their keys, as etcd lists them; of one namespace or of all. */
  list(resource: GroupResource, namespace?: string): ApiObject[] {
    const shelf = this.#shelf(resource);
    shelf.ordered ??= [...shelf.objects.keys()].sort();
    const keys = namespace === undefined ? shelf.ordered : within(shelf.ordered, `${namespace}/`);
    return keys.map((key) => shelf.objects.get(key) as ApiObject);
  }

  count(resource: GroupResource): number {
    return this.#shelf(resource).objects.size;
  }

  /** Puts an object under its namespace and name, gives it the next version and tells the watchers. */
  put(resource: GroupResource, object: ApiObject): ApiObject {
    const shelf = this.#shelf(resource);
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const previous = shelf.objects.get(key);
    const stored = this.#stamped(object);
    shelf.objects.set(key, stored);
    if (previous === undefined) shelf.ordered = undefined;
    this.#publish(shelf, {
      type: previous === undefined ? 'ADDED' : 'MODIFIED',
      version: this.#version,
      object: stored,
      previous,
    });
    return stored;
  }

  /** Removes the object; what watchers and the caller get is `last` with the version of the removal. */
  remove(resource: GroupResource, last: ApiObject): ApiObject {
    const shelf = this.#shelf(resource);
    const key = keyOf(last.metadata.namespace, last.metadata.name);
    const previous = shelf.objects.get(key);
    const gone = this.#stamped(last);
    shelf.objects.delete(key);
    shelf.ordered = undefined;
    this.#publish(shelf, { type: 'DELETED', version: this.#version, object: gone, previous });
    return gone;
  }

  /**
   * Calls `listener` with every change after `since`: those of the past before this returns, then each new one
   * as it happens. Returns how to stop. A forgotten past is a 410.
   */
  subscribe(resource: GroupResource, since: number, listener: ChangeListener): () => void {
    const shelf = this.#shelf(resource);
    if (since < shelf.compacted) throw expired(`too old resource version: ${since} (${shelf.compacted})`);
    for (const change of shelf.history) if (change.version > since) listener(change);
    shelf.listeners.add(listener);
    return () => shelf.listeners.delete(listener);
  }

  /** All objects by `group/resource`, to be given to {@link load} later. */
  dump(): Record<string, ApiObject[]> {
    return Object.fromEntries([...this.#shelves].map(([key, { objects }]) => [key, [...objects.values()]]));
  }

  /**
   * Takes over what another store held when its version was `version`; nobody is told. Call before anything else is
   * stored.
   */
  load(objects: Readonly<Record<string, readonly ApiObject[]>>, version: number): void {
    this.#version = version;
    this.#beginning = version;
    this.#shelves.clear();
    for (const [key, list] of Object.entries(objects)) {
      const [group = '', resource = ''] = key.split('/');
      const shelf = this.#shelf({ group, resource });
      for (const object of list) shelf.objects.set(keyOf(object.metadata.namespace, object.metadata.name), object);
    }
  }

  /** Forgets the past: a watch from any earlier version gets 410. */
  compact(): void {
    for (const shelf of this.#shelves.values()) {
      shelf.history.length = 0;
      shelf.compacted = this.#version;
    }
  }

  #shelf({ group, resource }: GroupResource): Shelf {
    const key = `${group}/${resource}`;
    let shelf = this.#shelves.get(key);
    if (shelf === undefined)
      this.#shelves.set(
        key,
        (shelf = {
          objects: new Map(),
          ordered: undefined,
          history: [],
          listeners: new Set(),
          compacted: this.#beginning,
        }),
      );
    return shelf;
  }

  #stamped(object: ApiObject): ApiObject {
    this.#version++;
    const { managedFields } = object.metadata;
    const metadata: ObjectMeta = {
      ...object.metadata,
      resourceVersion: String(this.#version),
      ...(managedFields && {
        managedFields: managedFields.map((entry) => ({ ...entry, fieldsV1: this.#interning.value(entry.fieldsV1) })),
      }),
    };
    return { ...object, metadata };
  }

  #publish(shelf: Shelf, change: Change): void {
    shelf.history.push(change);
    // Trimmed in halves, so that a change costs no shift of the whole history.
    if (shelf.history.length > 2 * this.#historySize) {
      const forgotten = shelf.history.splice(0, shelf.history.length - this.#historySize);
      shelf.compacted = forgotten.at(-1)?.version ?? shelf.compacted;
    }
    for (const listener of shelf.listeners) listener(change);
  }
}

function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Those of the ordered keys that begin with `prefix`. */
function within(keys: readonly string[], prefix: string): string[] {
  const start = firstFrom(keys, prefix);
  const length = keys.slice(start).findIndex((key) => !key.startsWith(prefix));
  return length === -1 ? keys.slice(start) : keys.slice(start, start + length);
}

/** The place of the first key that is not before `wanted`. */
function firstFrom(keys: readonly string[], wanted: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
