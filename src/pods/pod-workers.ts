import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { abortReason, codeOf, isAbort, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KubeNode, Pod } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { waitWith } from '../core/wait-with.ts';
import { type KubeApi, listWatch } from '../kube/index.ts';
import type { NodeCounts, PodMetrics } from '../metrics/kubelet-metrics.ts';
import type { PodEvent, PodProvider, PodRef, PodReport, PodResolver } from '../providers/contract.ts';
import { admit } from './admission.ts';
import { countContainers } from './container-counts.ts';
import { PodStatusWriter } from './status-writer.ts';
import { NodeUsage } from './usage.ts';
import { PodWorker, wasAdmitted, type WorkerParts } from './worker.ts';

export interface PodWorkersParts {
  readonly client: KubeApi;
  readonly provider: PodProvider;
  readonly nodeName: string;
  readonly nodeIPs: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** The node as the API server has it now. */
  node(): KubeNode;
  resolver(pod: () => Pod): PodResolver;
  event(pod: PodRef, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** A pod's UID is gone: what others keep for it may go too. */
  forgotten(uid: string): void;
  readonly metrics?: PodMetrics;
}

/** The kubelet's grace for a running pod that the API server does not know. */
const orphanGraceSeconds = 1;

/**
 * Which pods this node has, and a worker for each.
 *
 * The provider's listing comes first, so that what runs is adopted and never started twice; then the API server's, so
 * that nothing is stopped because it was not heard of yet. What only the provider knows after both is stopped.
 */
export class PodWorkers {
  readonly #parts: PodWorkersParts;
  readonly #tasks: Tasks;
  readonly #writer: PodStatusWriter;
  readonly #workers = new Map<string, PodWorker>();
  readonly #byName = new Map<string, string>();
  /** The newest report of each pod that the provider holds. */
  readonly #reports = new Map<string, PodReport>();
  readonly #orphans = new Set<string>();
  readonly #refusals = new Map<string, BackOff>();
  readonly #usage = new NodeUsage();
  readonly #stop = new AbortController();
  readonly #workerParts: WorkerParts;
  #listed: Pod[] | undefined = [];

  constructor(parts: PodWorkersParts) {
    this.#parts = parts;
    this.#tasks = new Tasks(parts.log);
    this.#writer = new PodStatusWriter(parts.client, parts);
    this.#workerParts = {
      provider: parts.provider,
      writer: this.#writer,
      clock: parts.clock,
      log: parts.log,
      tasks: this.#tasks,
      hostIPs: parts.nodeIPs,
      signal: this.#stop.signal,
      admit: (pod) => this.#admit(pod),
      usage: this.#usage,
      resolver: (pod) => parts.resolver(pod),
      event: (...said) => parts.event(...said),
      deletePod: (ref) => this.#deletePod(ref),
      refusalDelayMs: (pod) => this.#refusalDelayMs(pod),
      done: (uid) => this.#done(uid),
      ...(parts.metrics === undefined ? {} : { metrics: parts.metrics }),
    };
  }

  /** Resolves when the provider's and then the API server's listing have been taken in. */
  async start(signal: AbortSignal): Promise<void> {
    const abandon = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', abandon, { once: true });
    const held = new Promise<void>((synced) => this.#tasks.run('watch provider', () => this.#watchProvider(synced)));
    await waitWith(held, signal);
    const listed = new Promise<void>((synced) => this.#tasks.run('watch pods', () => this.#watchPods(synced)));
    await waitWith(listed, signal);
    // From here on only `stop` ends it: whoever is asked to end wants to hear how the pods do.
    signal.removeEventListener('abort', abandon);
  }

  /** Stops telling and being told; pods go on as they are. Writes what is still to be written, until the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    await this.#writer.stop(deadlineMs);
    this.#stop.abort(abortReason('the node is stopping'));
    for (const worker of this.#workers.values()) worker.dispose();
    await this.#tasks.settled();
  }

  /** Stops every pod, for a node that goes away; resolves when none runs. */
  async stopAll(graceSeconds: number): Promise<void> {
    const live = [...this.#reports.keys()];
    await Promise.all(
      live.map((uid) => this.#parts.provider.stop(uid, { gracePeriodSeconds: graceSeconds, reason: 'shutdown' })),
    );
  }

  /** Every pod that this node knows, with the status it has for it. */
  list(): Pod[] {
    return [...this.#workers.values()].map((w) => w.pod);
  }

  byName(namespace: string, name: string): Pod | undefined {
    const uid = this.#byName.get(`${namespace}/${name}`);
    return uid === undefined ? undefined : this.#workers.get(uid)?.pod;
  }

  reports(): PodReport[] {
    return [...this.#reports.values()];
  }

  /** How many of everything there are now, for metrics. */
  counts(): NodeCounts {
    const containers: Record<string, number> = { running: 0, exited: 0 };
    let runningPods = 0;
    for (const report of this.#reports.values()) {
      if (report.sandboxReady) runningPods++;
      for (const { state, lastState } of report.containers) {
        const runs =
          'running' in state ? 'running' : 'terminated' in state || lastState !== undefined ? 'exited' : undefined;
        if (runs !== undefined) containers[runs] = (containers[runs] ?? 0) + 1;
      }
    }
    const working = new Map<string, NodeCounts['workingPods'][number]>();
    const count = ({ lifecycle, config }: Pick<NodeCounts['workingPods'][number], 'lifecycle' | 'config'>) => {
      const key = `${lifecycle} ${config}`;
      working.set(key, { lifecycle, config, count: (working.get(key)?.count ?? 0) + 1 });
    };
    let activePods = 0;
    for (const worker of this.#workers.values()) {
      count(worker.standing);
      if (worker.standing.lifecycle === 'sync') activePods++;
    }
    for (const uid of this.#orphans) {
      if (!this.#workers.has(uid)) count({ lifecycle: 'terminating', config: 'runtime_only' });
    }
    return { runningPods, containers, desiredPods: this.#workers.size, activePods, workingPods: [...working.values()] };
  }

  /** Sizes of everything that is kept per pod; all zero when no pod is left. */
  sizes(): Record<string, number> {
    return {
      workers: this.#workers.size,
      names: this.#byName.size,
      reports: this.#reports.size,
      orphans: this.#orphans.size,
      statuses: this.#writer.size,
      usage: this.#usage.pods,
    };
  }

  async #watchProvider(synced: () => void): Promise<void> {
    const { provider, clock, log } = this.#parts;
    const backOff = new BackOff(clock);
    while (!this.#stop.signal.aborted) {
      const listed = new Set<string>();
      let listing = true;
      try {
        for await (const event of provider.watch(this.#stop.signal)) {
          if (event.type === 'synced') {
            listing = false;
            // After a watch that broke off: what the new listing does not name went meanwhile.
            for (const uid of this.#reports.keys()) if (!listed.has(uid)) this.#gone(uid);
            synced();
          } else {
            if (listing && event.type === 'report') listed.add(event.report.uid);
            this.#providerEvent(event, listing);
          }
        }
        if (this.#stop.signal.aborted) return;
        throw new Error('the provider ended its watch');
      } catch (err) {
        if (this.#stop.signal.aborted) return;
        log.warn('provider watch failed', { provider: provider.name, err: messageOf(err) });
        await clock.sleep(backOff.next(), this.#stop.signal).catch(() => {});
      }
    }
  }

  #providerEvent(event: Exclude<PodEvent, { type: 'synced' }>, listing: boolean): void {
    if (event.type === 'gone') return this.#gone(event.uid);
    const { metrics } = this.#parts;
    if (metrics !== undefined && !listing) {
      const { uid } = event.report;
      countContainers(metrics, this.#workers.get(uid)?.pod.spec, this.#reports.get(uid), event.report);
    }
    this.#reports.set(event.report.uid, event.report);
    const worker = this.#workers.get(event.report.uid);
    if (worker !== undefined) worker.reported(event.report);
    else if (this.#listed === undefined) this.#stopOrphan(event.report);
  }

  #gone(uid: string): void {
    this.#reports.delete(uid);
    this.#orphans.delete(uid);
    this.#workers.get(uid)?.lost();
  }

  async #watchPods(synced: () => void): Promise<void> {
    const { client, nodeName, clock, log } = this.#parts;
    const pods = listWatch<Pod>(
      client,
      { path: '/api/v1/pods', fieldSelector: `spec.nodeName=${nodeName}` },
      { clock, log, signal: this.#stop.signal },
    );
    for await (const event of pods) {
      if (event.type === 'apply') this.#applied(event.object);
      else if (event.type === 'delete') this.#removed(event.object);
      else if (event.type === 'synced') {
        this.#beginListed();
        synced();
      }
    }
  }

  #applied(pod: Pod): void {
    const { uid, name, namespace } = pod.metadata;
    const worker = this.#workers.get(uid);
    if (worker !== undefined) return worker.podChanged(pod);
    const created = new PodWorker(pod, this.#workerParts);
    this.#workers.set(uid, created);
    this.#byName.set(`${namespace}/${name}`, uid);
    // The first listing is admitted in the order of creation, when it is complete.
    if (this.#listed !== undefined) this.#listed.push(pod);
    else this.#begin(created);
  }

  #beginListed(): void {
    const listed = this.#listed;
    if (listed === undefined) return;
    this.#listed = undefined;
    // What runs already takes its place before anything new is let in.
    const runs = (pod: Pod) => Number(this.#reports.has(pod.metadata.uid) || wasAdmitted(pod));
    listed.sort(
      (a, b) =>
        runs(b) - runs(a) || (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? ''),
    );
    for (const pod of listed) {
      const worker = this.#workers.get(pod.metadata.uid);
      if (worker !== undefined) this.#begin(worker);
    }
    for (const report of this.#reports.values()) {
      if (!this.#workers.has(report.uid)) this.#stopOrphan(report);
    }
  }

  #begin(worker: PodWorker): void {
    worker.begin(this.#reports.get(worker.ref.uid));
  }

  #removed(pod: { readonly metadata: { readonly uid: string } }): void {
    const worker = this.#workers.get(pod.metadata.uid);
    if (worker === undefined) return;
    const { namespace, name } = worker.ref;
    if (this.#byName.get(`${namespace}/${name}`) === worker.ref.uid) this.#byName.delete(`${namespace}/${name}`);
    // Not begun while the first listing is incomplete: nothing to undo.
    if (this.#listed !== undefined) {
      this.#workers.delete(worker.ref.uid);
      this.#writer.forget(worker.ref.uid);
      return;
    }
    worker.podRemoved();
  }

  #done(uid: string): void {
    this.#workers.get(uid)?.dispose();
    this.#workers.delete(uid);
    this.#reports.delete(uid);
    this.#parts.forgotten(uid);
  }

  /** Runs here and is unknown to the API server: deleted while this node was away. */
  #stopOrphan(report: PodReport): void {
    if (this.#orphans.has(report.uid)) return;
    this.#orphans.add(report.uid);
    this.#parts.metrics?.orphans.add({});
    const { provider, log, clock } = this.#parts;
    const pod = `${report.namespace}/${report.name}`;
    log.info('stopping a pod that the API server does not have', { pod, uid: report.uid });
    this.#tasks.run('stop orphan', async () => {
      const backOff = new BackOff(clock);
      while (!this.#stop.signal.aborted) {
        try {
          const options = { gracePeriodSeconds: orphanGraceSeconds, reason: 'orphaned' };
          await waitWith(provider.stop(report.uid, options), this.#stop.signal);
          await waitWith(Promise.resolve(provider.remove?.(report.uid)), this.#stop.signal);
          this.#reports.delete(report.uid);
          this.#orphans.delete(report.uid);
          return;
        } catch (err) {
          if (isAbort(err, this.#stop.signal)) return;
          log.warn('stopping an orphan failed', { pod, uid: report.uid, err: messageOf(err) });
          await clock.sleep(backOff.next(), this.#stop.signal).catch(() => {});
        }
      }
    });
  }

  #admit(pod: Pod) {
    const rejection = admit({ pod, node: this.#parts.node(), usage: this.#usage });
    if (rejection !== undefined) this.#parts.metrics?.rejections.add({ reason: rejection.reason });
    return rejection;
  }

  async #deletePod(ref: PodRef): Promise<void> {
    try {
      await this.#parts.client.request({
        method: 'DELETE',
        path: `/api/v1/namespaces/${ref.namespace}/pods/${ref.name}`,
        body: { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds: 0, preconditions: { uid: ref.uid } },
        signal: this.#stop.signal,
      });
    } catch (err) {
      const code = codeOf(err);
      if (code !== 'NotFound' && code !== 'Conflict') throw err;
    }
  }

  #refusalDelayMs(pod: Pod): number {
    const owner = pod.metadata.ownerReferences?.find((o) => o.controller === true)?.uid ?? pod.metadata.uid;
    let backOff = this.#refusals.get(owner);
    if (backOff === undefined) {
      backOff = new BackOff(this.#parts.clock, {
        initialMs: 1_000,
        maxMs: 300_000,
        resetAfterMs: 600_000,
        jitter: 0.1,
      });
      this.#refusals.set(owner, backOff);
      if (this.#refusals.size > 1_000) this.#refusals.delete(this.#refusals.keys().next().value as string);
    }
    return backOff.next();
  }
}
