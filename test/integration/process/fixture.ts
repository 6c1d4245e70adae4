import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';

import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { environmentValue, listProcesses } from '../../../src/host/process-table.ts';
import type {
  ContainerConfig,
  ContainerRecord,
  ContainerRuntimeStatus,
  ProviderContext,
  RuntimeEvent,
  SandboxRecord,
} from '../../../src/providers/contract.ts';
import { markerVariable } from '../../../src/providers/process/belongings.ts';
import { configSchema } from '../../../src/providers/process/config.ts';
import type { ShimHello } from '../../../src/providers/process/protocol.ts';
import { ProcessRuntime, type ProcessRuntimeOptions } from '../../../src/providers/process/runtime.ts';

export const isRoot = process.getuid?.() === 0;

type Exited = Extract<ContainerRuntimeStatus, { state: 'exited' }>;

/** Resolves when `condition` holds; looks again every few milliseconds, for what sends no event. */
export async function eventually<T>(condition: () => T | Promise<T>, what = 'the condition'): Promise<T> {
  for (const deadline = performance.now() + 15_000; ;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) throw new Error(`${what} never held`);
    await wait(10);
  }
}

/** A daemon's view of the runtime over a state directory; several may follow one another on the same directory. */
export class Daemon {
  readonly runtime: ProcessRuntime;
  readonly containers = new Map<string, ContainerRecord>();
  readonly sandboxes = new Map<string, SandboxRecord>();
  readonly #machine: Machine;
  readonly #leave = new AbortController();
  readonly #watching: Promise<void>;
  #synced = Promise.withResolvers<void>();

  constructor(runtime: ProcessRuntime, machine: Machine) {
    this.runtime = runtime;
    this.#machine = machine;
    this.#watching = this.#watch();
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  async #watch(): Promise<void> {
    for await (const event of this.runtime.watch(this.#leave.signal)) this.#take(event);
  }

  #take(event: RuntimeEvent): void {
    if (event.type === 'container') this.containers.set(event.container.id, event.container);
    else if (event.type === 'sandbox') this.sandboxes.set(event.sandbox.id, event.sandbox);
    else if (event.type === 'containerRemoved') this.containers.delete(event.id);
    else if (event.type === 'sandboxRemoved') this.sandboxes.delete(event.id);
    else this.#synced.resolve();
  }

  async sandbox(): Promise<SandboxRecord> {
    return await this.runtime.runSandbox({
      pod: { uid: 'uid-1', name: 'pod', namespace: 'default' },
      attempt: 0,
      hostname: 'pod-host',
      hostNetwork: false,
      logDirectory: join(this.#machine.logs, 'default_pod_uid-1'),
    });
  }

  async create(
    command: readonly string[],
    more: Partial<ContainerConfig> = {},
    sandbox?: SandboxRecord,
  ): Promise<ContainerRecord> {
    return await this.runtime.createContainer(sandbox ?? (await this.sandbox()), this.#machine.config(command, more));
  }

  async start(
    command: readonly string[],
    more: Partial<ContainerConfig> = {},
    sandbox?: SandboxRecord,
  ): Promise<ContainerRecord> {
    const container = await this.create(command, more, sandbox);
    await this.runtime.startContainer(container.id);
    return container;
  }

  status(id: string): ContainerRuntimeStatus | undefined {
    return this.containers.get(id)?.status;
  }

  async exited(id: string): Promise<Exited> {
    return (await eventually(() => {
      const status = this.status(id);
      return status?.state === 'exited' ? status : undefined;
    }, `exit of ${id}`)) as Exited;
  }

  /** Runs a command in a container and collects what it says. */
  async exec(
    id: string,
    command: readonly string[],
    more: { tty?: boolean; signal?: AbortSignal } = {},
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const stdout = new Sink();
    const stderr = new Sink();
    const signal = more.signal ?? new AbortController().signal;
    const { exitCode } = await this.runtime.exec(id, { command, stdout, stderr, tty: more.tty ?? false, signal });
    return { exitCode, stdout: stdout.text, stderr: stderr.text };
  }

  /** Ends as a daemon does: containers go on. */
  async leave(): Promise<void> {
    this.#leave.abort();
    await this.runtime.close();
    await this.#watching;
  }

  async removeAll(): Promise<void> {
    for (const id of this.sandboxes.keys()) await this.runtime.removeSandbox(id);
    for (const id of this.containers.keys()) await this.runtime.removeContainer(id);
  }
}

/** A temporary state directory with all that runs on it. */
export class Machine {
  readonly root: string;
  readonly logs: string;
  readonly #limits: { maxSizeBytes: number; maxFiles: number };
  readonly #daemons: Daemon[] = [];
  #logNumber = 0;

  constructor(options: { limits?: { maxSizeBytes: number; maxFiles: number }; subfolder?: string } = {}) {
    this.root = mkdtempSync(join(tmpdir(), 'anylet-test-'));
    this.logs = join(this.root, 'logs');
    this.#limits = options.limits ?? { maxSizeBytes: 10 * 1024 * 1024, maxFiles: 5 };
    this.stateDir = join(this.root, options.subfolder ?? 'state');
  }

  readonly stateDir: string;

  get context(): ProviderContext {
    return {
      nodeName: 'node',
      nodeIPs: ['10.0.0.1'],
      stateDir: this.stateDir,
      logs: { directory: this.logs, ...this.#limits },
      cluster: { dns: [], domain: 'cluster.local' },
      clock: systemClock,
      log: silentLogger,
      events() {},
      signal: new AbortController().signal,
    };
  }

  async daemon(options: ProcessRuntimeOptions = {}): Promise<Daemon> {
    mkdirSync(this.stateDir, { recursive: true, mode: 0o700 });
    const daemon = new Daemon(await ProcessRuntime.create(configSchema.parse({}), this.context, options), this);
    this.#daemons.push(daemon);
    await daemon.synced;
    return daemon;
  }

  config(command: readonly string[], more: Partial<ContainerConfig> = {}): ContainerConfig {
    return {
      name: 'main',
      attempt: 0,
      image: 'busybox',
      command,
      args: [],
      env: {},
      tty: false,
      stdin: false,
      stdinOnce: false,
      logPath: join(this.logs, 'default_pod_uid-1', 'main', `${this.#logNumber++}.log`),
      mounts: [],
      user: {},
      annotations: {},
      ...more,
    };
  }

  /** Greetings of the shims that have a folder. */
  shims(): ShimHello[] {
    return readdirSync(join(this.stateDir, 'shims')).flatMap((id) => {
      const file = join(this.stateDir, 'shims', id, 'shim.json');
      return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8')) as ShimHello] : [];
    });
  }

  /** Processes that carry the marker of any container of this machine. */
  async marked(): Promise<number[]> {
    const processes = await listProcesses();
    return processes
      .filter(({ pid }) => environmentValue(pid, markerVariable)?.startsWith(this.stateDir) === true)
      .map(({ pid }) => pid);
  }

  /** Removes every pod, and fails when a process or a record stays behind. */
  async clear(): Promise<void> {
    await this.#daemons.at(-1)?.removeAll();
    const left = await this.marked();
    const records = ['containers', 'mounts', 'sandboxes'].flatMap((folder) => readdirSync(join(this.stateDir, folder)));
    if (left.length + records.length > 0)
      throw new Error(`left behind: processes ${left.join(' ')}, files ${records.join(' ')}`);
  }

  /** The same for all, shims and their sockets included. */
  async dispose(): Promise<void> {
    try {
      await this.clear();
      for (const daemon of this.#daemons) await daemon.leave();
      await eventually(() => readdirSync(join(this.stateDir, 'shims')).length === 0, 'the end of every shim');
    } finally {
      rmSync(this.root, { recursive: true, force: true });
    }
  }
}

/** Collects bytes. */
export class Sink extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }
}

export function readLog(container: ContainerRecord): string {
  return readFileSync(container.logPath, 'utf8');
}

/** The texts of a log's lines, with stream and tag. */
export function logLines(container: ContainerRecord): { stream: string; tag: string; text: string }[] {
  return readLog(container)
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [, stream = '', tag = '', ...text] = line.split(' ');
      return { stream, tag, text: text.join(' ') };
    });
}
