/** Puts the steps of a topic to a server over HTTPS, real or embedded. */
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request, type Dispatcher } from 'undici';

import { identities, type GoldenRequest, type GoldenResponse, type GoldenStep, type Identity } from './golden-topic.ts';

/** A server under question. */
export interface GoldenServer {
  readonly url: string;
  readonly caPem: string;
  /** Makes a client certificate. */
  certificate(user: string, groups: readonly string[]): Promise<{ certPem: string; keyPem: string }>;
}

/** How long it waits, in milliseconds, where the server itself does not say that it has said all. */
export interface Patience {
  /** Silence after which a watch has no more to say. */
  readonly quietMs: number;
  /** Before a step whose outcome depends on the server's caches. */
  readonly settleMs: number;
  /** Until a step has its expected code. */
  readonly eventuallyMs: number;
}

/** Whoever the default field manager is named after. */
const userAgent = 'golden/1.0';

/** Asks as each of the identities; `close()` ends its connections. */
export class GoldenClient {
  readonly #server: GoldenServer;
  readonly #patience: Patience;
  readonly #agents = new Map<Identity, Promise<Agent>>();
  readonly #answers = new Map<string, GoldenResponse>();

  constructor(server: GoldenServer, patience: Patience) {
    this.#server = server;
    this.#patience = patience;
  }

  async close(): Promise<void> {
    for (const agent of this.#agents.values()) await (await agent).destroy();
  }

  /** Creates namespaces and waits until each has what pods need there. */
  async furnish(namespaces: readonly string[]): Promise<void> {
    for (const name of namespaces) {
      const ask = { method: 'POST', path: '/api/v1/namespaces', body: { metadata: { name } } };
      const { status, body } = await this.#plain('admin', ask);
      if (status !== 201) throw new Error(`no namespace ${name}: ${JSON.stringify(body)}`);
    }
    for (const namespace of namespaces) {
      for (const path of ['serviceaccounts/default', 'configmaps/kube-root-ca.crt']) {
        const ask = { method: 'GET', path: `/api/v1/namespaces/${namespace}/${path}` };
        for (let left = 500; (await this.#plain('admin', ask)).status !== 200; left--) {
          if (left === 0) throw new Error(`namespace ${namespace} never got its ${path}`);
          await delay(20);
        }
      }
    }
  }

  /**
   * The answer to a step. `events` is how many events a watch should have; without it a watch is read until it is
   * quiet. Throws when the request refers to an answer that there is not.
   */
  async ask(step: GoldenStep, events?: number): Promise<GoldenResponse> {
    if (step.settle) await delay(this.#patience.settleMs);
    const asked = this.#resolved(step.request);
    const deadline = performance.now() + this.#patience.eventuallyMs;
    let answer = await this.#once(step.as, asked, events);
    while (step.eventually !== undefined && answer.status !== step.eventually && performance.now() < deadline) {
      await delay(20);
      answer = await this.#once(step.as, asked, events);
    }
    this.#answers.set(step.name, answer);
    return counting(answer, step);
  }

  #once(as: Identity, asked: GoldenRequest, events: number | undefined): Promise<GoldenResponse> {
    return /[?&]watch=(?:true|1)/.test(asked.path) ? this.#watch(as, asked, events) : this.#plain(as, asked);
  }

  async #plain(as: Identity, asked: GoldenRequest): Promise<GoldenResponse> {
    const response = await this.#send(as, asked);
    return answerOf(response, parsed(await response.body.text()));
  }

  async #watch(as: Identity, asked: GoldenRequest, events = Number.POSITIVE_INFINITY): Promise<GoldenResponse> {
    const cancelled = new AbortController();
    const response = await this.#send(as, asked, cancelled.signal);
    if (response.statusCode !== 200) return answerOf(response, parsed(await response.body.text()));
    for (const change of asked.during ?? []) await this.#plain('admin', change);
    const seen: unknown[] = [];
    let ended = false;
    let tail = '';
    const chunks = response.body.setEncoding('utf8')[Symbol.asyncIterator]();
    try {
      while (seen.length < events) {
        const next = await this.#before(chunks.next());
        if (next === undefined) break;
        if (next.done) {
          ended = true;
          break;
        }
        const lines = (tail + String(next.value)).split('\n');
        tail = lines.pop() ?? '';
        const found = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as unknown);
        seen.push(...found.filter((event) => !isPassingBookmark(event)));
      }
      // What follows an error is the end.
      if (!ended && isError(seen.at(-1))) ended = (await this.#before(chunks.next()))?.done === true;
    } finally {
      cancelled.abort();
      response.body.on('error', () => {});
    }
    return { ...answerOf(response, seen), ...(ended && { ended }) };
  }

  /** What comes before the patience ends. */
  async #before<T>(next: Promise<T>): Promise<T | undefined> {
    const timer = new AbortController();
    next.catch(() => {});
    const silence = delay(this.#patience.quietMs, undefined, { signal: timer.signal }).catch(() => undefined);
    const first = await Promise.race([next, silence]);
    timer.abort();
    return first;
  }

  async #send(as: Identity, asked: GoldenRequest, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, path, headers = {}, body, paddingBytes = 0 } = asked;
    const text = typeof body === 'string' ? body : JSON.stringify(body)?.replace('<padding>', 'x'.repeat(paddingBytes));
    return request(`${this.#server.url}${path}`, {
      method: method as 'GET',
      dispatcher: await this.#agent(as),
      headers: {
        'user-agent': userAgent,
        accept: 'application/json',
        ...(text !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(text !== undefined && { body: text }),
      ...(signal !== undefined && { signal }),
    });
  }

  #agent(as: Identity): Promise<Agent> {
    const known = this.#agents.get(as) ?? this.#connect(as);
    this.#agents.set(as, known);
    return known;
  }

  async #connect(as: Identity): Promise<Agent> {
    const who = identities[as];
    const pair = who && (await this.#server.certificate(who.user, who.groups));
    return new Agent({
      allowH2: false,
      connect: { ca: this.#server.caPem, ...(pair && { cert: pair.certPem, key: pair.keyPem }) },
    });
  }

  #resolved<T>(value: T): T {
    if (typeof value === 'string') {
      return value.replaceAll(/\{\{([^#}]+)#([^}]*)\}\}/g, (_, name: string, pointer: string) => {
        const found = at(this.#answers.get(name)?.body, pointer);
        if (typeof found !== 'string') throw new Error(`the answer to "${name}" has no ${pointer}`);
        return found;
      }) as T;
    }
    if (Array.isArray(value)) return value.map((item: unknown) => this.#resolved(item)) as T;
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#resolved(item as unknown)])) as T;
  }
}

/** What of an answer counts in this step. */
function counting(answer: GoldenResponse, { pick, only, unordered = [], keep = [] }: GoldenStep): GoldenResponse {
  let { body } = answer;
  if (answer.status === 200 && pick !== undefined)
    body = Object.fromEntries(pick.map((pointer) => [pointer, at(body, pointer) ?? null]));
  if (answer.status === 200 && only !== undefined) body = withOnly(body, only);
  for (const pointer of unordered) {
    const list = at(body, pointer);
    if (Array.isArray(list)) list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  return { ...answer, body: withoutNoise(body, keep) };
}

function withOnly(body: unknown, { list, by, of }: NonNullable<GoldenStep['only']>): unknown {
  const items = at(body, list);
  if (!Array.isArray(items)) return body;
  const kept = items.filter((item) => of.includes(String(at(item, by)).split('/', 1)[0] ?? ''));
  return { ...(body as object), [list.slice(1)]: kept };
}

function withoutNoise(value: unknown, keep: NonNullable<GoldenStep['keep']>): unknown {
  // What of the server's internal structures is different, as text: no client reads it.
  if (typeof value === 'string') return value.replace(/\n@@ [^]*$/, '\n@@');
  if (Array.isArray(value)) return value.map((item) => withoutNoise(item, keep));
  if (typeof value !== 'object' || value === null) return value;
  const isColumn = 'format' in value && 'priority' in value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'managedFields' || keep.includes('managedFields'))
      .filter(([key]) => key !== 'description' || !isColumn || keep.includes('columnDescriptions'))
      .map(([key, item]) => [key, withoutNoise(item, keep)]),
  );
}

/** What a JSON pointer points at. */
function at(document: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
      document,
    );
}

function answerOf({ statusCode, headers }: Dispatcher.ResponseData, body: unknown): GoldenResponse {
  const warnings = [headers['warning'] ?? []].flat();
  return {
    status: statusCode,
    contentType: String(headers['content-type'] ?? ''),
    ...(warnings.length > 0 && { warnings }),
    body,
  };
}

/** The index of OpenAPI is JSON that says that it is text. */
function parsed(text: string): unknown {
  return text.startsWith('{') ? (JSON.parse(text) as unknown) : text;
}

/** A bookmark comes when the server likes; the one at the end of the initial events does not. */
function isPassingBookmark(event: unknown): boolean {
  return at(event, '/type') === 'BOOKMARK' && at(event, '/object/metadata/annotations') === undefined;
}

function isError(event: unknown): boolean {
  return at(event, '/type') === 'ERROR';
}
