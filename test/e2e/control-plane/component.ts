import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const STOP_DEADLINE_MS = 5_000;

/** What one component of the control plane is started with. */
export interface ComponentCommand {
  name: string;
  binary: string;
  args: readonly string[];
  logPath: string;
}

/**
 * One component as a process of its own. It ends when this process does,
 * however that happens: it watches the pipe that is its standard input.
 */
export class Component {
  readonly name: string;
  readonly logPath: string;
  readonly #command: ComponentCommand;
  #process: ChildProcess | undefined;

  constructor(command: ComponentCommand) {
    this.name = command.name;
    this.logPath = command.logPath;
    this.#command = command;
  }

  /** The process id while it runs. */
  get pid(): number | undefined {
    return this.#hasEnded() ? undefined : this.#process?.pid;
  }

  /** Starts the process, again after a `stop()`; does not wait until it serves. Appends to the log. */
  async start(): Promise<void> {
    if (this.pid !== undefined) return;
    const log = await open(this.logPath, 'a');
    try {
      this.#process = spawn(this.#command.binary, [this.name, ...this.#command.args], {
        // A process group of its own: Ctrl-C reaches the parent only, which then stops all in order.
        detached: true,
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ANYLET_EXIT_WITH_PARENT: '1' },
        stdio: ['pipe', log.fd, log.fd],
      });
      await once(this.#process, 'spawn');
    } finally {
      await log.close();
    }
  }

  /** SIGTERM, and SIGKILL after the deadline; resolves when the process is gone. */
  async stop(deadlineMs = STOP_DEADLINE_MS): Promise<void> {
    const child = this.#process;
    if (!child || this.#hasEnded()) return;
    const ended = once(child, 'exit');
    const timer = new AbortController();
    child.kill('SIGTERM');
    const killed = delay(deadlineMs, undefined, { signal: timer.signal }).then(
      () => child.kill('SIGKILL'),
      () => false,
    );
    await ended;
    timer.abort();
    await killed;
  }

  /** Throws with the end of the log when the process has ended. */
  async assertRunning(): Promise<void> {
    if (this.pid !== undefined) return;
    const how = this.#process?.signalCode ?? `exit code ${this.#process?.exitCode}`;
    throw new Error(`${this.name} ended (${how}):\n${await this.logTail()}`);
  }

  /** The last lines of the log. */
  async logTail(lines = 20): Promise<string> {
    const text = await readFile(this.logPath, 'utf8');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }

  #hasEnded(): boolean {
    return this.#process?.exitCode != null || this.#process?.signalCode != null;
  }
}
