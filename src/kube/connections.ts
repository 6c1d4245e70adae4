import { Agent, ProxyAgent } from 'undici';
import type { Dispatcher } from 'undici';

import type { Clock } from '../core/clock.ts';
import { unavailable } from '../core/errors.ts';
import type { Credentials, TlsMaterial } from './credentials.ts';

/** How long without a byte of an answer, unless a request says otherwise. */
export const defaultTimeoutMs = 15_000;
/** A timeout makes connections suspect, but a slow server must not be met with handshakes without end. */
const renewEveryMs = 30_000;

export type Lane = 'calls' | 'urgent';
const laneWidth: Record<Lane, number> = { calls: 16, urgent: 4 };

/**
 * The sockets to one API server: two shared lanes for calls and an own agent for each watch. HTTP/1.1 on purpose:
 * with HTTP/2 everything shares one connection, and when that goes silent (a forgotten NAT entry) nothing recovers.
 */
export class Connections {
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #lanes = new Map<Lane, Dispatcher>();
  readonly #agents = new Set<Dispatcher>();
  #tls: TlsMaterial | undefined;
  #renewedAt = Number.NEGATIVE_INFINITY;
  #closed: Promise<void> | undefined;

  constructor(credentials: Credentials, clock: Clock) {
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /** The agent of a lane, made anew when the credentials' TLS material has changed. */
  async lane(lane: Lane): Promise<Dispatcher> {
    const tls = await this.#credentials.tls();
    if (tls !== this.#tls) {
      this.#retireLanes();
      this.#tls = tls;
    }
    let agent = this.#lanes.get(lane);
    if (agent === undefined) {
      agent = this.#open(tls, laneWidth[lane]);
      this.#lanes.set(lane, agent);
    }
    return agent;
  }

  /** An agent with one connection for one long answer. Give it back with {@link release}. */
  async dedicated(): Promise<Dispatcher> {
    return this.#open(await this.#credentials.tls(), 1);
  }

  /** Drops an agent and whatever still runs on it. */
  async release(agent: Dispatcher): Promise<void> {
    this.#agents.delete(agent);
    await agent.destroy();
  }

  /** A request got no answer: later ones go over new connections, those under way may finish. */
  suspect(): void {
    if (this.#clock.now() - this.#renewedAt < renewEveryMs) return;
    this.#renewedAt = this.#clock.now();
    this.#retireLanes();
  }

  /** Drops everything, at once. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= Promise.all([...this.#agents].map((agent) => this.release(agent))).then(() => undefined);
    return this.#closed;
  }

  #open(tls: TlsMaterial, connections: number): Dispatcher {
    if (this.#closed !== undefined) throw unavailable('the API client is closed');
    const { proxy } = this.#credentials;
    const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000, timeout: 10_000 };
    const options = {
      allowH2: false,
      connections,
      pipelining: 1,
      keepAliveTimeout: 30_000,
      headersTimeout: defaultTimeoutMs,
      bodyTimeout: defaultTimeoutMs,
    };
    const agent =
      proxy === undefined
        ? new Agent({ ...options, connect })
        : new ProxyAgent({ ...options, uri: proxy.href, requestTls: connect });
    this.#agents.add(agent);
    return agent;
  }

  #retireLanes(): void {
    for (const agent of this.#lanes.values())
      void agent.close().then(
        () => this.#agents.delete(agent),
        () => this.#agents.delete(agent),
      );
    this.#lanes.clear();
  }
}
