import type { Clock } from '../../core/clock.ts';
import { rfc3339 } from '../../core/clock.ts';
import { unavailable } from '../../core/errors.ts';
import { LatestQueue } from '../../core/latest-queue.ts';
import type { Pod, PodStatus } from '../../core/objects.ts';
import { packageVersion } from '../../core/version.ts';
import type {
  ContainerReport,
  PodEvent,
  PodProvider,
  PodReport,
  PodResolver,
  ProviderContext,
  StopOptions,
} from '../contract.ts';
import { scriptOf } from './config.ts';
import type { Script, SimulatedConfig } from './config.ts';
import { PodAddresses } from './pod-addresses.ts';
import * as states from './states.ts';

/** What is kept of one pod. */
interface Entry {
  pod: Pod;
  script: Script;
  report: PodReport;
  /** Milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** The next step of its script; a pod without delays never has one. */
  cancelTimer?: () => void;
  stopping?: Stop;
}

interface Stop {
  readonly deadline: number;
  readonly exitCode: number;
  readonly done: PromiseWithResolvers<void>;
}

/** A step of a script, and when it is due. */
interface Step {
  readonly at: number;
  take(): void;
}

/** Pods without processes. State is in memory: after a restart a pod goes on from what the API server last knew. */
export class SimulatedProvider implements PodProvider {
  readonly name = 'simulated';
  readonly runtimeVersion = `simulated://${packageVersion}`;

  readonly #config: SimulatedConfig;
  readonly #clock: Clock;
  readonly #nodeIPs: readonly string[];
  readonly #addresses: PodAddresses;
  readonly #pods = new Map<string, Entry>();
  #events: LatestQueue<string, PodEvent> | undefined;

  constructor(config: SimulatedConfig, { clock, nodeIPs }: Pick<ProviderContext, 'clock' | 'nodeIPs'>) {
    this.#config = config;
    this.#clock = clock;
    this.#nodeIPs = nodeIPs;
    this.#addresses = new PodAddresses(config.podCIDR);
  }

  /** How many pods, and addresses of pods, are kept: nothing stays of a pod that was removed. */
  get held(): { readonly pods: number; readonly addresses: number } {
    return { pods: this.#pods.size, addresses: this.#addresses.taken };
  }

  async *watch(signal: AbortSignal): AsyncGenerator<PodEvent, void, undefined> {
    const events = new LatestQueue<string, PodEvent>();
    this.#events = events;
    for (const { report } of this.#pods.values()) events.put(report.uid, { type: 'report', report });
    events.put('', { type: 'synced' });
    yield* events.read(signal);
  }

  async run(pod: Pod, _resolver: PodResolver, lastStatus: PodStatus | undefined): Promise<void> {
    const { uid, name, namespace, generation } = pod.metadata;
    if (this.#pods.has(uid)) return;
    const script = scriptOf(pod, this.#config);
    const { reason, message } = script.failStart ?? { reason: 'ContainerCreating', message: undefined };
    const containers = states.remembered(pod, lastStatus, reason, message);
    const entry: Entry = {
      pod,
      script,
      acceptedAt: this.#clock.now(),
      report: {
        uid,
        name,
        namespace,
        sandboxReady: states.anyRuns(containers),
        podIPs: this.#addressesFor(pod, lastStatus),
        containers,
        ...(generation === undefined ? {} : { observedGeneration: generation }),
      },
    };
    this.#pods.set(uid, entry);
    this.#goOn(entry);
    this.#tell(entry);
  }

  async update(pod: Pod): Promise<void> {
    const entry = this.#pods.get(pod.metadata.uid);
    if (entry === undefined || entry.stopping !== undefined) return;
    const { generation } = pod.metadata;
    entry.script = scriptOf(pod, this.#config);
    entry.pod = pod;
    entry.report = {
      ...entry.report,
      containers: states.updated(pod, entry.report.containers, rfc3339(this.#clock.now())),
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
    this.#goOn(entry);
    this.#tell(entry);
  }

  async stop(uid: string, { gracePeriodSeconds }: StopOptions): Promise<PodReport | undefined> {
    const entry = this.#pods.get(uid);
    if (entry === undefined) return undefined;
    const { stopDelayMs } = entry.script;
    const graceMs = gracePeriodSeconds * 1000;
    const delayMs = states.anyRuns(entry.report.containers) ? Math.min(stopDelayMs, graceMs) : 0;
    const deadline = this.#clock.now() + delayMs;
    // Who outlives the grace period is killed.
    const exitCode = stopDelayMs > graceMs ? 137 : 0;
    if (entry.stopping === undefined || deadline < entry.stopping.deadline) {
      entry.stopping = { deadline, exitCode, done: entry.stopping?.done ?? Promise.withResolvers<void>() };
      this.#goOn(entry);
    }
    await entry.stopping.done.promise;
    return entry.report;
  }

  async remove(uid: string): Promise<void> {
    const entry = this.#pods.get(uid);
    if (entry === undefined) return;
    entry.cancelTimer?.();
    entry.stopping?.done.resolve();
    this.#pods.delete(uid);
    for (const address of entry.report.podIPs) this.#addresses.release(address);
    this.#events?.put(uid, { type: 'gone', uid });
  }

  async health(): Promise<void> {}

  async close(): Promise<void> {
    for (const entry of this.#pods.values()) {
      entry.cancelTimer?.();
      entry.stopping?.done.resolve();
    }
    this.#pods.clear();
  }

  #addressesFor({ metadata, spec }: Pod, lastStatus: PodStatus | undefined): readonly string[] {
    if (spec.hostNetwork === true) return this.#nodeIPs;
    const before = lastStatus?.podIPs?.flatMap(({ ip }) => ip ?? []) ?? [];
    for (const address of before) this.#addresses.claim(address);
    if (before.length > 0) return before;
    const address = this.#addresses.take(metadata.uid);
    if (address === undefined)
      throw unavailable(`no address is left in ${this.#config.podCIDR} (provider.config.podCIDR)`);
    return [address];
  }

  /** Takes every step that is due, and sets the timer for the next one. */
  #goOn(entry: Entry): void {
    entry.cancelTimer?.();
    delete entry.cancelTimer;
    for (let step = this.#next(entry); step !== undefined; step = this.#next(entry)) {
      const delayMs = step.at - this.#clock.now();
      if (delayMs > 0) {
        entry.cancelTimer = this.#clock.after(delayMs, () => {
          this.#goOn(entry);
          this.#tell(entry);
        });
        return;
      }
      step.take();
    }
  }

  /** The script of a pod: what comes next, given where it is. */
  #next(entry: Entry): Step | undefined {
    const { pod, script, stopping, report } = entry;
    const { containers } = report;
    const to = (next: readonly ContainerReport[], sandboxReady = true) => {
      entry.report = { ...entry.report, sandboxReady, containers: next };
    };
    const now = () => rfc3339(this.#clock.now());

    if (stopping !== undefined) {
      if (!report.sandboxReady && !states.anyRuns(containers)) {
        stopping.done.resolve();
        return undefined;
      }
      return { at: stopping.deadline, take: () => to(states.stopped(containers, stopping.exitCode, now()), false) };
    }
    if (states.waitsToStart(containers)) {
      const at = entry.acceptedAt + script.startDelayMs;
      if (script.failStart === undefined) return { at, take: () => to(states.started(pod, containers, now())) };
      return report.sandboxReady ? undefined : { at, take: () => to(containers) };
    }
    const crashed = states.waitingToRestart(pod, containers);
    if (crashed !== undefined) {
      const delayMs = states.restartDelayMs(crashed.restartCount, script.runForMs ?? 0);
      return { at: crashed.finishedAt + delayMs, take: () => to(states.started(pod, containers, now())) };
    }
    const since = states.runningSince(pod, containers);
    if (since === undefined || script.runForMs === undefined) return undefined;
    return {
      at: since + script.runForMs,
      take: () => {
        const over = states.ended(pod, containers, script.exitCode, now());
        if (!states.restarts(pod, script.exitCode)) return to(over, false);
        const restartCount = containers.find(({ name }) => name === pod.spec.containers[0]?.name)?.restartCount ?? 0;
        to(states.backingOff(pod, over, states.restartDelayMs(restartCount, script.runForMs ?? 0)));
      },
    };
  }

  #tell({ report }: Entry): void {
    this.#events?.put(report.uid, { type: 'report', report });
  }
}
