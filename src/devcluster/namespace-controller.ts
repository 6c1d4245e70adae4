import { ApiError } from './api-error.ts';
import type { ApiObject } from './api-object.ts';
import { kindNamed, storedKinds } from './kinds/table.ts';
import type { Registry } from './registry.ts';
import type { JsonObject } from './json.ts';

const namespaces = kindNamed('Namespace');
const contents = storedKinds.filter((kind) => kind.namespaced);

const rootCA = 'kube-root-ca.crt';

/**
 * What the controllers do for namespaces: each gets its default service account and the cluster's CA, and one that
 * is deleted is emptied and then released.
 */
export class NamespaceController {
  readonly #registry: Registry;
  readonly #caPem: string;
  readonly #stops: (() => void)[] = [];

  constructor(registry: Registry, caPem: string) {
    this.#registry = registry;
    this.#caPem = caPem;
  }

  /** Call once, before there are namespaces. */
  start(): void {
    const { store } = this.#registry;
    this.#stops.push(
      store.subscribe(namespaces, store.version, ({ type, object }) => {
        const { name, deletionTimestamp } = object.metadata;
        if (type === 'ADDED') this.#furnish(name);
        else if (type === 'MODIFIED' && deletionTimestamp !== undefined) setImmediate(() => this.#empty(name));
      }),
    );
    // The last object that goes takes the namespace with it.
    for (const kind of contents) {
      this.#stops.push(
        store.subscribe(kind, store.version, ({ type, object }) => {
          const { namespace } = object.metadata;
          if (type !== 'DELETED' || namespace === undefined) return;
          if (this.#terminating(namespace) !== undefined) setImmediate(() => this.#release(namespace));
          else if (isFurniture(object)) setImmediate(() => this.#furnish(namespace));
        }),
      );
    }
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** What is missing of it comes back when somebody deletes it. */
  #furnish(namespace: string): void {
    const { store } = this.#registry;
    const home = store.get(namespaces, undefined, namespace);
    if (home === undefined || home.metadata.deletionTimestamp !== undefined) return;
    if (store.get(kindNamed('ServiceAccount'), namespace, 'default') === undefined)
      this.#registry.create(kindNamed('ServiceAccount'), namespace, { metadata: { name: 'default' } });
    if (store.get(kindNamed('ConfigMap'), namespace, rootCA) !== undefined) return;
    const annotations = {
      'kubernetes.io/description':
        'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
    };
    this.#registry.create(kindNamed('ConfigMap'), namespace, {
      metadata: { name: rootCA, annotations },
      data: { 'ca.crt': this.#caPem },
    });
  }

  #empty(name: string): void {
    if (this.#terminating(name) === undefined) return;
    for (const kind of contents) {
      for (const { metadata } of this.#registry.store.list(kind, name)) {
        if (metadata.deletionTimestamp === undefined) this.#registry.delete(kind, name, metadata.name);
      }
    }
    this.#release(name);
  }

  #release(name: string): void {
    if (
      this.#terminating(name) === undefined ||
      contents.some((kind) => this.#registry.store.list(kind, name).length > 0)
    )
      return;
    try {
      this.#registry.change(namespaces, undefined, name, 'finalize', (current) => ({
        ...current,
        spec: { ...(current['spec'] as JsonObject), finalizers: [] },
      }));
    } catch (error) {
      // Released meanwhile.
      if (!(error instanceof ApiError && error.code === 404)) throw error;
    }
  }

  #terminating(name: string): ApiObject | undefined {
    const namespace = this.#registry.store.get(namespaces, undefined, name);
    return namespace?.metadata.deletionTimestamp === undefined ? undefined : namespace;
  }
}

function isFurniture({ kind, metadata: { name } }: ApiObject): boolean {
  return (kind === 'ServiceAccount' && name === 'default') || (kind === 'ConfigMap' && name === rootCA);
}
