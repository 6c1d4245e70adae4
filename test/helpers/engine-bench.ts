import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Pod, PodStatus } from '../../src/core/objects.ts';
import { Engine } from '../../src/engine/engine.ts';
import type { ContainerReport, PodEvent, PodReport, PodResolver } from '../../src/providers/contract.ts';
import { FakeClock, literalResolver, MemoryLogger, providerContext } from '../../src/testing/index.ts';
import { pass, quiet } from './quiet.ts';
import { ScriptedRuntime } from './scripted-runtime.ts';

/** An engine on a scripted runtime, with a clock that a test moves, and everything it says. */
export class EngineBench {
  readonly clock = new FakeClock();
  readonly log = new MemoryLogger();
  readonly runtime: ScriptedRuntime;
  /** `Warning BackOff spec.containers{c}: message` */
  readonly events: string[] = [];
  readonly directory: string;
  /** Every report so far, per pod. */
  readonly reports = new Map<string, PodReport[]>();
  readonly said: PodEvent[] = [];
  engine!: Engine;
  #watching = new AbortController();

  static async create(): Promise<EngineBench> {
    const bench = new EngineBench(await mkdtemp(join(tmpdir(), 'engine-')));
    await bench.restart();
    return bench;
  }

  private constructor(directory: string) {
    this.directory = directory;
    this.runtime = new ScriptedRuntime(this.clock);
  }

  /** A new engine over the same runtime, as after the daemon was killed. */
  async restart(): Promise<void> {
    if (this.engine !== undefined) await this.stop();
    this.#watching = new AbortController();
    this.said.length = 0;
    this.reports.clear();
    this.engine = new Engine(
      this.runtime,
      providerContext({
        clock: this.clock,
        log: this.log,
        stateDir: this.directory,
        logs: { directory: join(this.directory, 'logs'), maxSizeBytes: 1_000_000, maxFiles: 2 },
        events: (_pod, type, reason, message, path) =>
          this.events.push([type, reason, path, message].filter(Boolean).join(' ')),
      }),
    );
    void this.#collect(this.engine, this.#watching.signal);
    await quiet();
  }

  async #collect(engine: Engine, signal: AbortSignal): Promise<void> {
    for await (const event of engine.watch(signal)) {
      this.said.push(event);
      if (event.type !== 'report') continue;
      const { uid } = event.report;
      this.reports.set(uid, [...(this.reports.get(uid) ?? []), event.report]);
    }
  }

  async run(pod: Pod, lastStatus?: PodStatus, resolver: PodResolver = literalResolver(pod)): Promise<void> {
    await this.engine.run(pod, resolver, lastStatus);
    await quiet();
  }

  async pass(ms: number, stepMs?: number): Promise<void> {
    await pass(this.clock, ms, stepMs);
  }

  /** Makes the runtime take its time over an operation, until the gate is opened. */
  hold(operation: Parameters<ScriptedRuntime['fault']>[0]): { open(): void } {
    const gate = Promise.withResolvers<void>();
    this.runtime.fault = (asked) => (asked === operation ? gate.promise : undefined);
    return {
      open: () => {
        this.runtime.fault = () => {};
        gate.resolve();
      },
    };
  }

  /** The newest report of a pod. */
  report(pod: Pod): PodReport {
    const report = this.reports.get(pod.metadata.uid)?.at(-1);
    if (report === undefined) throw new Error(`no report of ${pod.metadata.name}`);
    return report;
  }

  container(pod: Pod, name: string): ContainerReport {
    const found = this.report(pod).containers.find((c) => c.name === name);
    if (found === undefined) throw new Error(`no container ${name}`);
    return found;
  }

  async stop(): Promise<void> {
    this.#watching.abort();
    await this.engine.close();
    await quiet();
  }

  async dispose(): Promise<void> {
    await this.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}
