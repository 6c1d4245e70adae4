import { mkdirSync, rmSync } from 'node:fs';
import type { Writable } from 'node:stream';

import { conflict, messageOf } from '../../../core/errors.ts';
import { writeFileAtomic } from '../../../host/atomic-file.ts';
import { findProgram, type RunAs } from '../../../host/find-program.ts';
import { type LaunchedProcess, launch, launchOnTerminal } from '../../../host/launcher.ts';
import type { NamedPipes } from '../../../host/named-pipes.ts';
import { signalNumber } from '../../../host/signals.ts';
import type { TerminalSize } from '../../../host/terminal.ts';
import type { Owner, Sweeper } from '../belongings.ts';
import type { StateFiles } from '../files.ts';
import { prepareMountPoint, prepareWorkingDirectory } from '../mounts.ts';
import type { ContainerPlan, StoredContainer, StoredStatus } from '../protocol.ts';
import { containerWaiting } from '../../../podspec/container-waiting.ts';
import { ContainerOutput, type OutputListener } from './output.ts';

/** What a container needs of its shim. */
export interface ContainerSurroundings {
  readonly files: StateFiles;
  readonly pipes: NamedPipes;
  readonly sweeper: Sweeper;
  readonly bootID: string | undefined;
  /** The record on disk has changed. */
  changed(container: StoredContainer): void;
  log(message: string): void;
}

/** A terminal of this size until a client says another. */
const firstSize: TerminalSize = { width: 80, height: 24 };

const sigkill = signalNumber('SIGKILL') as number;

/** Longest delay that a Node.js timer takes without firing at once. */
const longestTimerMs = 2 ** 31 - 1;

interface Running {
  readonly process: LaunchedProcess;
  readonly output: ContainerOutput;
  readonly ended: Promise<void>;
}

/** One container: created → starting → running → exited, each step on disk before the next is taken. */
export class ShimContainer {
  readonly plan: ContainerPlan;
  readonly #around: ContainerSurroundings;
  #stored: StoredContainer;
  #starting: Promise<void> | undefined;
  #running: Running | undefined;
  #stdin: Writable | undefined;
  #killAt: { timer: NodeJS.Timeout; dueAt: number } | undefined;

  private constructor(stored: StoredContainer, plan: ContainerPlan, around: ContainerSurroundings) {
    this.#stored = stored;
    this.plan = plan;
    this.#around = around;
  }

  /** @throws ContainerWaiting when its folder cannot be made as the plan wants it. */
  static create(stored: StoredContainer, plan: ContainerPlan, around: ContainerSurroundings): ShimContainer {
    const container = new ShimContainer(stored, plan, around);
    const mountPoint = container.#mountPoint;
    prepareMountPoint(mountPoint, plan.mounts, plan.user);
    try {
      prepareWorkingDirectory(plan.directory, mountPoint, plan.user);
      container.#write(stored.status);
    } catch (err) {
      rmSync(mountPoint, { recursive: true, force: true });
      throw err;
    }
    return container;
  }

  get id(): string {
    return this.#stored.record.id;
  }

  get stored(): StoredContainer {
    return this.#stored;
  }

  /** A process of it runs, or may. */
  get live(): boolean {
    return this.#stored.status.state === 'starting' || this.#stored.status.state === 'running';
  }

  /** @throws ContainerWaiting `RunContainerError`; the container has then exited with 128. */
  start(): Promise<void> {
    if (this.#stored.status.state !== 'created') throw conflict(`container ${this.id} was started before`);
    this.#write({ state: 'starting', bootID: this.#around.bootID });
    this.#starting = this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    let output: ContainerOutput | undefined;
    try {
      // First the log: also of a start that fails there is one to be read, an empty one.
      output = await ContainerOutput.open(this.#stored.record.logPath, this.plan.logLimits, (err) =>
        this.#around.log(`container ${this.id}: log lines were lost: ${messageOf(err)}`),
      );
      this.#findProgram(this.plan.argv[0]);
      this.#begin(await this.#launch(), output);
    } catch (err) {
      await output?.discard();
      const message = `failed to start container "${this.#stored.record.name}": ${messageOf(err)}`;
      this.#write({
        state: 'exited',
        startedAt: 0,
        finishedAt: Date.now(),
        exitCode: 128,
        reason: 'StartError',
        message,
      });
      throw containerWaiting('RunContainerError', message, err);
    }
  }

  async #launch(): Promise<LaunchedProcess> {
    const { argv, env, directory, user, tty, stdin } = this.plan;
    const plan = { argv, env, directory, ...(user && { user }) };
    return tty
      ? await launchOnTerminal(plan, firstSize)
      : await launch(plan, { stdin, stdout: true, stderr: true }, this.#around.pipes);
  }

  #begin(process: LaunchedProcess, output: ContainerOutput): void {
    if (process.stdout !== undefined) output.add('stdout', process.stdout);
    if (process.stderr !== undefined) output.add('stderr', process.stderr);
    if (this.plan.stdin) {
      this.#stdin = process.stdin;
      process.stdin?.on('error', () => {}); // The process may close its input at any time.
    }
    const startedAt = Date.now();
    this.#write({ state: 'running', startedAt, process: process.identity, bootID: this.#around.bootID });
    this.#running = { process, output, ended: this.#supervise(process, output, startedAt) };
  }

  /** From the end of the main process to the record of it: as with PID 1 of a container, nothing outlives it. */
  async #supervise(process: LaunchedProcess, output: ContainerOutput, startedAt: number): Promise<void> {
    const { exitCode } = await process.exited;
    const finishedAt = Date.now();
    clearTimeout(this.#killAt?.timer);
    await this.#around.sweeper.kill(this.#owner);
    this.#stdin?.destroy();
    await output.close();
    this.#running = undefined;
    this.#write({ state: 'exited', startedAt, finishedAt, exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' });
  }

  /** Resolves when nothing of it runs; a second call with a shorter grace shortens the first. */
  async stop(graceSeconds: number): Promise<void> {
    await this.#starting?.catch(() => {});
    const running = this.#running;
    if (running === undefined) return;
    const graceMs = Math.min(graceSeconds * 1000, longestTimerMs);
    const dueAt = performance.now() + graceMs;
    const first = this.#killAt === undefined;
    if (this.#killAt === undefined || dueAt < this.#killAt.dueAt) {
      clearTimeout(this.#killAt?.timer);
      this.#killAt = { dueAt, timer: setTimeout(() => this.#kill(running), graceMs) };
    }
    if (first && graceSeconds > 0) await running.process.signal(this.plan.stopSignal);
    await running.ended;
  }

  #kill(running: Running): void {
    void running.process.signal(sigkill);
    void this.#around.sweeper.kill(this.#owner);
  }

  /** Kills what runs, then forgets the container; its log stays. */
  async remove(): Promise<void> {
    await this.stop(0);
    rmSync(this.#mountPoint, { recursive: true, force: true });
    rmSync(this.#around.files.container(this.id), { force: true });
  }

  /**
   * The process of an exec: as the main one, but for command and streams.
   * @throws Error in runc's words when the command cannot be started.
   */
  async exec(
    command: readonly string[],
    streams: { stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean },
  ): Promise<LaunchedProcess> {
    if (this.#running === undefined) throw conflict(`container ${this.id} is not running`);
    const [name = '', ...args] = command;
    this.#findProgram(name);
    const { directory, user } = this.plan;
    const env =
      streams.tty && this.plan.env['TERM'] === undefined ? { ...this.plan.env, TERM: 'xterm' } : this.plan.env;
    const plan = { argv: [name, ...args] as const, env, directory, ...(user && { user }) };
    return streams.tty ? await launchOnTerminal(plan, firstSize) : await launch(plan, streams, this.#around.pipes);
  }

  /** Joins the live streams. @throws CodedError `Conflict` when it does not run. */
  attach(listener: OutputListener): Attachment {
    const running = this.#running;
    if (running === undefined) throw conflict(`container ${this.id} is not running`);
    const stopListening = running.output.listen(listener);
    return {
      ended: running.ended,
      stdin: this.#stdin,
      resize: (size) => running.process.resize?.(size),
      endStdin: () => {
        if (!this.plan.stdinOnce || this.plan.tty) return;
        this.#stdin?.end();
        this.#stdin = undefined;
      },
      leave: stopListening,
    };
  }

  /** How it ended, once it has. */
  get exitCode(): number | undefined {
    return this.#stored.status.state === 'exited' ? this.#stored.status.exitCode : undefined;
  }

  #findProgram(name: string): void {
    const { env, directory, user } = this.plan;
    findProgram(name, { path: env['PATH'] ?? '', directory, user: user ?? ownUser() });
  }

  get #mountPoint(): string {
    return this.#around.files.mountPoint(this.id);
  }

  get #owner(): Owner {
    const main = this.#running?.process.identity;
    return { marker: this.#mountPoint, ...(main && { main }) };
  }

  #write(status: StoredStatus): void {
    this.#stored = { ...this.#stored, status };
    mkdirSync(this.#around.files.containers, { recursive: true, mode: 0o700 });
    writeFileAtomic(this.#around.files.container(this.id), JSON.stringify(this.#stored));
    this.#around.changed(this.#stored);
  }
}

/** A client that has joined a container's streams. */
export interface Attachment {
  /** The container has ended and its output is complete. */
  readonly ended: Promise<void>;
  readonly stdin: Writable | undefined;
  resize(size: TerminalSize): void;
  /** The client's stdin has ended; with `stdinOnce` so does the container's. */
  endStdin(): void;
  leave(): void;
}

function ownUser(): RunAs {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: process.getgroups?.() ?? [] };
}
