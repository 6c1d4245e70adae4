import { ApiError } from '../../../src/devcluster/api-error.ts';
import type { ApiObject } from '../../../src/devcluster/api-object.ts';
import type { Json, JsonObject } from '../../../src/devcluster/json.ts';
import { kindNamed } from '../../../src/devcluster/kinds/table.ts';
import { readPatch } from '../../../src/devcluster/patch/patch.ts';
import { Registry, type DeleteOptions } from '../../../src/devcluster/registry.ts';
import { ResourceStore, type Change } from '../../../src/devcluster/store.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

const pods = kindNamed('Pod');

/** A registry with one namespace and its service account, seen through its pods. */
export interface TestCluster {
  readonly registry: Registry;
  readonly clock: FakeClock;
  /** Every change to a pod. */
  readonly changes: Change[];
  readonly create: (pod: JsonObject) => ApiObject;
  find(name: string): ApiObject | undefined;
  patch(name: string, patch: unknown, subresource?: string): ApiObject;
  delete(name: string, options?: DeleteOptions): ApiObject;
}

export function inNamespace(namespace: string): TestCluster {
  const clock = new FakeClock();
  const registry = new Registry(new ResourceStore(100), clock);
  registry.create(kindNamed('Namespace'), undefined, { metadata: { name: namespace } });
  registry.create(kindNamed('ServiceAccount'), namespace, { metadata: { name: 'default' } });
  const changes: Change[] = [];
  registry.store.subscribe(pods, registry.store.version, (change) => void changes.push(change));
  return {
    registry,
    clock,
    changes,
    create: (pod) => registry.create(pods, namespace, pod).object,
    find: (name) => registry.store.get(pods, namespace, name),
    patch: (name, patch, subresource) =>
      registry.change(
        pods,
        namespace,
        name,
        subresource,
        readPatch('Pod', 'application/merge-patch+json', patch as Json),
      ).object,
    delete: (name, options) => registry.delete(pods, namespace, name, options),
  };
}

/** A pod of one container, as it is sent. */
export function pod(name: string | undefined, spec: object = {}, metadata: object = {}): JsonObject {
  return {
    metadata: { ...(name !== undefined && { name }), ...metadata },
    spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
  };
}

/** The HTTP code of what `fn` throws. */
export function codeOfApiError(fn: () => unknown): number | undefined {
  try {
    fn();
  } catch (error) {
    if (error instanceof ApiError) return error.code;
    throw error;
  }
  return undefined;
}
