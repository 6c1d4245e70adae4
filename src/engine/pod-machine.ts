import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { BackOff } from '../core/back-off.ts';
import { abortReason, isAbort, messageOf } from '../core/errors.ts';
import type { Pod, PodStatus } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { waitWith } from '../core/wait-with.ts';
import { containerUser } from '../podspec/users.ts';
import { podHostname } from '../podspec/hostname.ts';
import type {
  ContainerRecord,
  ContainerRuntime,
  ContainerWaiting,
  PodRef,
  PodReport,
  PodResolver,
  ProviderContext,
  SandboxRecord,
  StopOptions,
} from '../providers/contract.ts';
import {
  type CrashLoop,
  crashLoopAnnotation,
  crashLoopOf,
  goSeconds,
  nextStep as nextCrashLoop,
} from './crash-loop.ts';
import { type BackingOff, type ContainerKind, nextStep, type PodView, type Startable } from './next-step.ts';
import { LogLinks } from './log-links.ts';
import { PodRecords } from './records.ts';
import { lastKnown, podReport, type WaitingReason } from './report.ts';
import { isSidecar } from '../podspec/containers.ts';
import { PodTermination } from './termination.ts';
import {
  FailedMountError,
  mountsFor,
  prepareVolumes,
  type PreparedVolumes,
  refreshVolumes,
  removeVolumes,
} from './volumes/index.ts';

/** What a pod's machine needs of the engine. */
export interface MachineParts {
  readonly runtime: ContainerRuntime;
  readonly context: ProviderContext;
  /** Called whenever {@link PodMachine.report} may have a new answer. */
  readonly changed: () => void;
  /** Called when an instance ended, once for each. */
  readonly exited: (machine: PodMachine, record: ContainerRecord) => void;
}

/** How soon a container that could not be started is tried again; the kubelet's sync back-off, 10 to 15 s. */
const retryMs = () => 10_000 + Math.random() * 5_000;

/**
 * When, after an exit, the back-off takes the place of the exit in the container's state: after three quarters of it,
 * and at most this late. A kubelet 1.36 shows how the container ended until the back-off is over.
 */
const revealBackOffMs = (delayMs: number) => Math.min(delayMs * 0.75, 30_000);

/** A restart comes a little after its back-off; the kubelet's by up to half of it. */
const restartJitterMs = (delayMs: number) => delayMs * (0.1 + Math.random() * 0.1);

/**
 * One pod's life on a runtime. Steps are taken one at a time: look at spec and records, do the next thing, look again.
 * All that matters is in the records; a machine made anew from them goes on where the old one was.
 */
export class PodMachine {
  readonly ref: PodRef;
  readonly records = new PodRecords();
  readonly #parts: MachineParts;
  readonly #logLinks: LogLinks;
  readonly #tasks: Tasks;
  readonly #waiting = new Map<string, WaitingReason>();
  readonly #crashLoops = new Map<string, CrashLoop>();
  /** Instances whose start this machine has asked for: `created` means “not yet” for them, not “left behind”. */
  readonly #issued = new Set<string>();
  /** Containers whose start failed without leaving an end behind: when to try again, and what is to be cleared away. */
  readonly #retries = new Map<string, { readonly at: number; readonly id: string | undefined }>();
  /** Exits whose BackOff event was sent, and instances whose end was told. */
  readonly #told = new Set<string>();
  readonly #sandboxBackOff: BackOff;
  readonly #volumeBackOff: BackOff;
  /** Aborted when nothing more is to be started: the pod stops, or the engine closes. */
  readonly #stopSignal = new AbortController();
  /** Aborted when everything is to be left as it is. */
  readonly #disposed = new AbortController();
  #pod: Pod | undefined;
  #resolver: PodResolver | undefined;
  #lastStatus: PodStatus | undefined;
  #termination: PodTermination | undefined;
  #volumes: PreparedVolumes | undefined;
  #dirty = false;
  #isStarting = false;
  #driving: Promise<void> | undefined;
  #timer: { at: number; cancel: () => void } | undefined;

  constructor(ref: PodRef, parts: MachineParts) {
    this.ref = ref;
    this.#parts = parts;
    this.#logLinks = new LogLinks(parts.context.logs.links, parts.context.log);
    this.#tasks = new Tasks(parts.context.log);
    this.#sandboxBackOff = new BackOff(parts.context.clock, { initialMs: 1_000, maxMs: 30_000 });
    this.#volumeBackOff = new BackOff(parts.context.clock, { initialMs: 500, maxMs: 122_000 });
  }

  get pod(): Pod | undefined {
    return this.#pod;
  }

  /** The pod's spec and resolver have arrived, or have arrived again. */
  adopt(pod: Pod, resolver: PodResolver, lastStatus: PodStatus | undefined): void {
    this.#pod = pod;
    this.#resolver = untilAborted(resolver, this.#stopSignal.signal);
    this.#lastStatus ??= lastStatus;
    for (const record of this.records.containers()) this.#remember(record);
    this.#parts.changed();
    this.kick();
  }

  update(pod: Pod): void {
    if (this.#pod === undefined) return;
    this.#pod = pod;
    this.#parts.changed();
    this.kick();
  }

  /** A record of this pod is new or has changed. */
  recordChanged(record?: ContainerRecord): void {
    if (record !== undefined) {
      this.#remember(record);
      if (record.status.state === 'exited' && this.#retries.get(record.name)?.id === record.id)
        this.#retries.delete(record.name);
      if (record.status.state === 'exited' && this.#pod !== undefined && !this.#told.has(`exit ${record.id}`)) {
        this.#told.add(`exit ${record.id}`);
        if (this.#issued.has(record.id)) this.#parts.exited(this, record);
      }
    }
    this.#termination?.recordChanged();
    this.#parts.changed();
    this.kick();
  }

  #remember(record: ContainerRecord): void {
    const loop = crashLoopOf(record.annotations);
    if (loop !== undefined && record === this.records.latest(record.name)) this.#crashLoops.set(record.name, loop);
  }

  /** Take the next step, soon. */
  kick(): void {
    this.#dirty = true;
    if (this.#driving !== undefined || this.#termination !== undefined || this.#pod === undefined) return;
    this.#driving = this.#drive().finally(() => {
      this.#driving = undefined;
      if (this.#dirty) this.kick();
    });
    this.#tasks.run('drive pod', () => this.#driving ?? Promise.resolve());
  }

  async #drive(): Promise<void> {
    while (this.#dirty && this.#termination === undefined) {
      this.#dirty = false;
      try {
        await this.#step();
      } catch (err) {
        if (this.#stopSignal.signal.aborted || isAbort(err)) return;
        this.#parts.context.log.warn('pod step failed', { pod: this.#name(), uid: this.ref.uid, err: messageOf(err) });
        this.#wakeAt(this.#now() + retryMs());
      }
    }
  }

  async #step(): Promise<void> {
    for (const [name, { at, id }] of this.#retries) {
      if (at > this.#now()) this.#wakeAt(at);
      else {
        this.#retries.delete(name);
        if (id !== undefined) this.#issued.delete(id);
      }
    }
    await this.#removeLeftovers();
    const step = nextStep(this.#view());
    if (step.type === 'finished') return;
    if (step.type === 'sandbox') return this.#createSandbox();
    for (const backingOff of step.backingOff) this.#backOff(backingOff);
    const start = step.start.filter(({ container }) => !this.#retries.has(container.name));
    if (start.length === 0) return;
    try {
      for (const startable of start) {
        if (this.#stopSignal.signal.aborted) return;
        await this.#start(startable);
      }
    } finally {
      this.#isStarting = false;
      this.#parts.changed();
    }
  }

  #view(): PodView & { pod: Pod } {
    return {
      pod: this.#pod as Pod,
      sandbox: this.records.sandbox,
      latest: (name) => this.records.latest(name),
      crashLoop: (name) => this.#crashLoops.get(name),
      isStarted,
      now: this.#now(),
    };
  }

  /**
   * Instances that a crash or a failed start left unstarted, dead ones beyond the last of each container, and sandboxes
   * that were replaced and hold nothing any more.
   */
  async #removeLeftovers(): Promise<void> {
    const names = new Set(this.records.containers().map((c) => c.name));
    for (const name of names) {
      const instances = this.records.instances(name);
      const leftBehind = instances.filter((r) => r.status.state === 'created' && !this.#issued.has(r.id));
      const tooOld = instances.filter((r) => r.status.state === 'exited').slice(2);
      for (const record of [...leftBehind, ...tooOld]) {
        await this.#parts.runtime.removeContainer(record.id);
        await this.#logLinks.remove(record);
        if (tooOld.includes(record)) await rm(record.logPath, { force: true });
        this.#forget(record.id);
      }
    }
    for (const { id } of this.records.emptySandboxes()) {
      await this.#parts.runtime.removeSandbox(id);
      this.records.removeSandbox(id);
    }
  }

  async #discard(id: string): Promise<void> {
    await this.#parts.runtime.removeContainer(id);
    this.#forget(id);
  }

  #forget(id: string): void {
    this.records.removeContainer(id);
    this.#issued.delete(id);
    this.#told.delete(`exit ${id}`);
    this.#told.delete(`back-off ${id}`);
  }

  async #createSandbox(): Promise<void> {
    const pod = this.#pod as Pod;
    const { runtime, context } = this.#parts;
    if (!(await this.#prepareVolumes(pod))) return;
    const old = this.records.sandbox;
    try {
      if (old !== undefined) {
        this.#event('Normal', 'SandboxChanged', 'Pod sandbox changed, it will be killed and re-created.');
        await runtime.stopSandbox(old.id);
      }
      const sandbox = await runtime.runSandbox({
        pod: this.ref,
        attempt: old === undefined ? 0 : old.attempt + 1,
        hostname: podHostname(pod, context.cluster.domain),
        hostNetwork: pod.spec.hostNetwork ?? false,
        logDirectory: this.#logDirectory(),
      });
      this.records.putSandbox(sandbox);
      this.#sandboxBackOff.reset();
      this.#dirty = true;
      this.#parts.changed();
    } catch (err) {
      if (this.#stopSignal.signal.aborted) return;
      this.#event('Warning', 'FailedCreatePodSandBox', `Failed to create pod sandbox: ${messageOf(err)}`);
      context.log.warn('sandbox create failed', { pod: this.#name(), uid: this.ref.uid, err: messageOf(err) });
      this.#wakeAt(this.#now() + this.#sandboxBackOff.next());
    }
  }

  /** False when a volume is missing: its event is sent and the next try is set. */
  async #prepareVolumes(pod: Pod): Promise<boolean> {
    const { stateDir, clock } = this.#parts.context;
    try {
      this.#volumes = await prepareVolumes(pod, stateDir, this.#resolver as PodResolver, [], clock);
      for (const note of [...this.#volumes.values()].flatMap((v) => v.notes))
        this.#parts.context.log.info('volume is not as specified', { pod: this.#name(), uid: this.ref.uid, note });
      this.#volumeBackOff.reset();
      return true;
    } catch (err) {
      if (this.#stopSignal.signal.aborted) return false;
      const messages = err instanceof FailedMountError ? err.messages : [messageOf(err)];
      for (const message of messages) this.#event('Warning', 'FailedMount', message);
      this.#wakeAt(this.#now() + this.#volumeBackOff.next());
      return false;
    }
  }

  /** Has changed ConfigMaps, Secrets, labels and tokens show in the volumes that hold them. */
  async refreshVolumes(): Promise<void> {
    if (this.#pod === undefined || this.#resolver === undefined || this.#volumes === undefined || this.isStopping)
      return;
    const { stateDir, clock, log } = this.#parts.context;
    try {
      const resolver = this.#resolver.cached ?? this.#resolver;
      await refreshVolumes(this.#pod, stateDir, resolver, this.records.sandbox?.podIPs ?? [], clock);
    } catch (err) {
      // What is there stays; the kubelet, too, only tries again.
      log.debug('volumes not refreshed', { pod: this.#name(), uid: this.ref.uid, err: messageOf(err) });
    }
  }

  #backOff(backingOff: BackingOff): void {
    const { name, kind, finishedAt, until, delayMs } = backingOff;
    const now = this.#now();
    const record = this.records.latest(name) as ContainerRecord;
    if (delayMs === 0) return this.#wakeAt(until);
    if (!this.#told.has(`back-off ${record.id}`)) {
      this.#told.add(`back-off ${record.id}`);
      const neverStarted = record.status.state === 'exited' && record.status.startedAt === 0;
      this.#event(
        'Warning',
        'BackOff',
        `Back-off restarting failed container ${name} in pod ${this.#fullName()}`,
        kind,
        name,
      );
      this.#waiting.set(name, {
        reason: 'CrashLoopBackOff',
        message: `back-off ${goSeconds(delayMs)} restarting failed container=${name} pod=${this.#fullName()}`,
        visibleAt: finishedAt + (neverStarted ? 1_000 : revealBackOffMs(delayMs)),
      });
    }
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined && waiting.visibleAt > now) this.#wakeAt(waiting.visibleAt);
    else this.#parts.changed();
    this.#wakeAt(until + restartJitterMs(delayMs));
  }

  async #start({ container, kind, previous }: Startable): Promise<void> {
    const pod = this.#pod as Pod;
    const { runtime, context } = this.#parts;
    const sandbox = this.records.sandbox as SandboxRecord;
    const { name } = container;
    const now = this.#now();
    const loop =
      previous?.status.state === 'exited'
        ? nextCrashLoop(this.#crashLoops.get(name), previous.status.finishedAt, now)
        : this.#crashLoops.get(name);
    let record: ContainerRecord | undefined;
    try {
      const resolved = await (this.#resolver as PodResolver).container(name, sandbox.podIPs);
      // A daemon that was restarted has its volumes on disk, not in memory.
      if (this.#volumes === undefined && !(await this.#prepareVolumes(pod))) return;
      const mounts = await mountsFor(container, this.#volumes ?? new Map(), resolved.env);
      if (this.#stopSignal.signal.aborted) return;
      const attempt = this.#nextAttempt(name);
      record = await runtime.createContainer(sandbox, {
        name,
        attempt,
        image: container.image ?? '',
        command: resolved.command,
        args: resolved.args,
        env: resolved.env,
        ...(resolved.workingDir === undefined ? {} : { workingDir: resolved.workingDir }),
        tty: container.tty ?? false,
        stdin: container.stdin ?? false,
        stdinOnce: container.stdinOnce ?? false,
        logPath: join(this.#logDirectory(), name, `${attempt}.log`),
        mounts,
        user: containerUser(pod, container),
        ...(container.lifecycle?.stopSignal === undefined ? {} : { stopSignal: container.lifecycle.stopSignal }),
        annotations: loop === undefined ? {} : crashLoopAnnotation(loop),
      });
      this.records.putContainer(record);
      this.#issued.add(record.id);
      await this.#logLinks.make(record);
      if (loop !== undefined) this.#crashLoops.set(name, loop);
      this.#event('Normal', 'Created', 'Container created', kind, name);
      if (this.#stopSignal.signal.aborted) return await this.#discard(record.id);
      this.#isStarting = true;
      await runtime.startContainer(record.id);
      this.#waiting.delete(name);
      this.#event('Normal', 'Started', 'Container started', kind, name);
    } catch (err) {
      if (this.#stopSignal.signal.aborted) return;
      const reason = (err as Partial<ContainerWaiting>).waitingReason ?? 'CreateContainerError';
      this.#waiting.set(name, { reason, message: messageOf(err), visibleAt: now });
      this.#event('Warning', 'Failed', `Error: ${messageOf(err)}`, kind, name);
      context.log.info('container did not start', {
        pod: this.#name(),
        uid: this.ref.uid,
        container: name,
        reason,
        err: messageOf(err),
      });
      this.#parts.changed();
      // An instance that ended has its place in the crash loop; anything else is tried again.
      if (record !== undefined && this.records.container(record.id)?.status.state === 'exited') return;
      const at = this.#now() + retryMs();
      this.#retries.set(name, { at, id: record?.id });
      this.#wakeAt(at);
    }
  }

  /** One more than the last instance that anybody knows of. */
  #nextAttempt(name: string): number {
    const latest = this.records.latest(name);
    if (latest !== undefined) return latest.attempt + 1;
    const known = lastKnown(this.#lastStatus, name);
    if (known === undefined) return 0;
    const hasRun = known.containerID !== undefined || known.state?.running !== undefined;
    return hasRun ? known.restartCount + 1 : known.restartCount;
  }

  /** Stops everything; idempotent, and a later call with less grace shortens the first. */
  stop(options: StopOptions): Promise<PodReport> {
    if (this.#termination !== undefined) {
      this.#termination.shorten(options.gracePeriodSeconds);
      return this.#termination.done;
    }
    this.#pod ??= options.pod;
    this.#stopSignal.abort(abortReason('the pod is being stopped'));
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#termination = new PodTermination({
      records: this.records,
      runtime: this.#parts.runtime,
      clock: this.#parts.context.clock,
      log: this.#parts.context.log,
      graceSeconds: options.gracePeriodSeconds,
      sidecars: (this.#pod?.spec.initContainers ?? []).filter(isSidecar).map((c) => c.name),
      signal: this.#disposed.signal,
      settled: async () => {
        await this.#driving;
        this.#waiting.clear();
        this.#parts.changed();
      },
      killing: (record) =>
        this.#event('Normal', 'Killing', `Stopping container ${record.name}`, this.#kindOf(record.name), record.name),
      failed: (err) => this.#event('Warning', 'FailedKillPod', `error killing pod: ${messageOf(err)}`),
      finished: () => {
        this.#parts.changed();
        return this.report();
      },
    });
    return this.#termination.done;
  }

  /** Containers are being started one after the other: like a kubelet's, the pod's status waits for the last of them. */
  get isStarting(): boolean {
    return this.#isStarting;
  }

  get isStopping(): boolean {
    return this.#termination !== undefined;
  }

  /** Frees all that is kept for the pod. */
  async remove(): Promise<void> {
    await this.#termination?.done;
    this.dispose();
    await this.#driving;
    const { runtime, context } = this.#parts;
    for (const container of this.records.containers()) {
      await runtime.removeContainer(container.id);
      await this.#logLinks.remove(container);
    }
    for (const sandbox of this.records.sandboxes()) {
      await runtime.stopSandbox(sandbox.id);
      await runtime.removeSandbox(sandbox.id);
    }
    await removeVolumes(context.stateDir, this.ref.uid);
    await rm(this.#logDirectory(), { recursive: true, force: true });
  }

  /** Takes no step any more; leaves everything as it is. */
  dispose(): void {
    this.#stopSignal.abort(abortReason('the engine is closing'));
    this.#disposed.abort(abortReason('the engine is closing'));
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#pod = undefined;
  }

  /** Resolves when no step is in flight. */
  async settled(): Promise<void> {
    await this.#tasks.settled();
  }

  report(): PodReport {
    const sandbox = this.records.sandbox;
    return podReport({
      ref: this.ref,
      pod: this.#pod,
      records: this.records,
      podIPs: sandbox?.podIPs ?? [],
      sandboxReady: sandbox?.state === 'ready' && this.#termination?.isDone !== true,
      lastStatus: this.#lastStatus,
      waiting: (name) => this.#waiting.get(name),
      isStarted,
      runtimeName: this.#parts.runtime.name,
      now: this.#now(),
    });
  }

  #kindOf(name: string): ContainerKind {
    const spec = this.#pod?.spec;
    const init = spec?.initContainers?.find((c) => c.name === name);
    if (init !== undefined) return isSidecar(init) ? 'sidecar' : 'init';
    return spec?.ephemeralContainers?.some((c) => c.name === name) === true ? 'ephemeral' : 'regular';
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string, kind?: ContainerKind, container?: string): void {
    const path = kind === undefined || container === undefined ? undefined : `${fieldPaths[kind]}{${container}}`;
    this.#parts.context.events(this.ref, type, reason, message, path);
  }

  #wakeAt(at: number): void {
    if (this.#timer !== undefined && this.#timer.at <= at && this.#timer.at > this.#now()) return;
    this.#timer?.cancel();
    const cancel = this.#parts.context.clock.after(Math.max(0, at - this.#now()), () => {
      this.#timer = undefined;
      this.kick();
    });
    this.#timer = { at, cancel };
  }

  #now(): number {
    return this.#parts.context.clock.now();
  }

  #logDirectory(): string {
    return join(this.#parts.context.logs.directory, `${this.ref.namespace}_${this.ref.name}_${this.ref.uid}`);
  }

  #name(): string {
    return `${this.ref.namespace}/${this.ref.name}`;
  }

  #fullName(): string {
    return `${this.ref.name}_${this.ref.namespace}(${this.ref.uid})`;
  }
}

const fieldPaths: Record<ContainerKind, string> = {
  init: 'spec.initContainers',
  sidecar: 'spec.initContainers',
  regular: 'spec.containers',
  ephemeral: 'spec.ephemeralContainers',
};

/** A resolver whose answers are not waited for any more when the signal aborts. */
function untilAborted(resolver: PodResolver, signal: AbortSignal): PodResolver {
  return {
    container: (name, podIPs) => waitWith(resolver.container(name, podIPs), signal),
    volume: (name, podIPs) => waitWith(resolver.volume(name, podIPs), signal),
  };
}

function isStarted(record: ContainerRecord): boolean {
  return record.status.state === 'running';
}
