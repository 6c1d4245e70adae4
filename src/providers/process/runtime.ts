import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { Duplex } from 'node:stream';

import { messageOf, notFound } from '../../core/errors.ts';
import { Tasks } from '../../core/tasks.ts';
import { packageVersion } from '../../core/version.ts';
import { writeFileAtomic } from '../../host/atomic-file.ts';
import { readBootID } from '../../host/boot-id.ts';
import { canSetGroups } from '../../host/launch.ts';
import type {
  AttachRequest,
  ContainerConfig,
  ContainerRecord,
  ContainerRuntime,
  ExecRequest,
  ExitStatus,
  ProviderContext,
  RuntimeEvent,
  SandboxConfig,
  SandboxRecord,
} from '../contract.ts';
import { Sweeper } from './belongings.ts';
import { Changes } from './changes.ts';
import type { ProcessConfig } from './config.ts';
import { containerPlan } from './container-plan.ts';
import { StateFiles } from './files.ts';
import { settleOrphan } from './orphans.ts';
import { forwardToLoopback } from './port-forward.ts';
import type { StoredContainer } from './protocol.ts';
import { prepareStateDirectory, readContainers, readSandboxes, recordOf, type StoredSandbox } from './records.ts';
import { runRemote } from './remote-command.ts';
import type { ShimLink } from './shim-link.ts';
import { Shims } from './shims.ts';
import { type RunningContainer, UsageMeter } from './usage.ts';
import type { Self } from './users.ts';

/** What tests set to play a reboot or an upgrade. */
export interface ProcessRuntimeOptions {
  readonly bootID?: string;
  readonly version?: string;
}

/** Host processes as containers. The processes belong to shims, which outlive this object and the daemon. */
export class ProcessRuntime implements ContainerRuntime {
  readonly name = 'process';
  readonly runtimeVersion: string;
  readonly features: ContainerRuntime['features'];
  /** Only where `/proc` tells. */
  readonly stats?: NonNullable<ContainerRuntime['stats']>;

  readonly #context: ProviderContext;
  readonly #files: StateFiles;
  readonly #shims: Shims;
  readonly #sweeper: Sweeper;
  readonly #bootID: string | undefined;
  readonly #tasks: Tasks;
  readonly #sandboxes = new Map<string, StoredSandbox>();
  readonly #containers = new Map<string, StoredContainer>();
  readonly #watchers = new Set<Changes>();
  /** Containers of a shim that ended, while what is left of them is being killed. */
  readonly #settling = new Map<string, Promise<void>>();
  #closed = false;

  private constructor(config: ProcessConfig, context: ProviderContext, options: ProcessRuntimeOptions) {
    const version = options.version ?? packageVersion;
    this.runtimeVersion = `process://${version}`;
    this.features = { images: false, hostNetworkOnly: true, apiServerAddress: config.apiServerAddress };
    this.#context = context;
    this.#bootID = options.bootID ?? readBootID();
    this.#files = new StateFiles(context.stateDir);
    this.#tasks = new Tasks(context.log);
    this.#sweeper = new Sweeper((left) =>
      context.log.error('processes of an ended container could not be killed', { pids: left.map(({ pid }) => pid) }),
    );
    if (process.platform === 'linux') {
      const meter = new UsageMeter();
      // Both scopes are the same here: there is nothing to know but what is cheap.
      this.stats = () => meter.measure(this.#running(), context.clock.now());
    }
    this.#shims = new Shims({
      files: this.#files,
      version,
      bootID: this.#bootID,
      log: context.log,
      handlers: {
        container: (container) => this.#store(container),
        removed: (id) => this.#forget(id),
        gone: (link) => this.#shimGone(link),
      },
    });
  }

  /** Adopts all that an earlier daemon left, and has a shim ready for new containers. */
  static async create(
    config: ProcessConfig,
    context: ProviderContext,
    options: ProcessRuntimeOptions = {},
  ): Promise<ProcessRuntime> {
    const runtime = new ProcessRuntime(config, context, options);
    prepareStateDirectory(runtime.#files);
    for (const sandbox of await readSandboxes(runtime.#files, context.log))
      runtime.#sandboxes.set(sandbox.record.id, sandbox);
    await runtime.#shims.discover();
    await runtime.#settle(undefined);
    await runtime.#shims.current();
    return runtime;
  }

  async *watch(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const changes = new Changes();
    for (const { record } of this.#sandboxes.values()) changes.push({ type: 'sandbox', sandbox: record });
    for (const stored of this.#containers.values()) changes.push({ type: 'container', container: recordOf(stored) });
    changes.push({ type: 'synced' });
    this.#watchers.add(changes);
    try {
      yield* changes.read(signal);
    } finally {
      this.#watchers.delete(changes);
    }
  }

  async runSandbox(config: SandboxConfig): Promise<SandboxRecord> {
    const record: SandboxRecord = {
      id: newID(),
      pod: config.pod,
      attempt: config.attempt,
      state: 'ready',
      createdAt: this.#context.clock.now(),
      podIPs: this.#context.nodeIPs,
    };
    this.#storeSandbox({ record, hostname: config.hostname });
    return record;
  }

  async stopSandbox(id: string): Promise<void> {
    const sandbox = this.#sandboxes.get(id);
    if (sandbox === undefined) return;
    await Promise.all(this.#containersOf(id).map((containerID) => this.stopContainer(containerID, 0)));
    if (this.#sandboxes.has(id) && sandbox.record.state === 'ready') {
      this.#storeSandbox({ ...sandbox, record: { ...sandbox.record, state: 'notReady' } });
    }
  }

  async removeSandbox(id: string): Promise<void> {
    await this.stopSandbox(id);
    await Promise.all(this.#containersOf(id).map((containerID) => this.removeContainer(containerID)));
    if (!this.#sandboxes.delete(id)) return;
    rmSync(this.#files.sandbox(id), { force: true });
    this.#tell({ type: 'sandboxRemoved', id });
  }

  async createContainer(sandbox: SandboxRecord, config: ContainerConfig): Promise<ContainerRecord> {
    const stored = this.#sandboxes.get(sandbox.id);
    if (stored === undefined) throw notFound(`sandbox ${sandbox.id} does not exist`);
    const id = newID();
    const { plan, user } = await containerPlan(config, {
      pod: sandbox.pod,
      hostname: stored.hostname,
      mountPoint: this.#files.mountPoint(id),
      logLimits: this.#context.logs,
      self: self(),
    });
    const shim = await this.#shims.current();
    const container: StoredContainer = {
      shim: shim.id,
      record: {
        id,
        sandboxID: sandbox.id,
        pod: sandbox.pod,
        name: config.name,
        attempt: config.attempt,
        image: config.image,
        imageID: config.image,
        logPath: config.logPath,
        annotations: config.annotations,
        createdAt: this.#context.clock.now(),
        user: { linux: { uid: user.uid, gid: user.gid, supplementalGroups: [...user.groups] } },
      },
      status: { state: 'created' },
    };
    await shim.call('create', { container, plan });
    this.#store(container);
    return recordOf(container);
  }

  async startContainer(id: string): Promise<void> {
    await this.#owner(id).call('start', { id });
  }

  async stopContainer(id: string, graceSeconds: number): Promise<void> {
    const stored = this.#containers.get(id);
    if (stored === undefined || stored.status.state === 'exited') return;
    const link = this.#shims.link(stored.shim);
    try {
      await link?.call('stop', { id, graceSeconds });
    } catch (err) {
      if (this.#shims.link(stored.shim) !== undefined) throw err;
    }
    // A shim that has ended leaves it to us, which is under way.
    await this.#settling.get(stored.shim);
  }

  async removeContainer(id: string): Promise<void> {
    const stored = this.#containers.get(id);
    if (stored === undefined) return;
    await this.stopContainer(id, 0);
    const link = this.#shims.link(stored.shim);
    try {
      await link?.call('remove', { id });
    } catch (err) {
      if (this.#shims.link(stored.shim) !== undefined) throw err;
      await this.#settling.get(stored.shim);
    }
    rmSync(this.#files.mountPoint(id), { recursive: true, force: true });
    rmSync(this.#files.container(id), { force: true });
    this.#forget(id);
  }

  async exec(id: string, request: ExecRequest): Promise<ExitStatus> {
    const stream = { stream: 'exec', id, command: request.command, tty: request.tty, ...wanted(request) } as const;
    return { exitCode: await runRemote(this.#owner(id), stream, request, this.#context.log) };
  }

  async attach(id: string, request: AttachRequest): Promise<void> {
    try {
      await runRemote(this.#owner(id), { stream: 'attach', id, ...wanted(request) }, request, this.#context.log);
    } catch (err) {
      if (!request.signal.aborted) throw err; // A client that leaves is the usual end.
    }
  }

  async portForward(sandboxID: string, port: number, stream: Duplex, signal: AbortSignal): Promise<void> {
    if (!this.#sandboxes.has(sandboxID)) throw notFound(`sandbox ${sandboxID} does not exist`);
    await forwardToLoopback(port, stream, signal);
  }

  /** Works as long as there is a shim for new containers, or one can be started. */
  async health(): Promise<void> {
    await this.#shims.current();
  }

  /** Containers go on in their shims; a shim that has none ends. */
  async close(): Promise<void> {
    this.#closed = true;
    const holders = new Set(
      [...this.#containers.values()].filter(({ status }) => status.state !== 'exited').map(({ shim }) => shim),
    );
    await this.#shims.close((shim) => holders.has(shim));
    await this.#tasks.settled();
  }

  #owner(id: string): ShimLink {
    const stored = this.#containers.get(id);
    const link = stored === undefined ? undefined : this.#shims.link(stored.shim);
    if (link === undefined) throw notFound(`container ${id} is not running`);
    return link;
  }

  #shimGone(link: ShimLink): void {
    if (this.#closed) return;
    this.#tasks.run('settle the containers of an ended shim', async () => {
      const settling = this.#settle(link.id);
      this.#settling.set(link.id, settling);
      try {
        await settling;
        this.#shims.forget(link);
      } finally {
        this.#settling.delete(link.id);
      }
    });
  }

  /** Takes over the records of one shim that has ended, or of all that are not connected. */
  async #settle(shim: string | undefined): Promise<void> {
    const around = {
      files: this.#files,
      sweeper: this.#sweeper,
      bootID: this.#bootID,
      now: () => this.#context.clock.now(),
    };
    const orphans = (await readContainers(this.#files, this.#context.log)).filter((stored) =>
      shim === undefined ? this.#shims.link(stored.shim) === undefined : stored.shim === shim,
    );
    await Promise.all(
      orphans.map(async (stored) => {
        if (stored.status.state !== 'exited')
          this.#context.log.warn('a container has lost its shim', { id: stored.record.id, shim: stored.shim });
        try {
          this.#store(await settleOrphan(stored, around));
        } catch (err) {
          this.#context.log.error('the record of a container cannot be written', {
            id: stored.record.id,
            err: messageOf(err),
          });
        }
      }),
    );
  }

  /** Those of this boot: a number of a former one may be another's by now. */
  #running(): RunningContainer[] {
    return [...this.#containers.values()].flatMap(({ record: { id }, status }) => {
      if (status.state !== 'running' || status.bootID !== this.#bootID) return [];
      return [{ id, marker: this.#files.mountPoint(id), main: status.process, startedAt: status.startedAt }];
    });
  }

  #containersOf(sandboxID: string): string[] {
    return [...this.#containers.values()]
      .filter(({ record }) => record.sandboxID === sandboxID)
      .map(({ record }) => record.id);
  }

  #storeSandbox(sandbox: StoredSandbox): void {
    writeFileAtomic(this.#files.sandbox(sandbox.record.id), JSON.stringify(sandbox));
    this.#sandboxes.set(sandbox.record.id, sandbox);
    this.#tell({ type: 'sandbox', sandbox: sandbox.record });
  }

  #store(container: StoredContainer): void {
    this.#containers.set(container.record.id, container);
    this.#tell({ type: 'container', container: recordOf(container) });
  }

  #forget(id: string): void {
    if (this.#containers.delete(id)) this.#tell({ type: 'containerRemoved', id });
  }

  #tell(event: RuntimeEvent): void {
    for (const watcher of this.#watchers) watcher.push(event);
  }
}

function wanted(request: AttachRequest): { stdin: boolean; stdout: boolean; stderr: boolean } {
  const { stdin, stdout, stderr, tty } = request;
  return { stdin: stdin !== undefined, stdout: stdout !== undefined, stderr: stderr !== undefined && !tty };
}

function self(): Self {
  return {
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    groups: process.getgroups?.() ?? [],
    canSetGroups: canSetGroups(),
  };
}

/** As every runtime names its sandboxes and containers: 64 hexadecimal digits. */
function newID(): string {
  return randomBytes(32).toString('hex');
}
