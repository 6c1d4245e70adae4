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

/** A ContainerRuntime without containers: it keeps records, and a test says when and how one ends. */
export class ScriptedRuntime implements ContainerRuntime {
  readonly name = 'scripted';
  readonly runtimeVersion = 'scripted://1.0.0';
  readonly features = { images: false, hostNetworkOnly: true };
  /** Everything that the engine asked for, in order: `create c#0`, `start c#0`, `stop c#0 30`, … */
  readonly calls: string[] = [];
  readonly sandboxes = new Map<string, SandboxRecord>();
  readonly containers = new Map<string, ContainerRecord>();
  readonly configs = new Map<string, ContainerConfig>();
  /** Set to have the next starts of a container fail. */
  readonly startFailures = new Map<string, () => Error>();
  /** What a stopped container does; exits 0 at once by default. */
  onStop: (record: ContainerRecord, graceSeconds: number) => void | Promise<void> = (record) => this.exit(record.name, 0);
  readonly #clock: Clock;
  readonly #events = new LatestQueue<string, RuntimeEvent>();
  #next = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<RuntimeEvent, void, undefined> {
    for (const sandbox of this.sandboxes.values()) yield { type: 'sandbox', sandbox };
    for (const container of this.containers.values()) yield { type: 'container', container };
    yield { type: 'synced' };
    yield* this.#events.read(signal);
  }

  runSandbox(config: SandboxConfig): Promise<SandboxRecord> {
    this.calls.push(`sandbox ${config.pod.name}#${config.attempt}`);
    const sandbox: SandboxRecord = {
      id: `sandbox-${++this.#next}`,
      pod: config.pod,
      attempt: config.attempt,
      state: 'ready',
      createdAt: this.#clock.now(),
      podIPs: ['10.0.0.9'],
    };
    this.#putSandbox(sandbox);
    return Promise.resolve(sandbox);
  }

  stopSandbox(id: string): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox !== undefined) this.#putSandbox({ ...sandbox, state: 'notReady' });
    return Promise.resolve();
  }

  removeSandbox(id: string): Promise<void> {
    this.sandboxes.delete(id);
    this.#events.put(id, { type: 'sandboxRemoved', id });
    return Promise.resolve();
  }

  createContainer(sandbox: SandboxRecord, config: ContainerConfig): Promise<ContainerRecord> {
    this.calls.push(`create ${config.name}#${config.attempt}`);
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
    this.#putContainer(record);
    return Promise.resolve(record);
  }

  startContainer(id: string): Promise<void> {
    const record = this.containers.get(id) as ContainerRecord;
    this.calls.push(`start ${record.name}#${record.attempt}`);
    const failure = this.startFailures.get(record.name)?.();
    if (failure !== undefined) {
      this.#become(record, {
        state: 'exited',
        startedAt: 0,
        finishedAt: this.#clock.now(),
        exitCode: 128,
        reason: 'StartError',
        message: failure.message,
      });
      return Promise.reject(failure);
    }
    this.#become(record, { state: 'running', startedAt: this.#clock.now() });
    return Promise.resolve();
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const record = this.containers.get(id);
    if (record === undefined) return;
    this.calls.push(`stop ${record.name}#${record.attempt} ${graceSeconds}`);
    if (record.status.state === 'running') await this.onStop(record, graceSeconds);
  }

  removeContainer(id: string): Promise<void> {
    if (this.containers.delete(id)) this.#events.put(id, { type: 'containerRemoved', id });
    return Promise.resolve();
  }

  /** The newest instance of a container ends. */
  exit(name: string, exitCode: number): void {
    const record = [...this.containers.values()].filter((c) => c.name === name).at(-1) as ContainerRecord;
    if (record.status.state !== 'running') throw new Error(`${name} does not run`);
    this.#become(record, {
      state: 'exited',
      startedAt: record.status.startedAt,
      finishedAt: this.#clock.now(),
      exitCode,
      reason: exitCode === 0 ? 'Completed' : 'Error',
    });
  }

  health(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #become(record: ContainerRecord, status: ContainerRuntimeStatus): void {
    this.#putContainer({ ...record, status });
  }

  #putContainer(container: ContainerRecord): void {
    this.containers.set(container.id, container);
    this.#events.put(container.id, { type: 'container', container });
  }

  #putSandbox(sandbox: SandboxRecord): void {
    this.sandboxes.set(sandbox.id, sandbox);
    this.#events.put(sandbox.id, { type: 'sandbox', sandbox });
  }
}
