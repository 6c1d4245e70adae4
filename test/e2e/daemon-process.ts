import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { eventually } from './eventually.ts';

/** The program as a checkout starts it. */
export const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface DaemonOptions {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another copy of `src/main.ts`. */
  readonly program?: string;
}

/** `anylet` as a child process, and what it says. */
export class DaemonProcess {
  readonly log: LogLine[] = [];
  readonly startedAt = Date.now();
  readonly exited: Promise<Ended>;
  readonly #child: ChildProcess;
  #stdout = '';
  #stderr = '';
  #ended: Ended | undefined;

  constructor({ args, env = {}, program: file = program }: DaemonOptions) {
    this.#child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file, ...args], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    createInterface(this.#child.stdout!).on('line', (line) => this.#take(line));
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => (this.#stderr += text));
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#ended = { code, signal };
        resolve(this.#ended);
      });
    });
    // A run that is broken off must not leave it behind.
    const kill = () => void this.#child.kill('SIGKILL');
    process.once('exit', kill);
    void this.exited.then(() => process.off('exit', kill));
  }

  #take(line: string): void {
    this.#stdout += `${line}\n`;
    if (line.startsWith('{')) this.log.push(JSON.parse(line) as LogLine);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get isRunning(): boolean {
    return this.#ended === undefined;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  said(message: string | RegExp): LogLine | undefined {
    return this.log.find(({ msg }) => (typeof message === 'string' ? msg === message : message.test(msg)));
  }

  /** Resolves with the first line of its log that says this. @throws Error when it ends before. */
  untilSaid(message: string | RegExp): Promise<LogLine> {
    return eventually(() => {
      const line = this.said(message);
      if (line === undefined && this.#ended !== undefined)
        throw new Error(`the daemon ended (${JSON.stringify(this.#ended)}) before it said ${message}: ${this.words}`);
      return line;
    }, `the daemon to say ${message}`);
  }

  /** Resolves with the port of its kubelet API. */
  async ready(): Promise<number> {
    return (await this.untilSaid('node is ready'))['port'] as number;
  }

  /** Everything it has said, for messages. */
  get words(): string {
    return `${this.#stderr}${this.#stdout}`.slice(-4000);
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Ends it by a signal; resolves with how it ended. */
  async stop(name: NodeJS.Signals = 'SIGTERM'): Promise<Ended> {
    this.signal(name);
    return await this.exited;
  }
}

/**
 * An empty directory of its own under the system's temporary one, whose path is short enough for sockets. Made when it
 * is first asked for, so that a suite that is skipped leaves none.
 */
export class ScratchDirectory {
  #path: string | undefined;

  get path(): string {
    if (this.#path === undefined) {
      this.#path = mkdtempSync(join(tmpdir(), 'anylet-e2e-'));
      // A container under another user has to pass.
      chmodSync(this.#path, 0o711);
    }
    return this.#path;
  }

  file(...names: string[]): string {
    return join(this.path, ...names);
  }

  async remove(): Promise<void> {
    if (this.#path !== undefined) await rm(this.#path, { recursive: true, force: true });
  }
}
