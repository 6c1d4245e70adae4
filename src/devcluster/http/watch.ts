import type { ServerResponse } from 'node:http';

import type { Clock } from '../../core/clock.ts';
import { ApiError, expired } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { selectableField, type Kind } from '../kinds/kind.ts';
import type { ListOptions, Registry } from '../registry.ts';
import { selects } from '../selectors.ts';
import type { Change } from '../store.ts';
import type { WatchOptions } from './options.ts';

const bookmarkEveryMs = 60_000;
/** A client that is this far behind has stopped reading; it can come back with its last version. */
const longestBacklogBytes = 32 * 1024 * 1024;

/** A change as one watcher sees it: an object that enters its selection is ADDED, one that leaves it DELETED. */
export function selectChange(
  change: Change,
  matches: (object: ApiObject) => boolean,
): { type: Change['type']; object: ApiObject } | undefined {
  const now = change.type !== 'DELETED' && matches(change.object);
  const before = change.previous !== undefined && matches(change.previous);
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: change.object };
  if (!before) return undefined;
  if (change.type === 'DELETED') return { type: 'DELETED', object: change.object };
  // It goes as the watcher last saw it, with the version at which it went.
  const previous = change.previous;
  return {
    type: 'DELETED',
    object: { ...previous, metadata: { ...previous.metadata, resourceVersion: String(change.version) } },
  };
}

/** A watch that a client has open. */
export interface OpenWatch {
  /** Sends a bookmark now, if the client takes them. */
  bookmark(): void;
  /** Sends the ERROR event with 410 Gone, then ends. */
  expire(): void;
  /** Cuts the connection without an end. */
  drop(): void;
  /** Ends it as a timeout does. */
  end(): void;
}

export interface WatchTarget {
  readonly kind: Kind;
  readonly registry: Registry;
  readonly list: ListOptions;
  readonly options: WatchOptions;
  readonly encode: (object: ApiObject) => string;
  /** What a bookmark with this metadata looks like. */
  readonly encodeBookmark: (metadata: object) => string;
  readonly clock: Clock;
  readonly open: Set<OpenWatch>;
}

/** Answers a watch: one JSON line for each event until the client goes, its timeout comes or the server stops. */
export function serveWatch(
  response: ServerResponse,
  { kind, registry, list, options, encode, encodeBookmark, clock, open }: WatchTarget,
): void {
  const { namespace, labels = [], fields = [] } = list;
  const matches = (object: ApiObject) =>
    selects({ namespace, labels, fields, fieldOf: (o, field) => selectableField(kind, o, field) }, object);
  const cleanup: (() => void)[] = [];

  function send(type: string, text: string): void {
    if (response.writableEnded || response.destroyed) return;
    response.write(`{"type":"${type}","object":${text}}\n`);
    if (response.writableLength > longestBacklogBytes) response.destroy();
  }
  function sendBookmark(annotations?: Record<string, string>): void {
    const metadata = { resourceVersion: String(registry.store.version), ...(annotations && { annotations }) };
    send('BOOKMARK', encodeBookmark(metadata));
  }
  function sendError(error: ApiError): void {
    send('ERROR', JSON.stringify(error.toStatus()));
    end();
  }
  /** Stops listening at once: what happens from now on is for the watch that comes next. */
  function end(): void {
    for (const undo of cleanup.splice(0)) undo();
    response.end();
  }
  const watch: OpenWatch = {
    bookmark: () => {
      if (options.bookmarks) sendBookmark();
    },
    expire: () => sendError(expired(`too old resource version: ${options.since ?? 0} (${registry.store.version})`)),
    drop: () => response.destroy(),
    end,
  };

  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  const fromNow = options.since === undefined || options.initialEvents === true;
  if (fromNow && options.initialEvents !== false) {
    for (const object of registry.list(kind, list)) send('ADDED', encode(object));
    if (options.initialEvents === true) sendBookmark({ 'k8s.io/initial-events-end': 'true' });
  }
  try {
    cleanup.push(
      registry.subscribe(kind, fromNow ? registry.store.version : (options.since ?? 0), (change) => {
        const event = selectChange(change, matches);
        if (event !== undefined) send(event.type, encode(event.object));
      }),
    );
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    sendError(error);
    return;
  }
  open.add(watch);
  cleanup.push(() => open.delete(watch));
  if (options.timeoutMs !== undefined) cleanup.push(clock.after(options.timeoutMs, end));
  if (options.bookmarks) {
    const bookmarkLater = (): (() => void) =>
      clock.after(bookmarkEveryMs, () => {
        sendBookmark();
        cancelBookmark = bookmarkLater();
      });
    let cancelBookmark = bookmarkLater();
    cleanup.push(() => cancelBookmark());
  }
  response.once('close', () => {
    for (const undo of cleanup.splice(0)) undo();
  });
}
