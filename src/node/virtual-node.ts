import type { Clock } from '../core/clock.ts';
import { abortReason, codeOf, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KubeNode, Lease, NodeStatus, Taint } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { waitWith } from '../core/wait-with.ts';
import { BackOff } from '../core/back-off.ts';
import { type KubeApi, listWatch, NodeLease, patchNodeStatus, patchTypes } from '../kube/index.ts';
import { type NodeDescription, type NodeHealth, nodeStatus, sameNews } from './node-status.ts';

export interface VirtualNodeOptions {
  readonly client: KubeApi;
  readonly clock: Clock;
  readonly log: Logger;
  readonly description: NodeDescription;
  /** Set at creation, never written afterwards. */
  readonly taints: readonly Taint[];
  readonly labels: Readonly<Record<string, string>>;
  /** Tells a restart of this daemon from another daemon with the same node name. */
  readonly instanceID: string;
  /** Take the name from a live stranger at once. */
  readonly takeover: boolean;
  /** Create the Node anew when it is deleted. */
  readonly recreate: boolean;
  /** Asked every ten seconds; must answer within that time and never reject. */
  health(): Promise<NodeHealth>;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

/** Whose Node it is: an id that the daemon keeps in its state directory. */
export const instanceAnnotation = 'anylet/instance';

const statusIntervalMs = 10_000;
const reportIntervalMs = 300_000;
const stuckAfterMs = 300_000;
const notYetReady = 'container runtime status check may not have completed yet';

/**
 * The Node object of this daemon: registered once, renewed by its lease, its status written when it changes or every
 * five minutes. `spec` is written at creation only: from then on it belongs to others.
 *
 * Follows pkg/kubelet/kubelet_node_status.go.
 */
export class VirtualNode {
  readonly #options: VirtualNodeOptions;
  readonly #tasks: Tasks;
  readonly #lease: NodeLease;
  readonly #stop = new AbortController();
  #node: KubeNode | undefined;
  #isReady = false;
  #isRegistering = false;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #cameRoundAt: number;
  #writing: Promise<void> | undefined;

  constructor(options: VirtualNodeOptions) {
    this.#options = options;
    this.#cameRoundAt = options.clock.now();
    this.#tasks = new Tasks(options.log);
    this.#lease = new NodeLease(options.client, {
      nodeName: options.description.name,
      holderIdentity: options.description.name,
      clock: options.clock,
      log: options.log,
    });
  }

  /** The Node as the API server last showed it. */
  get node(): KubeNode {
    return this.#node ?? this.#newNode();
  }

  get lease(): NodeLease {
    return this.#lease;
  }

  /** Resolves when the Node exists, is ours, and its lease is being renewed. It is not Ready before {@link ready}. */
  async register(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#stop.abort(signal.reason), { once: true });
    await this.#retrying('node registration', () => this.#register());
    this.#options.event('Normal', 'Starting', 'Starting kubelet.');
    this.#tasks.run('watch node', () => this.#watch());
  }

  /** From now on the node takes pods: its status follows its health. Resolves when the first status is written. */
  async ready(): Promise<void> {
    this.#isReady = true;
    await this.#retrying('node status', () => this.refresh());
    this.#tasks.run('node status', () => this.#statusLoop());
  }

  /** Write the status now if it has changed. One at a time. */
  refresh(): Promise<void> {
    this.#writing ??= this.#writeStatus().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Rejects when the loop that reports on the node has not come round for long: the kubelet's `syncloop` check. */
  syncLoop(): Promise<void> {
    const silentMs = this.#options.clock.now() - this.#cameRoundAt;
    return this.#isReady && silentMs > stuckAfterMs
      ? Promise.reject(new Error('sync Loop took longer than expected'))
      : Promise.resolve();
  }

  /** The Node and its lease stay, as the kubelet's do; the lease runs out. Idempotent. */
  async stop(): Promise<void> {
    this.#stop.abort(abortReason('the node is stopping'));
    await this.#lease.stop();
    await this.#tasks.settled();
  }

  async #register(): Promise<void> {
    const { client, description, log } = this.#options;
    const existing = await this.#read();
    if (existing === undefined) {
      try {
        this.#adopted(
          await client.request<KubeNode>({
            method: 'POST',
            path: '/api/v1/nodes',
            body: this.#newNode(),
            urgent: true,
          }),
        );
        log.info('node created', { node: description.name });
        return;
      } catch (err) {
        if (codeOf(err) !== 'Conflict') throw err;
        return this.#register();
      }
    }
    await this.#claim(existing);
  }

  #adopted(node: KubeNode): void {
    this.#node = node;
    this.#lease.start(node.metadata?.uid ?? '');
  }

  /** Makes an existing Node ours: at once if it is, else when its owner is gone. */
  async #claim(existing: KubeNode): Promise<void> {
    const { clock, log, description, instanceID, takeover, client } = this.#options;
    const owner = existing.metadata?.annotations?.[instanceAnnotation];
    if (owner !== instanceID && !takeover) {
      // Made anew by somebody else while we were its holder: a lease that we renew ourselves would never run out.
      await this.#lease.stop();
      let said = false;
      for (;;) {
        const left = remainingMs(await this.#lease.read(this.#stop.signal), clock.now());
        if (left <= 0) break;
        if (!said) {
          said = true;
          log.warn(
            'another live instance holds this node name: waiting until its lease expires (--takeover does not wait)',
            {
              node: description.name,
              owner: owner ?? 'unknown',
              leaseExpiresInSeconds: Math.ceil(left / 1000),
            },
          );
        }
        await clock.sleep(Math.min(left + 100, 5_000), this.#stop.signal);
      }
    }
    const node = this.#newNode();
    const stored = await client.request<KubeNode>({
      method: 'PATCH',
      path: `/api/v1/nodes/${description.name}`,
      contentType: patchTypes.strategicMerge,
      body: {
        metadata: {
          uid: existing.metadata?.uid,
          labels: node.metadata?.labels,
          annotations: node.metadata?.annotations,
        },
      },
      urgent: true,
    });
    this.#adopted(stored);
    log.info('node taken over', { node: description.name, restarted: owner === instanceID });
  }

  async #read(): Promise<KubeNode | undefined> {
    try {
      const path = `/api/v1/nodes/${this.#options.description.name}`;
      return await this.#options.client.request<KubeNode>({ method: 'GET', path, urgent: true });
    } catch (err) {
      if (codeOf(err) === 'NotFound') return undefined;
      throw err;
    }
  }

  #newNode(): KubeNode {
    const { description, labels, taints, instanceID, clock } = this.#options;
    const { operatingSystem, architecture } = description.machine;
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name: description.name,
        labels: {
          'kubernetes.io/hostname': description.name,
          'kubernetes.io/os': operatingSystem,
          'kubernetes.io/arch': architecture,
          'beta.kubernetes.io/os': operatingSystem,
          'beta.kubernetes.io/arch': architecture,
          type: 'virtual-kubelet',
          'node.kubernetes.io/exclude-from-external-load-balancers': 'true',
          ...labels,
        },
        annotations: {
          [instanceAnnotation]: instanceID,
          'volumes.kubernetes.io/controller-managed-attach-detach': 'true',
        },
      },
      spec: { providerID: `anylet://${description.name}`, taints: [...taints] },
      status: nodeStatus(description, { problem: notYetReady }, {}, clock.now()),
    };
  }

  async #statusLoop(): Promise<void> {
    const { clock, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(statusIntervalMs, this.#stop.signal);
      try {
        await this.refresh();
      } catch (err) {
        if (this.#stop.signal.aborted) return;
        log.warn('node status not written, will be retried', { err: messageOf(err) });
      }
    }
  }

  async #writeStatus(): Promise<void> {
    const { client, clock, description } = this.#options;
    const node = this.#node;
    const uid = node?.metadata?.uid;
    if (node === undefined || uid === undefined) return;
    const previous: NodeStatus = node.status ?? {};
    this.#cameRoundAt = clock.now();
    const found = this.#isReady ? await waitWith(this.#options.health(), this.#stop.signal) : { problem: notYetReady };
    const next = nodeStatus(description, found, previous, clock.now());
    const due = clock.now() - this.#reportedAt >= reportIntervalMs;
    if (!due && sameNews(previous, next)) return;
    const stored = await patchNodeStatus(client, { name: description.name, uid }, previous, next, this.#stop.signal);
    this.#reportedAt = clock.now();
    if (stored !== undefined) this.#node = stored;
    this.#tellChanges(previous, next);
  }

  #tellChanges(previous: NodeStatus, next: NodeStatus): void {
    const { description } = this.#options;
    const ready = (status: NodeStatus) => status.conditions?.find((c) => c.type === 'Ready')?.status;
    if (ready(previous) !== ready(next)) {
      const reason = ready(next) === 'True' ? 'NodeReady' : 'NodeNotReady';
      this.#options.event('Normal', reason, `Node ${description.name} status is now: ${reason}`);
    }
    const before = previous.nodeInfo?.bootID;
    const now = next.nodeInfo?.bootID;
    if (before && now && before !== now)
      this.#options.event('Warning', 'Rebooted', `Node ${description.name} has been rebooted, boot id: ${now}`);
  }

  /** Labels and taints that others set count at admission; a deleted Node is made anew. */
  async #watch(): Promise<void> {
    const { client, clock, log, description, recreate } = this.#options;
    const events = listWatch<KubeNode & { metadata: { name: string; uid: string } }>(
      client,
      { path: '/api/v1/nodes', fieldSelector: `metadata.name=${description.name}` },
      { clock, log, signal: this.#stop.signal },
    );
    for await (const event of events) {
      const isOurs = 'object' in event && event.object.metadata.uid === this.#node?.metadata?.uid;
      if (event.type === 'apply') {
        if (isOurs) this.#node = event.object;
        else this.#registerAgain('another Node has the name of this one: taking it');
      } else if (event.type === 'delete' && isOurs) {
        this.#node = undefined;
        if (recreate) this.#registerAgain('node was deleted: creating it anew');
        else {
          log.error('node was deleted and node.recreate is off: this daemon has no node any more', {
            node: description.name,
          });
          await this.#lease.stop();
        }
      }
    }
  }

  #registerAgain(why: string): void {
    if (this.#isRegistering) return;
    this.#isRegistering = true;
    this.#node = undefined;
    this.#options.log.warn(why, { node: this.#options.description.name });
    this.#tasks.run('register node again', async () => {
      await this.#retrying('node registration', () => this.#register()).finally(() => {
        this.#isRegistering = false;
      });
      this.#reportedAt = Number.NEGATIVE_INFINITY;
      if (this.#isReady) await this.#retrying('node status', () => this.refresh());
    });
  }

  /** Again and again, saying once what is wrong. What another try cannot mend is thrown. */
  async #retrying(what: string, attempt: () => Promise<void>): Promise<void> {
    const { clock, log, description } = this.#options;
    const backOff = new BackOff(clock, { initialMs: 200, maxMs: 7_000 });
    let said: string | undefined;
    for (;;) {
      try {
        return await attempt();
      } catch (err) {
        if (this.#stop.signal.aborted || codeOf(err) === 'InvalidInput') throw err;
        const message = messageOf(err);
        if (message !== said) log.warn(`${what} failed, will be retried`, { node: description.name, err: message });
        said = message;
        await clock.sleep(backOff.next(), this.#stop.signal);
      }
    }
  }
}

/** How long a lease still holds; zero or less when it has run out or there is none. */
function remainingMs(lease: Lease | undefined, now: number): number {
  const renewed = Date.parse(lease?.spec?.renewTime ?? '');
  if (Number.isNaN(renewed)) return 0;
  return renewed + (lease?.spec?.leaseDurationSeconds ?? 40) * 1000 - now;
}
