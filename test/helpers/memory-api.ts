import { randomUUID } from 'node:crypto';

import type { Clock } from '../../src/core/clock.ts';
import { rfc3339 } from '../../src/core/clock.ts';
import type { Pod, PodStatus } from '../../src/core/objects.ts';
import { applyStrategicMergePatch } from '../../src/devcluster/patch/strategic-merge-patch.ts';
import type { ApiRequest, KubeApi, StreamRequest, ValueStream } from '../../src/kube/api.ts';
import { FakeWatch, refusal } from '../unit/kube/fake-api.ts';

/** An object as it is stored: whole, as JSON. */
export interface Stored {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid: string;
    resourceVersion: string;
    generation?: number;
    deletionTimestamp?: string;
    deletionGracePeriodSeconds?: number;
    finalizers?: string[];
    [field: string]: unknown;
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
}

export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
}

const kinds: Readonly<Record<string, string>> = { pods: 'Pod', nodes: 'Node', leases: 'Lease' };

/**
 * An API server that holds pods, nodes and leases, as far as a node talks to one: list, watch, get, create, update,
 * strategic-merge patches with a UID as precondition, and deletion with grace.
 */
export class MemoryApi implements KubeApi {
  /** Every request that came in: `PATCH /api/v1/…`. */
  readonly requests: ApiRequest[] = [];
  /** Everything that a watcher would have seen. */
  readonly history: Change[] = [];
  /** Called before a request is answered: throws to refuse, waits to delay. */
  before: (request: ApiRequest) => void | Promise<void> = () => {};
  readonly #objects = new Map<string, Stored>();
  readonly #watches = new Set<FakeWatch>();
  readonly #clock: Clock;
  #version = 1000;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async request<T>(request: ApiRequest): Promise<T> {
    request.signal?.throwIfAborted();
    this.requests.push(request);
    await this.before(request);
    request.signal?.throwIfAborted();
    return structuredClone(this.#answer(request)) as T;
  }

  async stream<T>(request: StreamRequest): Promise<ValueStream<T>> {
    request.signal.throwIfAborted();
    const watch = new FakeWatch(request);
    this.#watches.add(watch);
    const since = Number(request.query?.['resourceVersion'] ?? 0);
    // What happened between the list and the watch.
    for (const change of this.history)
      if (Number(change.object.metadata.resourceVersion) > since) this.#send(watch, change);
    return watch as ValueStream<unknown> as ValueStream<T>;
  }

  /** Requests of a method to paths that contain `part`. */
  asked(method: ApiRequest['method'], part = ''): ApiRequest[] {
    return this.requests.filter((r) => r.method === method && r.path.includes(part));
  }

  /** Stores an object as it is, as if somebody had created it. */
  create(resource: 'pods' | 'nodes' | 'leases', object: object): Stored {
    const given = structuredClone(object) as Stored;
    const stored: Stored = {
      ...given,
      metadata: {
        ...given.metadata,
        uid: given.metadata.uid ?? randomUUID(),
        creationTimestamp: given.metadata['creationTimestamp'] ?? rfc3339(this.#clock.now()),
        ...(resource === 'pods' && { generation: 1 }),
      },
    };
    const key = keyOf(resource, stored);
    if (this.#objects.has(key)) throw refusal(409, `${resource} "${stored.metadata.name}" already exists`);
    return this.#put(key, 'ADDED', stored);
  }

  /** A pod as the API server makes it of what was posted. */
  createPod(
    pod: { metadata: { name: string; namespace?: string; uid?: string }; spec: object; status?: object },
    qosClass = 'BestEffort',
  ): Pod {
    const { metadata, spec, status } = pod;
    return this.create('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', ...metadata },
      spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30, nodeName: 'node', ...spec },
      status: { phase: 'Pending', qosClass, ...status },
    }) as unknown as Pod;
  }

  pod(name: string, namespace = 'default'): Pod | undefined {
    return structuredClone(this.#objects.get(`pods ${namespace}/${name}`)) as unknown as Pod | undefined;
  }

  status(name: string): PodStatus {
    const status = this.pod(name)?.status;
    if (status === undefined) throw new Error(`no pod ${name}`);
    return status;
  }

  get(resource: string, name: string, namespace?: string): Stored | undefined {
    return structuredClone(this.#objects.get(`${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`));
  }

  /** Changes an object as another client would. */
  change(resource: string, name: string, change: (object: Stored) => void, namespace?: string): void {
    const key = `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
    const object = structuredClone(this.#objects.get(key)) as Stored;
    const spec = JSON.stringify(object.spec);
    change(object);
    if (resource === 'pods' && JSON.stringify(object.spec) !== spec)
      object.metadata.generation = (object.metadata.generation ?? 1) + 1;
    this.#put(key, 'MODIFIED', object);
  }

  /** `kubectl delete pod`, with the grace of the pod or another; 0 is what `--force` asks for. */
  deletePod(name: string, graceSeconds?: number): void {
    this.#deletePod(`pods default/${name}`, graceSeconds);
  }

  /** An object vanishes while nobody watches. */
  forget(resource: string, name: string, namespace?: string): void {
    this.#objects.delete(`${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`);
  }

  /** Removes an object at once and says so. */
  remove(resource: string, name: string, namespace?: string): void {
    const key = `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
    const object = this.#objects.get(key);
    if (object !== undefined) this.#remove(key, object);
  }

  /** Ends every watch; `status` 410 makes the watchers list again. */
  breakWatches(status = 410): void {
    for (const watch of this.#watches) watch.fail(refusal(status, 'too old resource version'));
    this.#watches.clear();
  }

  #answer(request: ApiRequest): unknown {
    const { method, query } = request;
    const { resource, namespace, name, subresource } = parse(request.path);
    if (method === 'GET' && name === undefined) {
      const items = [...this.#objects].filter(
        ([key, o]) => key.startsWith(`${resource} `) && selected(o, query?.['fieldSelector']),
      );
      return {
        kind: `${kinds[resource]}List`,
        apiVersion: 'v1',
        metadata: { resourceVersion: String(this.#version) },
        items: items.map(([, o]) => o),
      };
    }
    const key = `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name ?? (request.body as Stored).metadata.name}`;
    if (method === 'POST')
      return this.create(resource as 'pods', {
        ...(request.body as object),
        ...(namespace && { metadata: { ...(request.body as Stored).metadata, namespace } }),
      });
    const object = this.#objects.get(key);
    if (object === undefined) throw refusal(404, `${resource} "${name}" not found`);
    switch (method) {
      case 'GET':
        return object;
      case 'PUT':
        return this.#put(key, 'MODIFIED', {
          ...(request.body as Stored),
          metadata: { ...object.metadata, ...(request.body as Stored).metadata },
        });
      case 'PATCH':
        return this.#patch(key, object, request.body as Stored, subresource);
      default: {
        const options = request.body as { gracePeriodSeconds?: number; preconditions?: { uid?: string } };
        const wanted = options.preconditions?.uid;
        if (wanted !== undefined && wanted !== object.metadata.uid)
          throw refusal(409, 'the UID in the precondition does not match');
        if (resource === 'pods') this.#deletePod(key, options.gracePeriodSeconds);
        else this.#remove(key, object);
        return object;
      }
    }
  }

  #patch(key: string, object: Stored, patch: Stored, subresource: string | undefined): Stored {
    if (patch.metadata?.uid !== undefined && patch.metadata.uid !== object.metadata.uid)
      throw refusal(409, 'Precondition failed: UID in precondition does not match');
    const kind = kinds[key.split(' ')[0] as string] as string;
    const patched = applyStrategicMergePatch(kind, object as never, patch as never) as unknown as Stored;
    const next =
      subresource === 'status'
        ? { ...object, status: patched.status ?? {} }
        : { ...patched, status: object.status ?? {} };
    if (JSON.stringify(next) === JSON.stringify(object)) return object;
    return this.#put(key, 'MODIFIED', next);
  }

  #deletePod(key: string, graceSeconds: number | undefined): void {
    const pod = this.#objects.get(key);
    if (pod === undefined) throw refusal(404, 'pod not found');
    const isTerminal = pod.status?.['phase'] === 'Succeeded' || pod.status?.['phase'] === 'Failed';
    const grace = isTerminal ? 0 : (graceSeconds ?? Number(pod.spec?.['terminationGracePeriodSeconds'] ?? 30));
    const before = pod.metadata.deletionGracePeriodSeconds;
    let marked = pod;
    if (before === undefined || grace < before) {
      marked = this.#put(key, 'MODIFIED', {
        ...pod,
        metadata: {
          ...pod.metadata,
          generation: (pod.metadata.generation ?? 1) + (before === undefined ? 1 : 0),
          deletionTimestamp: rfc3339(this.#clock.now() + grace * 1000),
          deletionGracePeriodSeconds: grace,
        },
      });
    }
    if (grace === 0 && (marked.metadata.finalizers ?? []).length === 0) this.#remove(key, marked);
  }

  #remove(key: string, object: Stored): void {
    this.#objects.delete(key);
    this.#tell({ type: 'DELETED', object: this.#versioned(object) }, key);
  }

  #put(key: string, type: Change['type'], object: Stored): Stored {
    const stored = this.#versioned(object);
    this.#objects.set(key, stored);
    this.#tell({ type, object: stored }, key);
    return stored;
  }

  #versioned(object: Stored): Stored {
    return structuredClone({ ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } });
  }

  #tell(change: Change, key: string): void {
    this.history.push({ ...change, object: { ...change.object, kind: kinds[key.split(' ')[0] as string] as string } });
    for (const watch of this.#watches) this.#send(watch, change, key.split(' ')[0]);
  }

  #send(watch: FakeWatch, change: Change, resource = `${change.object.kind?.toLowerCase()}s`): void {
    if (parse(watch.request.path).resource !== resource) return;
    if (selected(change.object, watch.request.query?.['fieldSelector']))
      watch.send(change.type, structuredClone(change.object));
  }
}

function keyOf(resource: string, { metadata: { name, namespace } }: Stored): string {
  return `${resource} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}

function parse(path: string): { resource: string; namespace?: string; name?: string; subresource?: string } {
  const rest = path.split('/').slice(path.startsWith('/api/') ? 3 : 4);
  const namespace = rest[0] === 'namespaces' ? rest[1] : undefined;
  const [resource = '', name, subresource] = namespace === undefined ? rest : rest.slice(2);
  return { resource, ...(namespace && { namespace }), ...(name && { name }), ...(subresource && { subresource }) };
}

function selected(object: Stored, selector: string | number | boolean | undefined): boolean {
  const [field, value] = String(selector ?? '').split('=');
  if (field === 'spec.nodeName') return object.spec?.['nodeName'] === value;
  if (field === 'metadata.name') return object.metadata.name === value;
  return true;
}
