import type { ApiObject, ObjectMeta } from './api-object.ts';
import type { JsonObject } from './json.ts';
import { selectableField, supportsField, type Kind } from './kinds/kind.ts';
import { kindNamed } from './kinds/table.ts';
import { selectChange } from './http/watch.ts';
import { readPatch, type PatchType } from './patch/patch.ts';
import type { DeleteOptions, ListOptions, Registry } from './registry.ts';
import { parseFieldSelector, parseLabelSelector, selects } from './selectors.ts';
import type { Change } from './store.ts';

/** Where an object is. A kind that has namespaces and is given none is looked for in `default`. */
export interface ObjectKey {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface Selectors {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface WatchEvent {
  readonly type: Change['type'];
  readonly object: ApiObject;
}

const patchTypeNames: Readonly<Record<'json' | 'merge' | 'strategic', PatchType>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/**
 * The verbs without HTTP, for tests and for what runs in the same process: defaulting, validation, versions and
 * watch events are as ever, nobody is asked who they are. Errors are `ApiError`. What it returns is the
 * caller's own copy; `T` is what the caller knows the object to be.
 */
export class LocalClient {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** The version of the last change. */
  get version(): number {
    return this.#registry.store.version;
  }

  /** Creates an object; `kind` names its type, the namespace is its own or `default`. */
  create<T = ApiObject>(object: {
    readonly kind?: string | undefined;
    readonly metadata?: object | undefined;
    readonly [field: string]: unknown;
  }): T {
    const { namespace }: Partial<ObjectMeta> = object.metadata ?? {};
    const kind = kindNamed(object.kind ?? '');
    return copy(this.#registry.create(kind, namespaceOf(kind, namespace), object as JsonObject).object);
  }

  /** The object, or undefined when there is none. */
  find<T = ApiObject>({ kind, namespace, name }: ObjectKey): T | undefined {
    const row = kindNamed(kind);
    const object = this.#registry.store.get(row, namespaceOf(row, namespace), name);
    return object && copy(object);
  }

  /** The object; a 404 when there is none. */
  get<T = ApiObject>({ kind, namespace, name }: ObjectKey): T {
    const row = kindNamed(kind);
    return copy(this.#registry.get(row, namespaceOf(row, namespace), name));
  }

  /** The objects of a kind; of all namespaces when none is named. */
  list<T = ApiObject>(kind: string, selectors: Selectors = {}): T[] {
    const row = kindNamed(kind);
    return this.#registry.list(row, listOptions(row, selectors)).map((object) => copy<T>(object));
  }

  /** A merge patch, unless `type` says otherwise; of the status with `subresource: 'status'`. */
  patch<T = ApiObject>(
    { kind, namespace, name }: ObjectKey,
    patch: object,
    { type = 'merge', subresource }: { type?: 'json' | 'merge' | 'strategic'; subresource?: string } = {},
  ): T {
    const row = kindNamed(kind);
    const apply = readPatch(row.kind, patchTypeNames[type], patch as JsonObject);
    return copy(this.#registry.change(row, namespaceOf(row, namespace), name, subresource, apply).object);
  }

  /** What the object was when it went, or what it is while it waits for its grace period or finalizers. */
  delete<T = ApiObject>({ kind, namespace, name }: ObjectKey, options: DeleteOptions = {}): T {
    const row = kindNamed(kind);
    return copy(this.#registry.delete(row, namespaceOf(row, namespace), name, options));
  }

  /** Calls `listener` with each change to the objects of a kind from now on; returns how to stop. */
  watch(kind: string, listener: (event: WatchEvent) => void, selectors: Selectors = {}): () => void {
    const row = kindNamed(kind);
    const { namespace, labels = [], fields = [] } = listOptions(row, selectors);
    const selection = {
      namespace,
      labels,
      fields,
      fieldOf: (object: ApiObject, field: string) => selectableField(row, object, field),
    };
    return this.#registry.store.subscribe(row, this.version, (change) => {
      const event = selectChange(change, (object) => selects(selection, object));
      if (event !== undefined) listener({ type: event.type, object: copy(event.object) });
    });
  }

  /**
   * Resolves with the object when `condition` holds of it (undefined: it does not exist), now or after a change.
   * Rejects with the signal's reason; give it a timeout.
   */
  until<T = ApiObject>(
    key: ObjectKey,
    condition: (object: T | undefined) => boolean,
    signal: AbortSignal = AbortSignal.timeout(10_000),
  ): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      const fail = () =>
        settle(() =>
          reject(
            new Error(`${key.kind} ${key.name} did not meet the condition: ${JSON.stringify(this.find(key))}`, {
              cause: signal.reason,
            }),
          ),
        );
      const check = () => {
        try {
          const object = this.find<T>(key);
          if (condition(object)) settle(() => resolve(object));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const stop = this.watch(key.kind, ({ object }) => {
        if (object.metadata.name === key.name) check();
      });
      function settle(done: () => void): void {
        stop();
        signal.removeEventListener('abort', fail);
        done();
      }
      signal.addEventListener('abort', fail, { once: true });
      if (signal.aborted) fail();
      else check();
    });
  }
}

function namespaceOf(kind: Kind, namespace: string | undefined): string | undefined {
  return kind.namespaced ? (namespace ?? 'default') : undefined;
}

function listOptions(kind: Kind, { namespace, labelSelector = '', fieldSelector = '' }: Selectors): ListOptions {
  return {
    namespace,
    labels: parseLabelSelector(labelSelector),
    fields: parseFieldSelector(fieldSelector, (field) => supportsField(kind, field)),
  };
}

function copy<T>(object: ApiObject): T {
  return structuredClone(object) as T;
}
