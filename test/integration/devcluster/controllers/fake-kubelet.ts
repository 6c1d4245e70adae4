import type { Pod, PodStatus } from '../../../../src/core/objects.ts';
import type { DevCluster } from '../../../../src/devcluster/index.ts';
import { readyNode } from '../../../helpers/dev-cluster.ts';

/** What becomes of a pod that has come to the node. */
export type Fate = 'run' | 'succeed' | 'fail' | 'wait';

/** A node whose pods start, end and go at once, as `fate` says. */
export class FakeKubelet {
  readonly #cluster: DevCluster;
  readonly #stop: () => void;
  readonly #fate: (pod: Pod) => Fate;
  readonly #node: string;
  #lastIP = 1;

  constructor(cluster: DevCluster, node: string, fate: (pod: Pod) => Fate = () => 'run', status: object = {}) {
    this.#cluster = cluster;
    this.#fate = fate;
    this.#node = node;
    cluster.objects.create(readyNode(node, 10_250, status));
    this.#stop = cluster.objects.watch('Pod', ({ type, object }) => {
      const pod = object as unknown as Pod;
      if (type !== 'DELETED' && pod.spec.nodeName === node) setImmediate(() => this.#look(pod.metadata));
    });
  }

  stop(): void {
    this.#stop();
  }

  /** Says that the node is well. */
  heartbeat(atMs: number): void {
    const lastHeartbeatTime = new Date(atMs).toISOString();
    const conditions = [{ type: 'Ready', status: 'True', reason: 'KubeletReady', lastHeartbeatTime }];
    this.#cluster.objects.patch(
      { kind: 'Node', name: this.#node },
      { status: { conditions } },
      { subresource: 'status' },
    );
  }

  #look({ namespace, name, uid }: Pod['metadata']): void {
    const pod = this.#cluster.objects.find<Pod>({ kind: 'Pod', namespace, name });
    if (pod === undefined || pod.metadata.uid !== uid) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (pod.metadata.deletionGracePeriodSeconds !== 0)
        this.#cluster.objects.delete({ kind: 'Pod', namespace, name }, { gracePeriodSeconds: 0 });
    } else if (pod.status?.phase === 'Pending') this.#settle(pod, this.#fate(pod));
  }

  #settle(pod: Pod, fate: Fate): void {
    if (fate === 'wait') return;
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const exitCode = fate === 'fail' ? 1 : 0;
    const running = fate === 'run';
    const ip = `10.0.0.${++this.#lastIP}`;
    const status: PodStatus = {
      ...pod.status,
      phase: running ? 'Running' : fate === 'fail' ? 'Failed' : 'Succeeded',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [
        ...(pod.status?.conditions ?? []).filter(({ type }) => type !== 'Ready'),
        { type: 'Ready', status: running ? 'True' : 'False', lastTransitionTime: now },
      ],
      containerStatuses: pod.spec.containers.map(({ name, image = '' }) => ({
        name,
        image,
        imageID: '',
        ready: running,
        restartCount: 0,
        state: running
          ? { running: { startedAt: now } }
          : { terminated: { exitCode, finishedAt: now, startedAt: now } },
      })),
    };
    const { namespace, name } = pod.metadata;
    this.#cluster.objects.patch({ kind: 'Pod', namespace, name }, { status }, { subresource: 'status' });
  }
}

/** Resolves when `check` holds, looked at after every change to one of the kinds. */
export function eventually<T>(
  cluster: DevCluster,
  kinds: readonly string[],
  check: () => T | undefined | false,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = [];
    const timer = setTimeout(() => finish(() => reject(new Error('it did not happen'))), 10_000);
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      for (const stop of stops) stop();
      settle();
    };
    const look = () => {
      try {
        const value = check();
        if (value !== undefined && value !== false) finish(() => resolve(value));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    for (const kind of kinds) stops.push(cluster.objects.watch(kind, () => setImmediate(look)));
    look();
  });
}
