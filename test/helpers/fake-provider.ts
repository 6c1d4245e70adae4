import { LatestQueue } from '../../src/core/latest-queue.ts';
import type { Pod, PodStatus } from '../../src/core/objects.ts';
import type { ContainerReport, PodEvent, PodProvider, PodReport, StopOptions } from '../../src/providers/contract.ts';

/** A PodProvider whose pods do what a test says: they run as soon as they are taken, and stop as soon as they are told. */
export class FakeProvider implements PodProvider {
  readonly name = 'fake';
  readonly runtimeVersion = 'fake://1';
  /** `run p`, `update p`, `stop p 30 deleted`, `remove p`, by pod name. */
  readonly calls: string[] = [];
  readonly reports = new Map<string, PodReport>();
  readonly lastStatuses: (PodStatus | undefined)[] = [];
  readonly stopped: StopOptions[] = [];
  /** Asked before each operation: throws, or makes it wait. */
  fault: (operation: 'run' | 'update' | 'stop' | 'remove', pod: string) => void | Promise<void> = () => {};
  update?: (pod: Pod) => Promise<void>;
  /** Held back until {@link syncNow} is called. */
  isSlowToSync = false;
  readonly #events = new LatestQueue<string, PodEvent>();
  readonly #names = new Map<string, string>();
  #breakWatch: ((err: Error) => void) | undefined;
  #sync: (() => void) | undefined;

  constructor() {
    this.update = async (pod) => {
      this.calls.push(`update ${pod.metadata.name}`);
      await this.fault('update', pod.metadata.name);
    };
  }

  async *watch(signal: AbortSignal): AsyncGenerator<PodEvent, void, undefined> {
    const broken = new AbortController();
    let failure: Error | undefined;
    this.#breakWatch = (err) => {
      failure = err;
      broken.abort();
    };
    for (const report of this.reports.values()) yield { type: 'report', report };
    if (this.isSlowToSync) await new Promise<void>((resolve) => (this.#sync = resolve));
    yield { type: 'synced' };
    yield* this.#events.read(AbortSignal.any([signal, broken.signal]));
    if (failure !== undefined) throw failure;
  }

  syncNow(): void {
    this.#sync?.();
  }

  breakWatch(): void {
    this.#breakWatch?.(new Error('backend went away'));
  }

  async run(pod: Pod, _resolver: unknown, lastStatus: PodStatus | undefined): Promise<void> {
    const { uid, name, namespace } = pod.metadata;
    this.calls.push(`run ${name}`);
    this.lastStatuses.push(structuredClone(lastStatus));
    this.#names.set(uid, name);
    await this.fault('run', name);
    if (this.reports.has(uid)) return;
    this.report({
      uid,
      name,
      namespace,
      sandboxReady: true,
      podIPs: ['10.0.0.9'],
      containers: pod.spec.containers.map((c) => runningContainer(c.name)),
    });
  }

  async stop(uid: string, options: StopOptions): Promise<PodReport | undefined> {
    const name = this.reports.get(uid)?.name ?? this.#names.get(uid) ?? uid;
    this.calls.push(`stop ${name} ${options.gracePeriodSeconds} ${options.reason}`);
    this.stopped.push(options);
    await this.fault('stop', name);
    const report = this.reports.get(uid);
    if (report === undefined) return undefined;
    const last: PodReport = {
      ...report,
      sandboxReady: false,
      containers: report.containers.map((c) => ('running' in c.state ? endedContainer(c.name, 0) : c)),
    };
    this.report(last);
    return last;
  }

  async remove(uid: string): Promise<void> {
    const name = this.reports.get(uid)?.name ?? this.#names.get(uid) ?? uid;
    this.calls.push(`remove ${name}`);
    await this.fault('remove', name);
    this.lose(uid);
  }

  /** The backend says this of a pod now. */
  report(report: PodReport): void {
    this.reports.set(report.uid, report);
    this.#events.put(report.uid, { type: 'report', report });
  }

  /** A container of a pod ends by itself. */
  exit(uid: string, container: string, exitCode: number): void {
    const report = this.reports.get(uid) as PodReport;
    this.report({
      ...report,
      containers: report.containers.map((c) => (c.name === container ? endedContainer(container, exitCode) : c)),
    });
  }

  /** The backend holds nothing of the pod any more. */
  lose(uid: string): void {
    this.reports.delete(uid);
    this.#events.put(uid, { type: 'gone', uid });
  }

  health(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export function runningContainer(name: string): ContainerReport {
  const state = { running: { startedAt: '2026-01-01T00:00:00Z' } };
  return { name, state, containerID: `fake://${name}`, ready: true, started: true, restartCount: 0 };
}

export function endedContainer(name: string, exitCode: number): ContainerReport {
  const reason = exitCode === 0 ? 'Completed' : 'Error';
  return {
    name,
    state: { terminated: { exitCode, reason } },
    containerID: `fake://${name}`,
    ready: false,
    started: false,
    restartCount: 0,
  };
}
