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
  #version = 1;

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
    const entries = [...this.#shelf(resource).objects];
    const wanted = namespace === undefined ? entries : entries.filter(([key]) => key.startsWith(`${namespace}/`));
    return wanted.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
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
      this.#shelves.set(key, (shelf = { objects: new Map(), history: [], listeners: new Set(), compacted: 0 }));
    return shelf;
  }

  #stamped(object: ApiObject): ApiObject {
    this.#version++;
    const metadata: ObjectMeta = { ...object.metadata, resourceVersion: String(this.#version) };
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
