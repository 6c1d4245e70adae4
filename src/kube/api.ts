/** A request to an API server. Paths begin with `/api` or `/apis`; the server's own prefix is added. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default `application/json`; patches name their kind, see {@link patchTypes}. */
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence of the server, before and within its answer. Default 15 s. */
  readonly timeoutMs?: number;
  /**
   * Heartbeats and reviews: they go over connections of their own, so that a backlog of status patches cannot
   * delay them.
   */
  readonly urgent?: boolean;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface StreamRequest {
  readonly path: string;
  readonly query?: Query;
  readonly signal: AbortSignal;
  /** How long the stream may say nothing before it counts as dead; asked before each wait. */
  silenceMs(): number;
}

/** The JSON values of a watch, one per line. Close it when done: it owns a connection. */
export interface ValueStream<T> extends AsyncIterable<T> {
  close(): Promise<void>;
}

/** What the rest of this room needs of an API server; {@link KubeClient} over a network, a fake in tests. */
export interface KubeApi {
  /**
   * The parsed answer.
   * @throws ApiError when the server answered with an error; `Unavailable` or `Timeout` when it did not answer
   */
  request<T>(request: ApiRequest): Promise<T>;
  /** Resolves when the server has accepted the watch; errors as {@link request}'s, also while iterating. */
  stream<T>(request: StreamRequest): Promise<ValueStream<T>>;
}

/** `types.PatchType` of k8s.io/apimachinery/pkg/types/patch.go. */
export const patchTypes = {
  strategicMerge: 'application/strategic-merge-patch+json',
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
} as const;
