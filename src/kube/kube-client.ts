import type { Dispatcher } from 'undici';

import type { Clock } from '../core/clock.ts';
import { codeOf, messageOf, timedOut, unavailable } from '../core/errors.ts';
import { errorFromAnswer } from './api-error.ts';
import type { ApiRequest, KubeApi, Query, StreamRequest, ValueStream } from './api.ts';
import { Connections, defaultTimeoutMs } from './connections.ts';
import type { Credentials } from './credentials.ts';
import { JsonLines } from './json-lines.ts';
import { labelOf } from './request-label.ts';
import type { RequestRecord } from './request-label.ts';

export interface KubeClientOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** Default `anylet`. */
  readonly userAgent?: string;
  /** Called after each request, and for a watch when the server has accepted or refused it. */
  readonly onRequest?: (record: RequestRecord) => void;
}

/** What an `undici` answer is, as far as this file reads it. */
type Answer = Dispatcher.ResponseData;
/** Timers of the transport run in real time; a watch's are ours, by the injected clock. */
interface Timeouts {
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
}

/** How long a server may take to accept a watch. */
const acceptMs = 30_000;

/** The transport to one API server. Answers are wire JSON, errors are coded, nothing is retried but a stale token. */
export class KubeClient implements KubeApi {
  readonly #credentials: Credentials;
  readonly #connections: Connections;
  readonly #clock: Clock;
  readonly #userAgent: string;
  readonly #onRequest: ((record: RequestRecord) => void) | undefined;
  readonly #basePath: string;

  constructor({ credentials, clock, userAgent = 'anylet', onRequest }: KubeClientOptions) {
    this.#credentials = credentials;
    this.#connections = new Connections(credentials, clock);
    this.#clock = clock;
    this.#userAgent = userAgent;
    this.#onRequest = onRequest;
    this.#basePath = credentials.server.pathname.replace(/\/+$/, '');
  }

  /** Base URL of the API server. */
  get server(): URL {
    return this.#credentials.server;
  }

  async request<T>(request: ApiRequest): Promise<T> {
    const { method, path, query, signal, timeoutMs = defaultTimeoutMs, urgent = false } = request;
    const timeouts = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    const title = `${method} ${path}`;
    const lane = urgent ? 'urgent' : 'calls';
    return this.#counted(method, path, query, async (answered) => {
      const answer = await this.#authorized((authorization) =>
        this.#send(() => this.#connections.lane(lane), {
          method,
          path,
          query,
          body,
          contentType: request.contentType,
          signal,
          authorization,
          ...timeouts,
        }),
      );
      answered(answer.statusCode);
      const text = await answer.body.text();
      if (answer.statusCode >= 300)
        throw errorFromAnswer(title, answer.statusCode, text, header(answer, 'retry-after'));
      return parseAnswer(title, text) as T;
    }).catch((err: unknown) => {
      throw this.#explain(title, err, signal);
    });
  }

  async stream<T>(request: StreamRequest): Promise<ValueStream<T>> {
    const { path, query, signal } = request;
    const title = `WATCH ${path}`;
    const agent = await this.#connections.dedicated();
    // Both timeouts off: the watchdog below is what notices silence.
    const silence = new AbortController();
    const either = AbortSignal.any([signal, silence.signal]);
    const guard = <R>(ms: number, wait: () => Promise<R>): Promise<R> => this.#guarded(title, ms, silence, wait);
    const explain = (err: unknown) =>
      this.#explain(title, silence.signal.aborted && !signal.aborted ? silence.signal.reason : err, signal);
    const close = () => this.#connections.release(agent);
    try {
      const answer = await this.#counted('GET', path, query, async (answered) => {
        const accepted = await this.#authorized((authorization) =>
          guard(acceptMs, () =>
            this.#send(async () => agent, {
              method: 'GET',
              path,
              query,
              signal: either,
              authorization,
              headersTimeout: 0,
              bodyTimeout: 0,
            }),
          ),
        );
        answered(accepted.statusCode);
        if (accepted.statusCode >= 300) {
          const text = await guard(acceptMs, () => accepted.body.text());
          throw errorFromAnswer(title, accepted.statusCode, text, header(accepted, 'retry-after'));
        }
        return accepted;
      });
      const values = readValues<T>(answer.body, () => request.silenceMs(), guard, explain);
      return { [Symbol.asyncIterator]: () => values, close };
    } catch (err) {
      await close();
      throw explain(err);
    }
  }

  /** Drops every connection; requests under way fail as `Unavailable`. Idempotent. */
  close(): Promise<void> {
    return this.#connections.close();
  }

  async #send(
    connect: () => Promise<Dispatcher>,
    request: Omit<ApiRequest, 'timeoutMs' | 'urgent' | 'query' | 'body' | 'contentType'> &
      Timeouts & {
        query: Query | undefined;
        body?: string | undefined;
        contentType?: string | undefined;
        authorization: string | undefined;
      },
  ): Promise<Answer> {
    const {
      method,
      path,
      query,
      body,
      contentType = 'application/json',
      signal,
      authorization,
      headersTimeout,
      bodyTimeout,
    } = request;
    signal?.throwIfAborted();
    const agent = await connect();
    return agent.request({
      origin: this.#credentials.server.origin,
      path: `${this.#basePath}${path}${queryString(query)}`,
      method,
      headers: {
        accept: 'application/json',
        'user-agent': this.#userAgent,
        ...(authorization !== undefined && { authorization }),
        ...(body !== undefined && { 'content-type': contentType }),
      },
      ...(body !== undefined && { body }),
      ...(signal !== undefined && { signal }),
      headersTimeout,
      bodyTimeout,
    });
  }

  /** A 401 may only mean that a token or certificate has been replaced on disk: read it, try once more. */
  async #authorized(send: (authorization: string | undefined) => Promise<Answer>): Promise<Answer> {
    const authorization = await this.#credentials.authorization();
    const answer = await send(authorization);
    if (answer.statusCode !== 401) return answer;
    const changed = await this.#credentials.refresh();
    const renewed = await this.#credentials.authorization();
    // Another request may have fetched the new token while this one was refused.
    if (!changed && renewed === authorization) return answer;
    await answer.body.dump();
    return send(renewed);
  }

  async #counted<R>(
    method: string,
    path: string,
    query: Query | undefined,
    run: (answered: (status: number) => void) => Promise<R>,
  ): Promise<R> {
    if (this.#onRequest === undefined) return run(() => {});
    const startedAt = this.#clock.now();
    let status = 0;
    try {
      return await run((answered) => (status = answered));
    } finally {
      this.#onRequest({ method, ...labelOf(method, path, query), status, durationMs: this.#clock.now() - startedAt });
    }
  }

  /** `wait`, ended by `silence` when it takes longer than `ms`. */
  async #guarded<R>(title: string, ms: number, silence: AbortController, wait: () => Promise<R>): Promise<R> {
    const cancel = this.#clock.after(ms, () =>
      silence.abort(timedOut(`${title}: the API server said nothing for ${Math.round(ms / 1000)} s`)),
    );
    try {
      return await wait();
    } finally {
      cancel();
    }
  }

  /** Whatever went wrong, as an abort or a coded error whose message names the request. */
  #explain(title: string, err: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted === true) return signal.reason;
    if (codeOf(err) !== undefined) return err;
    const { origin } = this.#credentials.server;
    if (isTimeout(err)) {
      this.#connections.suspect();
      return timedOut(`${title}: no answer from ${origin} in time`, err);
    }
    return unavailable(`${title}: ${origin} cannot be reached: ${messageOf(err)}`, err);
  }
}

async function* readValues<T>(
  body: AsyncIterable<Buffer>,
  silenceMs: () => number,
  guard: <R>(ms: number, wait: () => Promise<R>) => Promise<R>,
  explain: (err: unknown) => unknown,
): AsyncGenerator<T, void, undefined> {
  const lines = new JsonLines();
  const chunks = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Armed only while we wait: a consumer that takes its time is not a silent server.
      const next = await guard(silenceMs(), () => chunks.next());
      if (next.done === true) return;
      for (const value of lines.push(next.value)) yield value as T;
    }
  } catch (err) {
    throw explain(err);
  }
}

function parseAnswer(title: string, text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    // Without the cause: its message would quote the answer, which may be a secret.
    throw unavailable(`${title}: the answer is not JSON`);
  }
}

function queryString(query: Query | undefined): string {
  if (query === undefined) return '';
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

function header(answer: Answer, name: string): string | undefined {
  const value = answer.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

const timeoutCodes = new Set([
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
]);

function isTimeout(err: unknown): boolean {
  return timeoutCodes.has(String((err as { code?: unknown } | null)?.code));
}
