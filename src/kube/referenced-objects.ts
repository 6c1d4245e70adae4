import type { Clock } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import type { ConfigMap, Secret } from '../core/objects.ts';
import { waitWith } from '../core/wait-with.ts';
import type { KubeApi } from './api.ts';

export interface ReferencedKinds {
  ConfigMap: ConfigMap;
  Secret: Secret;
}

export interface GetOptions {
  /** The pod that refers to the object; it holds the object until {@link ReferencedObjects.forget}. */
  readonly podUid: string;
  /** Ask the server now, whatever is known: a pod is about to start. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal;
}

type AnyObject = ReferencedKinds[keyof ReferencedKinds];
type Answer = { readonly object: AnyObject } | { readonly missing: unknown };

interface Entry {
  readonly read: () => Promise<AnyObject>;
  readonly pods: Set<string>;
  answer: Answer | undefined;
  /** When the answer is too old to be given without asking again. */
  staleAtMs: number;
  /** The read under way. */
  current: Promise<AnyObject> | undefined;
  /** The read that begins when the current one ends, for those who asked after that had begun. */
  next: Promise<AnyObject> | undefined;
}

const maxAgeMs = 30_000;
const jitter = 0.2;

/**
 * ConfigMaps and Secrets that pods of this node refer to, read one by one: never listed, never watched, for a node
 * may see only what its own pods name. An answer, also "there is none", is good for about 30 s and then asked for
 * again by whoever wants it next; an `immutable` object for ever. Nothing is kept that no pod refers to.
 */
export class ReferencedObjects {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  readonly #keysOfPod = new Map<string, Set<string>>();

  constructor(api: KubeApi, clock: Clock) {
    this.#api = api;
    this.#clock = clock;
  }

  /**
   * The object as it is, or was at most half a minute ago. While the API server is away, what is known is served to
   * those who did not ask for `fresh`.
   *
   * @throws NotFound when there is none; `Forbidden`, `Unavailable`, `Timeout` as the request's
   */
  async get<K extends keyof ReferencedKinds>(
    kind: K,
    namespace: string,
    name: string,
    options: GetOptions,
  ): Promise<ReferencedKinds[K]> {
    const entry = this.#entry(kind, namespace, name, options.podUid);
    return this.#answer(entry, options);
  }

  /** The pod is gone, or refers to nothing any more. */
  forget(podUid: string): void {
    for (const key of this.#keysOfPod.get(podUid) ?? []) {
      const entry = this.#entries.get(key);
      entry?.pods.delete(podUid);
      if (entry?.pods.size === 0) this.#entries.delete(key);
    }
    this.#keysOfPod.delete(podUid);
  }

  /** Objects that are kept. */
  get size(): number {
    return this.#entries.size;
  }

  async #answer(entry: Entry, { fresh = false, signal }: GetOptions): Promise<AnyObject> {
    const known = entry.answer;
    if (fresh) return waitWith(this.#readAfterNow(entry), signal);
    if (known === undefined) return waitWith(entry.current ?? this.#read(entry), signal);
    if (this.#clock.now() >= entry.staleAtMs) {
      try {
        return await waitWith(entry.current ?? this.#read(entry), signal);
      } catch (err) {
        const code = codeOf(err);
        if (signal?.aborted === true || !('object' in known) || (code !== 'Unavailable' && code !== 'Timeout'))
          throw err;
      }
    }
    if ('object' in known) return known.object;
    throw known.missing;
  }

  /** A read that begins after this call: one already under way may have been answered before. */
  #readAfterNow(entry: Entry): Promise<AnyObject> {
    if (entry.current === undefined) return this.#read(entry);
    entry.next ??= entry.current
      .catch(() => undefined)
      .then(() => {
        entry.next = undefined;
        return this.#read(entry);
      });
    return entry.next;
  }

  #read(entry: Entry): Promise<AnyObject> {
    const reading = entry
      .read()
      .then(
        (object) => {
          entry.answer = { object };
          entry.staleAtMs = object.immutable === true ? Number.POSITIVE_INFINITY : this.#nextRead();
          return object;
        },
        (err: unknown) => {
          if (codeOf(err) === 'NotFound') {
            entry.answer = { missing: err };
            entry.staleAtMs = this.#nextRead();
          }
          throw err;
        },
      )
      .finally(() => {
        if (entry.current === reading) entry.current = undefined;
      });
    entry.current = reading;
    return reading;
  }

  #nextRead(): number {
    return this.#clock.now() + maxAgeMs * (1 - jitter / 2 + Math.random() * jitter);
  }

  #entry(kind: keyof ReferencedKinds, namespace: string, name: string, podUid: string): Entry {
    const path = `/api/v1/namespaces/${namespace}/${kind === 'Secret' ? 'secrets' : 'configmaps'}/${name}`;
    let entry = this.#entries.get(path);
    if (entry === undefined) {
      const read = () => this.#api.request<AnyObject>({ method: 'GET', path });
      entry = { read, pods: new Set(), answer: undefined, staleAtMs: 0, current: undefined, next: undefined };
      this.#entries.set(path, entry);
    }
    entry.pods.add(podUid);
    let keys = this.#keysOfPod.get(podUid);
    if (keys === undefined) this.#keysOfPod.set(podUid, (keys = new Set()));
    keys.add(path);
    return entry;
  }
}
