import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { messageOf, timedOut } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { ApiError, httpStatusOf, isExpired, retryAfterOf } from './api-error.ts';
import type { KubeApi, Query } from './api.ts';

/** What is watched: a collection, perhaps narrowed. */
export interface ListWatchTarget {
  /** Collection, e.g. `/api/v1/pods`. */
  readonly path: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  /** Objects per page of a list. Default 500, as client-go. */
  readonly pageSize?: number;
}

export interface ListWatchOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Its abort, and nothing else, ends the iteration. */
  readonly signal: AbortSignal;
  /** Called when the connection with the API server is won or lost, and when the reason of its loss changes. */
  readonly onConnection?: (state: ConnectionState) => void;
}

export type ConnectionState =
  | { readonly connected: true; readonly sinceMs: number }
  | { readonly connected: false; readonly sinceMs: number; readonly message: string };

/** What every listed object has. */
export interface WatchedObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion?: string;
  };
}

/** What is known for certain of an object that is gone: a relist finds only that its UID is missing. */
export interface DeletedObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string };
}

/**
 * One value of {@link listWatch}. `listing` begins a complete listing: what is not named until `synced` does not
 * exist. A listing may be broken off by another `listing`. Changes follow one `synced` until the next `listing`.
 */
export type ListWatchEvent<T extends WatchedObject> =
  | { readonly type: 'listing' }
  | { readonly type: 'apply'; readonly object: T }
  | { readonly type: 'delete'; readonly object: DeletedObject }
  | { readonly type: 'synced' };

interface List<T> {
  readonly kind?: string;
  readonly apiVersion?: string;
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly T[] | null;
}

interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

const listTimeoutMs = 60_000;
/** Bookmarks come about once a minute: where they come at all, this long without one is a dead connection. */
const bookmarkSilenceMs = 150_000;
/** A watch that ends sooner was refused in all but name, and is not begun again at once. */
const shortWatchMs = 1000;

/**
 * Every object of a collection, for ever: a listing, then the changes as a watch tells them. The watch goes on from
 * the last resourceVersion after any break; when that is too old (410), or was never known, the collection is listed
 * again. Between two listings changes may be missed, their outcome is not: an object that vanished meanwhile is a
 * `delete`, with its name and UID only.
 *
 * Lists ask for the most recent state (no resourceVersion), not for whatever a server's cache holds
 * (`resourceVersion=0`): an API server that lags behind could else bring back pods that this node has already seen
 * deleted, and they would run a second time.
 *
 * Follows k8s.io/client-go/tools/cache/reflector.go. Errors are logged at warn once per message and retried for ever
 * with back-off. Memory: name and UID per object.
 */
export async function* listWatch<T extends WatchedObject>(
  api: KubeApi,
  target: ListWatchTarget,
  options: ListWatchOptions,
): AsyncGenerator<ListWatchEvent<T>, void, undefined> {
  const { signal } = options;
  const loop = new ListWatch<T>(api, target, options);
  while (!signal.aborted) {
    try {
      if (loop.resourceVersion === undefined) yield* loop.list();
      yield* loop.watch();
    } catch (err) {
      if (signal.aborted) return;
      await loop.recover(err);
    }
  }
}

class ListWatch<T extends WatchedObject> {
  readonly #api: KubeApi;
  readonly #target: ListWatchTarget;
  readonly #options: ListWatchOptions;
  readonly #log: Logger;
  readonly #backOff: BackOff;
  readonly #known = new Map<string, DeletedObject>();
  /** Where the next watch begins; undefined when the collection must be listed first. */
  resourceVersion: string | undefined;
  #unpaged = false;
  #bookmarksSeen = false;
  #failure: string | undefined;
  #connected = false;

  constructor(api: KubeApi, target: ListWatchTarget, options: ListWatchOptions) {
    this.#api = api;
    this.#target = target;
    this.#options = options;
    this.#log = options.log.with({ path: target.path });
    this.#backOff = new BackOff(options.clock);
  }

  async *list(): AsyncGenerator<ListWatchEvent<T>, void, undefined> {
    yield { type: 'listing' };
    const listed = new Set<string>();
    let page: List<T> | undefined;
    do {
      page = await this.#page(page?.metadata.continue);
      this.#healthy();
      const kind = page.kind?.replace(/List$/, '');
      for (const item of page.items ?? []) {
        listed.add(item.metadata.uid);
        this.#remember(item);
        // Items of a list do not say what they are; those of a watch do.
        yield { type: 'apply', object: { apiVersion: page.apiVersion, kind, ...item } };
      }
    } while (page.metadata.continue);
    this.#unpaged = false;
    for (const [uid, object] of this.#known) {
      if (listed.has(uid)) continue;
      this.#known.delete(uid);
      yield { type: 'delete', object };
    }
    this.resourceVersion = page.metadata.resourceVersion ?? '';
    yield { type: 'synced' };
  }

  /** Until the server ends the watch, which it does every few minutes. */
  async *watch(): AsyncGenerator<ListWatchEvent<T>, void, undefined> {
    const { clock, signal } = this.#options;
    const timeoutSeconds = 300 + Math.floor(Math.random() * 300);
    const stream = await this.#api.stream<WatchEvent>({
      path: this.#target.path,
      query: {
        ...this.#selectors(),
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.resourceVersion,
        timeoutSeconds,
      },
      signal,
      silenceMs: () => (this.#bookmarksSeen ? bookmarkSilenceMs : timeoutSeconds * 1000 + 30_000),
    });
    const startedAt = clock.now();
    let events = 0;
    try {
      this.#healthy();
      for await (const event of stream) {
        events++;
        const value = this.#change(event);
        if (value !== undefined) yield value;
      }
    } finally {
      await stream.close();
    }
    if (events === 0 && clock.now() - startedAt < shortWatchMs)
      throw timedOut('the API server ended a watch that had just begun');
  }

  /** Says what went wrong, decides whether to list again, and waits. */
  async recover(err: unknown): Promise<void> {
    const { clock, signal, onConnection } = this.#options;
    const expired = isExpired(err);
    // Within a list it is the continue token that is too old: the next list is one answer.
    if (expired) this.#unpaged = this.resourceVersion === undefined;
    if (!resumable(err)) this.resourceVersion = undefined;
    const delayMs = Math.max(this.#backOff.next(), retryAfterOf(err) ?? 0);
    const message = messageOf(err);
    if (expired) this.#log.debug('watch expired, listing again', { err: message });
    else if (message !== this.#failure) {
      this.#failure = message;
      this.#connected = false;
      this.#log.warn('watch failed, will be retried', { err: message, retryMs: Math.round(delayMs) });
      onConnection?.({ connected: false, sinceMs: clock.now(), message });
    }
    try {
      await clock.sleep(delayMs, signal);
    } catch (reason) {
      if (!signal.aborted) throw reason;
    }
  }

  #page(continueToken: string | undefined): Promise<List<T>> {
    const limit = this.#unpaged ? undefined : (this.#target.pageSize ?? 500);
    return this.#api.request<List<T>>({
      method: 'GET',
      path: this.#target.path,
      query: { ...this.#selectors(), limit, continue: continueToken },
      timeoutMs: listTimeoutMs,
      signal: this.#options.signal,
    });
  }

  #change(event: WatchEvent): ListWatchEvent<T> | undefined {
    if (event.type === 'ERROR') {
      const status = event.object as { code?: number };
      throw new ApiError(`WATCH ${this.#target.path}`, status.code ?? 500, status);
    }
    const object = event.object as T;
    if (object.metadata.resourceVersion !== undefined) this.resourceVersion = object.metadata.resourceVersion;
    switch (event.type) {
      case 'BOOKMARK':
        this.#bookmarksSeen = true;
        return undefined;
      case 'DELETED':
        this.#known.delete(object.metadata.uid);
        return { type: 'delete', object };
      default:
        this.#remember(object);
        return { type: 'apply', object };
    }
  }

  #remember({ metadata: { name, namespace, uid } }: T): void {
    if (!this.#known.has(uid))
      this.#known.set(uid, { metadata: { name, uid, ...(namespace !== undefined && { namespace }) } });
  }

  #healthy(): void {
    if (this.#connected) return;
    this.#connected = true;
    if (this.#failure !== undefined) this.#log.info('watch works again');
    this.#failure = undefined;
    this.#options.onConnection?.({ connected: true, sinceMs: this.#options.clock.now() });
  }

  #selectors(): Query {
    const { fieldSelector, labelSelector } = this.#target;
    return { fieldSelector, labelSelector };
  }
}

/**
 * Whether a watch may go on from where it was: after anything that says nothing about the resourceVersion itself. A
 * server that refuses it (410; 504 for one from the future, after a restored backup) is asked for a list.
 */
function resumable(err: unknown): boolean {
  const status = httpStatusOf(err);
  return status === undefined || status === 429 || (status >= 500 && status < 504);
}
