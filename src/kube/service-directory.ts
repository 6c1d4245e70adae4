import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { Service, StoredMeta } from '../core/objects.ts';
import type { KubeApi } from './api.ts';
import { listWatch } from './list-watch.ts';

type StoredService = Service & { metadata: StoredMeta };

/**
 * All Services of the cluster, for the environment of containers. Of each only the name, the namespace, and the
 * spec's `type`, `clusterIP`, `clusterIPs` and `ports` (name, port, protocol) are kept.
 */
export class ServiceDirectory {
  readonly #api: KubeApi;
  readonly #byNamespace = new Map<string, Map<string, Service>>();
  readonly #synced = Promise.withResolvers<void>();

  constructor(api: KubeApi) {
    this.#api = api;
  }

  /** Resolves when the first listing is complete. Containers that start earlier would lack variables. */
  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** The Services of a namespace, by name. */
  list(namespace: string): readonly Service[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])];
  }

  get(namespace: string, name: string): Service | undefined {
    return this.#byNamespace.get(namespace)?.get(name);
  }

  /** Follows the API server until the signal aborts. Called once. */
  async run(options: { readonly clock: Clock; readonly log: Logger; readonly signal: AbortSignal }): Promise<void> {
    for await (const event of listWatch<StoredService>(this.#api, { path: '/api/v1/services' }, options)) {
      switch (event.type) {
        case 'apply':
          this.#set(event.object);
          break;
        case 'delete':
          this.#remove(event.object.metadata.namespace ?? '', event.object.metadata.name, event.object.metadata.uid);
          break;
        case 'synced':
          this.#synced.resolve();
          break;
        case 'listing':
          break;
      }
    }
  }

  #set(service: StoredService): void {
    const { name, namespace = '', uid } = service.metadata;
    let names = this.#byNamespace.get(namespace);
    if (names === undefined) this.#byNamespace.set(namespace, (names = new Map()));
    names.set(name, { metadata: { name, namespace, uid }, spec: slimSpec(service.spec) });
  }

  /** By UID: a relist may report the end of a Service whose name another has taken. */
  #remove(namespace: string, name: string, uid: string): void {
    const names = this.#byNamespace.get(namespace);
    if (names?.get(name)?.metadata?.uid === uid) names.delete(name);
    if (names?.size === 0) this.#byNamespace.delete(namespace);
  }
}

function slimSpec(spec: Service['spec']): NonNullable<Service['spec']> {
  const { type, clusterIP, clusterIPs, ports } = spec ?? {};
  return {
    ...(type !== undefined && { type }),
    ...(clusterIP !== undefined && { clusterIP }),
    ...(clusterIPs && { clusterIPs }),
    ...(ports && {
      ports: ports.map((p) => ({
        port: p.port,
        ...(p.name !== undefined && { name: p.name }),
        ...(p.protocol !== undefined && { protocol: p.protocol }),
      })),
    }),
  };
}
