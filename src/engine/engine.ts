import type { Duplex } from 'node:stream';

import { BackOff } from '../core/back-off.ts';
import { messageOf, notFound, unsupported } from '../core/errors.ts';
import { LatestQueue } from '../core/latest-queue.ts';
import type { Pod, PodStatus } from '../core/objects.ts';
import type { UsageScope } from '../core/resource-usage.ts';
import { Tasks } from '../core/tasks.ts';
import type {
  AttachRequest,
  ContainerInstance,
  ContainerRecord,
  ContainerRuntime,
  ExecRequest,
  ExitStatus,
  LogOptions,
  NodeFacts,
  PodEvent,
  PodProvider,
  PodRef,
  PodReport,
  PodResolver,
  PodUsage,
  ProviderContext,
  RuntimeEvent,
  SandboxRecord,
  StopOptions,
} from '../providers/contract.ts';
import { readContainerLog } from './logs/index.ts';
import { PodMachine } from './pod-machine.ts';
import { warnOfSharedPort } from './shared-port.ts';
import { podUsages } from './usage.ts';

const refreshMs = 60_000;

/**
 * The pod's life on any container runtime: what turns a {@link ContainerRuntime} into a {@link PodProvider}.
 * One machine per pod UID; the runtime's records are the only memory that must survive.
 */
export class Engine implements PodProvider {
  readonly name: string;
  readonly runtimeVersion: string;
  readonly exec?: NonNullable<PodProvider['exec']>;
  readonly attach?: NonNullable<PodProvider['attach']>;
  readonly portForward?: NonNullable<PodProvider['portForward']>;
  readonly stats?: NonNullable<PodProvider['stats']>;
  readonly node?: () => Promise<NodeFacts>;
  readonly #runtime: ContainerRuntime;
  readonly #context: ProviderContext;
  readonly #tasks: Tasks;
  readonly #machines = new Map<string, PodMachine>();
  /** Whose a sandbox or container is, by its id: a removal tells no more. */
  readonly #owners = new Map<string, PodMachine>();
  readonly #output = new LatestQueue<string, PodEvent>();
  readonly #changed = new Set<PodMachine>();
  #flushing = false;

  constructor(runtime: ContainerRuntime, context: ProviderContext) {
    this.name = runtime.name;
    this.runtimeVersion = runtime.runtimeVersion;
    this.#runtime = runtime;
    this.#context = context;
    this.#tasks = new Tasks(context.log);
    // A capability that the runtime lacks must be lacking here too: the node answers 501 for it.
    if (runtime.exec !== undefined) this.exec = (target, request) => this.#exec(target, request);
    if (runtime.attach !== undefined) this.attach = (target, request) => this.#attach(target, request);
    if (runtime.portForward !== undefined)
      this.portForward = (uid, port, stream, signal) => this.#portForward(uid, port, stream, signal);
    if (runtime.stats !== undefined) this.stats = (scope) => this.#stats(scope);
    if (runtime.node !== undefined) this.node = () => runtime.node?.() ?? Promise.resolve({});
  }

  async *watch(signal: AbortSignal): AsyncGenerator<PodEvent, void, undefined> {
    this.#tasks.run('watch runtime', () => this.#watchRuntime(signal));
    this.#tasks.run('refresh volumes', () => this.#refreshVolumes(signal));
    yield* this.#output.read(signal);
  }

  /** As often as a kubelet's resync comes round. */
  async #refreshVolumes(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#context.clock.sleep(refreshMs * (0.75 + Math.random() / 4), signal);
      for (const machine of this.#machines.values()) await machine.refreshVolumes();
    }
  }

  async #watchRuntime(signal: AbortSignal): Promise<void> {
    const backOff = new BackOff(this.#context.clock);
    while (!signal.aborted) {
      try {
        await this.#consume(this.#runtime.watch(signal));
        if (signal.aborted) return;
        throw new Error('the runtime ended its watch');
      } catch (err) {
        if (signal.aborted) return;
        this.#context.log.warn('runtime watch failed', { runtime: this.name, err: messageOf(err) });
        await this.#context.clock.sleep(backOff.next(), signal).catch(() => {});
      }
    }
  }

  async #consume(events: AsyncIterable<RuntimeEvent>): Promise<void> {
    const since = this.#context.clock.now();
    const listed = new Set<string>();
    let listing = true;
    for await (const event of events) {
      switch (event.type) {
        case 'sandbox':
          if (listing) listed.add(event.sandbox.id);
          this.#owner(event.sandbox).records.putSandbox(event.sandbox);
          this.#owner(event.sandbox).recordChanged();
          break;
        case 'container':
          if (listing) listed.add(event.container.id);
          this.#owner(event.container).records.putContainer(event.container);
          this.#owner(event.container).recordChanged(event.container);
          break;
        case 'sandboxRemoved':
        case 'containerRemoved': {
          const machine = this.#owners.get(event.id);
          this.#owners.delete(event.id);
          if (machine !== undefined) this.#drop(machine, ({ id }) => id === event.id);
          break;
        }
        case 'synced':
          listing = false;
          // What a listing after a lost watch does not name is gone, unless it was made while the listing was.
          for (const machine of this.#machines.values())
            this.#drop(machine, ({ id, createdAt }) => !listed.has(id) && createdAt < since);
          this.#flush();
          this.#output.put('synced', { type: 'synced' });
      }
    }
  }

  #drop(machine: PodMachine, gone: (record: SandboxRecord | ContainerRecord) => boolean): void {
    const { records } = machine;
    const containers = records.containers().filter(gone);
    const sandboxes = records.sandboxes().filter(gone);
    for (const { id } of containers) records.removeContainer(id);
    for (const { id } of sandboxes) records.removeSandbox(id);
    for (const { id } of [...containers, ...sandboxes]) this.#owners.delete(id);
    if (containers.length + sandboxes.length > 0) machine.recordChanged();
    // Known from the runtime only, and now not even from there.
    if (machine.pod === undefined && records.isEmpty && !machine.isStopping) this.#forget(machine);
  }

  #owner({ id, pod }: SandboxRecord | ContainerRecord): PodMachine {
    const machine = this.#machine(pod);
    this.#owners.set(id, machine);
    return machine;
  }

  #machine(ref: PodRef): PodMachine {
    let machine = this.#machines.get(ref.uid);
    if (machine === undefined) {
      const created: PodMachine = new PodMachine(ref, {
        runtime: this.#runtime,
        context: this.#context,
        changed: () => this.#markChanged(created),
        exited: (m, record) => this.#exited(m, record),
      });
      machine = created;
      this.#machines.set(ref.uid, machine);
    }
    return machine;
  }

  /** Reports once per turn of the event loop, however many records changed in it. */
  #markChanged(machine: PodMachine): void {
    this.#changed.add(machine);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    for (const machine of this.#changed) {
      if (this.#machines.get(machine.ref.uid) === machine && !machine.isStarting)
        this.#output.put(machine.ref.uid, { type: 'report', report: machine.report() });
    }
    this.#changed.clear();
  }

  #exited(machine: PodMachine, record: ContainerRecord): void {
    if (!this.#runtime.features.hostNetworkOnly || record.status.state !== 'exited' || record.status.exitCode === 0)
      return;
    this.#tasks.run('look for a shared port', () =>
      warnOfSharedPort(machine, record, [...this.#machines.values()], this.#context),
    );
  }

  run(pod: Pod, resolver: PodResolver, lastStatus: PodStatus | undefined): Promise<void> {
    const { uid, name, namespace } = pod.metadata;
    this.#machine({ uid, name, namespace }).adopt(pod, resolver, lastStatus);
    return Promise.resolve();
  }

  update(pod: Pod): Promise<void> {
    this.#machines.get(pod.metadata.uid)?.update(pod);
    return Promise.resolve();
  }

  async stop(uid: string, options: StopOptions): Promise<PodReport | undefined> {
    return this.#machines.get(uid)?.stop(options);
  }

  async remove(uid: string): Promise<void> {
    const machine = this.#machines.get(uid);
    if (machine === undefined) return;
    await machine.remove();
    this.#forget(machine);
  }

  #forget(machine: PodMachine): void {
    const { uid } = machine.ref;
    if (this.#machines.get(uid) !== machine) return;
    this.#machines.delete(uid);
    for (const { id } of [...machine.records.containers(), ...machine.records.sandboxes()]) this.#owners.delete(id);
    this.#output.put(uid, { type: 'gone', uid });
  }

  health(): Promise<void> {
    return this.#runtime.health();
  }

  async close(): Promise<void> {
    const machines = [...this.#machines.values()];
    for (const machine of machines) machine.dispose();
    await Promise.all(machines.map((m) => m.settled()));
    await this.#runtime.close();
  }

  async logs(target: ContainerInstance, options: LogOptions, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const { machine, record } = this.#find(target, 'any');
    return readContainerLog(record.logPath, options, {
      isRunning: () =>
        machine.records.container(record.id)?.status.state !== 'exited' && this.#machines.has(target.uid),
      clock: this.#context.clock,
      signal,
    });
  }

  async #exec(target: ContainerInstance, request: ExecRequest): Promise<ExitStatus> {
    const { record } = this.#find(target, 'running');
    return (await this.#runtime.exec?.(record.id, request)) ?? this.#lacks('exec');
  }

  async #attach(target: ContainerInstance, request: AttachRequest): Promise<void> {
    const { record } = this.#find(target, 'running');
    await (this.#runtime.attach?.(record.id, request) ?? this.#lacks('attach'));
  }

  async #portForward(uid: string, port: number, stream: Duplex, signal: AbortSignal): Promise<void> {
    const sandbox = this.#machines.get(uid)?.records.sandbox;
    if (sandbox?.state !== 'ready') throw notFound(`sandbox of pod ${uid} is not running`);
    await (this.#runtime.portForward?.(sandbox.id, port, stream, signal) ?? this.#lacks('port-forward'));
  }

  async #stats(scope: UsageScope): Promise<PodUsage[]> {
    const usages = await (this.#runtime.stats?.(scope) ?? this.#lacks('stats'));
    const pods = [...this.#machines.values()].map(({ ref, records }) => ({ ref, containers: records.containers() }));
    return podUsages(pods, usages, { scope, type: this.name, at: this.#context.clock.now() });
  }

  #lacks(capability: string): never {
    throw unsupported(`container runtime ${this.name} has no ${capability}`);
  }

  #find(target: ContainerInstance, want: 'any' | 'running'): { machine: PodMachine; record: ContainerRecord } {
    const machine = this.#machines.get(target.uid);
    const id = target.containerID?.replace(/^[^:]*:\/\//, '');
    const record = id === undefined ? machine?.records.latest(target.container) : machine?.records.container(id);
    const usable = record !== undefined && (want === 'any' || record.status.state === 'running');
    if (machine === undefined || !usable) throw notFound(`container not found ("${target.container}")`);
    return { machine, record };
  }

  /** How much this engine holds of pods; for tests that look for leaks. */
  get size(): number {
    return this.#machines.size + this.#owners.size;
  }
}
