import { LatestQueue } from '../../src/core/latest-queue.ts';
import type { Clock } from '../../src/core/clock.ts';
import type {
  ContainerConfig,
  ContainerRecord,
  ContainerRuntime,
  ContainerRuntimeStatus,
  RuntimeEvent,
  SandboxConfig,
  SandboxRecord,
} from '../../src/providers/contract.ts';

/** What a container's program does. Without one it runs until it is stopped, and then exits 0 at once. */
export interface Behaviour {
  /** It ends by itself. */
  readonly ends?: { readonly afterMs: number; readonly exitCode: number };
  /** What the stop signal does to it; `ignored`: only SIGKILL ends it. */
  readonly onStop?: { readonly afterMs: number; readonly exitCode: number } | 'ignored';
  /** Its program cannot be started. */
  readonly startError?: Error;
}

/** An operation of the runtime, as {@link ScriptedRuntime.calls} and {@link ScriptedRuntime.faults} name it. */
type Operation = 'sandbox' | 'stopSandbox' | 'removeSandbox' | 'create' | 'start' | 'stop' | 'remove';

interface Stopping {
  readonly done: Promise<void>;
  killAt: number;
  cancelKill: () => void;
}

/** A ContainerRuntime without containers: it keeps records, and a test says when and how one ends. */
export class ScriptedRuntime implements ContainerRuntime {
  readonly name = 'scripted';
  readonly runtimeVersion = 'scripted://1.0.0';
  readonly features: ContainerRuntime['features'];
  /** Everything that the engine asked for, in order: `sandbox p#0`, `create c#0`, `start c#0`, `stop c#0 30`, … */
  readonly calls: string[] = [];
  readonly sandboxes = new Map<string, SandboxRecord>();
  readonly containers = new Map<string, ContainerRecord>();
  readonly configs = new Map<string, ContainerConfig>();
  /** By container name. */
  readonly behaviours = new Map<string, Behaviour>();
  /** Asked before each operation on a container (`create c`) or pod (`sandbox p`): throws, or makes it wait. */
  fault: (operation: Operation, name: string) => void | Promise<void> = () => {};
  /** Asked before a listing is said to be complete: makes it wait. */
  beforeSynced: () => void | Promise<void> = () => {};
  /** Records that change are told only when this is false; {@link tell} tells the held back. */
  isSilent = false;
  readonly #clock: Clock;
  readonly #events = new LatestQueue<string, RuntimeEvent>();
  readonly #held: [string, RuntimeEvent][] = [];
  readonly #stopping = new Map<string, Stopping>();
  readonly #ended = new Map<string, () => void>();
  #breakWatch: ((err: Error) => void) | undefined;
  #next = 0;
  closed = false;

  constructor(clock: Clock, features: Partial<ContainerRuntime['features']> = {}) {
    this.#clock = clock;
    this.features = { images: false, hostNetworkOnly: true, ...features };
  }

  async *watch(signal: AbortSignal): AsyncGenerator<RuntimeEvent, void, undefined> {
    const broken = new AbortController();
    let failure: Error | undefined;
    this.#breakWatch = (err) => {
      failure = err;
      broken.abort();
    };
    // As at this moment: what comes while the listing is read is not in it.
    const sandboxes = [...this.sandboxes.values()];
    const containers = [...this.containers.values()];
    for (const sandbox of sandboxes) yield { type: 'sandbox', sandbox };
    for (const container of containers) yield { type: 'container', container };
    await this.beforeSynced();
    yield { type: 'synced' };
    yield* this.#events.read(AbortSignal.any([signal, broken.signal]));
    if (failure !== undefined) throw failure;
  }

  /** Ends the watch in flight with an error. */
  breakWatch(): void {
    this.#breakWatch?.(new Error('connection to the runtime lost'));
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxRecord> {
    this.calls.push(`sandbox ${config.pod.name}#${config.attempt}`);
    await this.fault('sandbox', config.pod.name);
    const sandbox: SandboxRecord = {
      id: `sandbox-${++this.#next}`,
      pod: config.pod,
      attempt: config.attempt,
      state: 'ready',
      createdAt: this.#clock.now(),
      podIPs: ['10.0.0.9'],
    };
    this.putSandbox(sandbox);
    return sandbox;
  }

  async stopSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined) return;
    await this.fault('stopSandbox', sandbox.pod.name);
    for (const record of this.containers.values()) {
      if (record.sandboxID === id && record.status.state === 'running') this.#end(record, 137);
    }
    if (sandbox.state === 'ready') this.putSandbox({ ...sandbox, state: 'notReady' });
  }

  async removeSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined) return;
    await this.fault('removeSandbox', sandbox.pod.name);
    this.sandboxes.delete(id);
    this.#tell(id, { type: 'sandboxRemoved', id });
  }

  async createContainer(sandbox: SandboxRecord, config: ContainerConfig): Promise<ContainerRecord> {
    this.calls.push(`create ${config.name}#${config.attempt}`);
    await this.fault('create', config.name);
    const record: ContainerRecord = {
      id: `${config.name}-${++this.#next}`,
      sandboxID: sandbox.id,
      pod: sandbox.pod,
      name: config.name,
      attempt: config.attempt,
      image: config.image,
      imageID: '',
      logPath: config.logPath,
      annotations: config.annotations,
      createdAt: this.#clock.now(),
      status: { state: 'created' },
    };
    this.configs.set(record.id, config);
    this.putContainer(record);
    return record;
  }

  async startContainer(id: string): Promise<void> {
    const record = this.containers.get(id) as ContainerRecord;
    this.calls.push(`start ${record.name}#${record.attempt}`);
    await this.fault('start', record.name);
    const behaviour = this.behaviours.get(record.name);
    if (behaviour?.startError !== undefined) {
      this.#become(record, {
        state: 'exited',
        startedAt: 0,
        finishedAt: this.#clock.now(),
        exitCode: 128,
        reason: 'StartError',
        message: behaviour.startError.message,
      });
      throw behaviour.startError;
    }
    this.#become(record, { state: 'running', startedAt: this.#clock.now() });
    const ends = behaviour?.ends;
    if (ends !== undefined) this.#endLater(id, ends.afterMs, ends.exitCode);
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const record = this.containers.get(id);
    if (record === undefined) return;
    this.calls.push(`stop ${record.name}#${record.attempt} ${graceSeconds}`);
    await this.fault('stop', record.name);
    if (this.containers.get(id)?.status.state !== 'running') return;
    const killAt = this.#clock.now() + graceSeconds * 1000;
    let stopping = this.#stopping.get(id);
    if (stopping === undefined) {
      const ended = Promise.withResolvers<void>();
      stopping = { done: ended.promise, killAt: Number.POSITIVE_INFINITY, cancelKill: () => {} };
      this.#stopping.set(id, stopping);
      this.#ended.set(id, ended.resolve);
      const { onStop = { afterMs: 0, exitCode: 0 } } = this.behaviours.get(record.name) ?? {};
      if (onStop !== 'ignored') this.#endLater(id, onStop.afterMs, onStop.exitCode);
    }
    if (killAt < stopping.killAt) {
      stopping.killAt = killAt;
      stopping.cancelKill();
      stopping.cancelKill = this.#clock.after(graceSeconds * 1000, () => this.#endNow(id, 137));
    }
    await stopping.done;
  }

  async removeContainer(id: string): Promise<void> {
    const record = this.containers.get(id);
    if (record === undefined) return;
    this.calls.push(`remove ${record.name}#${record.attempt}`);
    await this.fault('remove', record.name);
    this.containers.delete(id);
    this.#tell(id, { type: 'containerRemoved', id });
  }

  /** The newest instance of a container. */
  latest(name: string): ContainerRecord | undefined {
    return [...this.containers.values()].filter((c) => c.name === name).at(-1);
  }

  /** The newest instance of a container ends. */
  exit(name: string, exitCode: number, reason?: string): void {
    const record = this.latest(name);
    if (record?.status.state !== 'running') throw new Error(`${name} does not run`);
    this.#end(record, exitCode, reason);
  }

  /** A sandbox dies, as when a machine was rebooted or somebody killed it: what was in it is dead too. */
  loseSandbox(podName: string): void {
    for (const sandbox of this.sandboxes.values()) {
      if (sandbox.pod.name !== podName || sandbox.state !== 'ready') continue;
      for (const record of this.containers.values()) {
        if (record.sandboxID === sandbox.id && record.status.state === 'running') this.#end(record, 137);
      }
      this.putSandbox({ ...sandbox, state: 'notReady' });
    }
  }

  putSandbox(sandbox: SandboxRecord): void {
    this.sandboxes.set(sandbox.id, sandbox);
    this.#tell(sandbox.id, { type: 'sandbox', sandbox });
  }

  putContainer(container: ContainerRecord): void {
    this.containers.set(container.id, container);
    this.#tell(container.id, { type: 'container', container });
  }

  /** Tells what was held back while the runtime was silent. */
  tell(): void {
    this.isSilent = false;
    for (const [key, event] of this.#held.splice(0)) this.#events.put(key, event);
  }

  health(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }

  #endLater(id: string, afterMs: number, exitCode: number): void {
    if (afterMs === 0) this.#endNow(id, exitCode);
    else this.#clock.after(afterMs, () => this.#endNow(id, exitCode));
  }

  #endNow(id: string, exitCode: number): void {
    const record = this.containers.get(id);
    if (record?.status.state === 'running') this.#end(record, exitCode);
  }

  #end(record: ContainerRecord, exitCode: number, reason = exitCode === 0 ? 'Completed' : 'Error'): void {
    const startedAt = record.status.state === 'running' ? record.status.startedAt : 0;
    this.#become(record, { state: 'exited', startedAt, finishedAt: this.#clock.now(), exitCode, reason });
    this.#stopping.get(record.id)?.cancelKill();
    this.#stopping.delete(record.id);
    this.#ended.get(record.id)?.();
    this.#ended.delete(record.id);
  }

  #become(record: ContainerRecord, status: ContainerRuntimeStatus): void {
    this.putContainer({ ...record, status });
  }

  #tell(key: string, event: RuntimeEvent): void {
    if (this.isSilent) this.#held.push([key, event]);
    else this.#events.put(key, event);
  }
}
