import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { rfc3339Micro } from '../core/clock.ts';
import { codeOf, isAbort, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Lease } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import type { KubeApi } from './api.ts';

export const leaseNamespace = 'kube-node-lease';

export interface NodeLeaseOptions {
  readonly nodeName: string;
  /** The kubelet's is the node's name. */
  readonly holderIdentity: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default 40, as the kubelet's `nodeLeaseDurationSeconds`. */
  readonly durationSeconds?: number;
  /** Another holder has written the lease while we renew it: another daemon runs this node. Called once per holder. */
  readonly onForeignHolder?: (holderIdentity: string) => void;
}

/** Tries at updating before the lease is read again (`maxUpdateRetries`). */
const maxUpdates = 5;
/** Between tries at reading or creating the lease. */
const ensureBackOff = { initialMs: 100, maxMs: 7000, jitter: 0.1, resetAfterMs: 30_000 };

/**
 * The heartbeat that says "the daemon lives": `kube-node-lease/<node>`, renewed every quarter of its duration
 * whatever else is going on. Follows k8s.io/component-helpers/apimachinery/lease/controller.go.
 */
export class NodeLease {
  readonly #api: KubeApi;
  readonly #options: NodeLeaseOptions;
  readonly #durationSeconds: number;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  #nodeUid = '';
  #latest: Lease | undefined;
  #renewedAtMs: number | undefined;
  #running: AbortController | undefined;
  #failure: string | undefined;
  #foreign: string | undefined;

  constructor(api: KubeApi, options: NodeLeaseOptions) {
    this.#api = api;
    this.#options = options;
    this.#durationSeconds = options.durationSeconds ?? 40;
    this.#log = options.log;
    this.#tasks = new Tasks(options.log);
  }

  /** The lease as it is, whoever holds it; undefined when there is none. */
  async read(signal?: AbortSignal): Promise<Lease | undefined> {
    try {
      return await this.#request('GET', signal);
    } catch (err) {
      if (codeOf(err) === 'NotFound') return undefined;
      throw err;
    }
  }

  /**
   * Begins to renew, or goes on for a Node that was created anew: the lease is owned by the Node with this UID, or
   * the garbage collector takes it.
   */
  start(nodeUid: string): void {
    this.#nodeUid = nodeUid;
    if (this.#running !== undefined) return;
    const running = new AbortController();
    this.#running = running;
    this.#tasks.run('node lease', () => this.#renewUntil(running.signal));
  }

  /** Stops renewing; the lease stays and runs out, as the kubelet's does. Idempotent. */
  async stop(): Promise<void> {
    this.#running?.abort();
    this.#running = undefined;
    await this.#tasks.settled();
  }

  /** When the server last took a renewal, in ms since the epoch; undefined before the first. */
  get renewedAtMs(): number | undefined {
    return this.#renewedAtMs;
  }

  /** The last renewal is older than the lease lasts: the control plane takes this node for dead. */
  get expired(): boolean {
    return (
      this.#renewedAtMs === undefined || this.#options.clock.now() - this.#renewedAtMs > this.#durationSeconds * 1000
    );
  }

  async #renewUntil(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      await this.#renew(signal);
      const intervalMs = this.#durationSeconds * 250;
      await clock.sleep(intervalMs * (1 + Math.random() * 0.04), signal);
    }
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const backOff = new BackOff(this.#options.clock, ensureBackOff);
    while (!signal.aborted) {
      try {
        if (this.#latest !== undefined && (await this.#update(signal))) return;
        this.#latest = await this.read(signal);
        if (this.#latest === undefined) {
          this.#done(await this.#request('POST', signal, this.#next({})));
          return;
        }
        this.#noticeHolder(this.#latest);
        if (await this.#update(signal)) return;
      } catch (err) {
        if (signal.aborted || isAbort(err)) return;
        this.#failed(err);
        // The collector took it, the lease was created meanwhile: read anew next time.
        this.#latest = undefined;
      }
      await this.#options.clock.sleep(backOff.next(), signal);
    }
  }

  /** An optimistic write of what we last saw. False when another write came between, so that it must be read again. */
  async #update(signal: AbortSignal): Promise<boolean> {
    for (let attempt = 1; this.#latest !== undefined; attempt++) {
      try {
        this.#done(await this.#request('PUT', signal, this.#next(this.#latest)));
        return true;
      } catch (err) {
        if (signal.aborted) throw err;
        const code = codeOf(err);
        if (code === 'Conflict' || code === 'NotFound') break;
        if (attempt >= maxUpdates || code === 'Forbidden') throw err;
        this.#failed(err);
        await this.#options.clock.sleep(200 * attempt, signal);
      }
    }
    this.#latest = undefined;
    return false;
  }

  #next(latest: Partial<Lease>): Lease {
    const { nodeName, holderIdentity, clock } = this.#options;
    const { apiVersion = 'coordination.k8s.io/v1', kind = 'Lease', metadata, spec } = latest;
    return {
      apiVersion,
      kind,
      metadata: {
        ...metadata,
        name: nodeName,
        namespace: leaseNamespace,
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: nodeName, uid: this.#nodeUid }],
      },
      spec: {
        ...spec,
        holderIdentity,
        leaseDurationSeconds: this.#durationSeconds,
        renewTime: rfc3339Micro(clock.now()),
      },
    };
  }

  #done(stored: Lease): void {
    this.#latest = stored;
    this.#renewedAtMs = this.#options.clock.now();
    if (this.#failure !== undefined) this.#log.info('node lease is renewed again');
    this.#failure = undefined;
  }

  #failed(err: unknown): void {
    const message = messageOf(err);
    if (message === this.#failure) return;
    this.#failure = message;
    this.#log.warn('node lease not renewed, will be retried', { err: message });
  }

  #noticeHolder(lease: Lease): void {
    const holder = lease.spec?.holderIdentity;
    // Before the first renewal of our own it is a predecessor's, which its caller has judged by read().
    if (
      this.#renewedAtMs === undefined ||
      !holder ||
      holder === this.#options.holderIdentity ||
      holder === this.#foreign
    )
      return;
    this.#foreign = holder;
    this.#log.error('node lease was written by another holder: two daemons run this node', { holder });
    this.#options.onForeignHolder?.(holder);
  }

  #request(method: 'GET' | 'POST' | 'PUT', signal: AbortSignal | undefined, body?: Lease): Promise<Lease> {
    const collection = `/apis/coordination.k8s.io/v1/namespaces/${leaseNamespace}/leases`;
    return this.#api.request<Lease>({
      method,
      path: method === 'POST' ? collection : `${collection}/${this.#options.nodeName}`,
      ...(body !== undefined && { body }),
      signal,
      urgent: true,
      // The kubelet's heartbeat client gives up after a quarter of the lease, in time for the next.
      timeoutMs: this.#durationSeconds * 250,
    });
  }
}
