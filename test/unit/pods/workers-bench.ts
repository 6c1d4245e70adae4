import type { KubeNode, Pod } from '../../../src/core/objects.ts';
import { createKubeletMetrics } from '../../../src/metrics/kubelet-metrics.ts';
import { PodWorkers } from '../../../src/pods/pod-workers.ts';
import type { PodProvider } from '../../../src/providers/contract.ts';
import { FakeClock, literalResolver, MemoryLogger } from '../../../src/testing/index.ts';
import { FakeProvider } from '../../helpers/fake-provider.ts';
import { MemoryApi } from '../../helpers/memory-api.ts';
import { pass, quiet } from '../../helpers/quiet.ts';

/** The pods of one node, between an API server and a provider that a test holds. */
export class WorkersBench {
  readonly clock = new FakeClock();
  readonly log = new MemoryLogger();
  readonly api = new MemoryApi(this.clock);
  readonly provider = new FakeProvider();
  /** `Warning OutOfcpu p: message` */
  readonly events: string[] = [];
  readonly forgotten: string[] = [];
  readonly metrics = createKubeletMetrics();
  node: KubeNode = {
    metadata: { name: 'node', labels: { 'kubernetes.io/os': 'linux' } },
    status: { allocatable: { cpu: '4', memory: '1Gi', pods: '110' } },
  };
  workers: PodWorkers = this.#create(this.provider);
  #stop = new AbortController();

  #create(provider: PodProvider): PodWorkers {
    return new PodWorkers({
      client: this.api,
      provider,
      nodeName: 'node',
      nodeIPs: ['192.0.2.1'],
      clock: this.clock,
      log: this.log,
      node: () => this.node,
      resolver: (pod) => literalResolver(pod()),
      event: (pod, type, reason, message) => void this.events.push(`${type} ${reason} ${pod.name}: ${message}`),
      forgotten: (uid) => void this.forgotten.push(uid),
      metrics: this.metrics.pods,
    });
  }

  async start(): Promise<void> {
    const started = this.workers.start(this.#stop.signal);
    await quiet();
    await started;
  }

  /** As after the daemon was stopped: another process, the same provider and API server. */
  async restart(): Promise<void> {
    await this.stop();
    this.#stop = new AbortController();
    this.workers = this.#create(this.provider);
    this.provider.calls.length = 0;
    await this.start();
  }

  async create(name: string, spec: Partial<Pod['spec']> = {}, metadata: object = {}): Promise<Pod> {
    const pod = this.api.createPod({
      metadata: { name, ...metadata },
      spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
    });
    await quiet();
    return pod;
  }

  async delete(name: string, graceSeconds?: number): Promise<void> {
    this.api.deletePod(name, graceSeconds);
    await quiet();
  }

  async pass(ms: number, stepMs?: number): Promise<void> {
    await pass(this.clock, ms, stepMs);
  }

  /** What is kept for pods, zeros left out. */
  get kept(): Record<string, number> {
    return Object.fromEntries(Object.entries(this.workers.sizes()).filter(([, size]) => size > 0));
  }

  /** Phases that a watcher of this pod saw, equal neighbours once, then `gone`. */
  phases(uid: string): string[] {
    const seen = this.api.history
      .filter((c) => c.object.metadata.uid === uid)
      .map((c) => (c.type === 'DELETED' ? 'gone' : String(c.object.status?.['phase'])));
    return seen.filter((phase, i) => phase !== seen[i - 1]);
  }

  condition(name: string, type: string): string {
    const found = this.api.status(name).conditions?.find((c) => c.type === type);
    return [found?.status, found?.reason].filter(Boolean).join(' ');
  }

  async stop(): Promise<void> {
    const stopped = this.workers.stop(100);
    await this.pass(100);
    await stopped;
    this.#stop.abort();
    await quiet();
  }
}
