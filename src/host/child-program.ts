import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { unavailable } from '../core/errors.ts';
import { commandFor } from './launch.ts';

export interface ChildProgramOptions {
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment; must hold PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  /** Gets its output and errors, appended. */
  readonly logFile: string;
}

/** A program that works for us while we run. */
export interface ChildProgram {
  readonly pid: number;
  /** Resolves when it has ended, with how: `exit code 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** The end of its log. */
  logTail(lines?: number): string;
  /** SIGTERM, SIGKILL after the deadline; resolves when it is gone. Idempotent. */
  stop(deadlineMs: number): Promise<void>;
}

/**
 * Starts a program; does not wait until it serves. A terminal's Ctrl-C does not reach it, for it has a session of its
 * own; where `setpriv` is found the kernel kills it when we die.
 *
 * @throws Unavailable when it cannot be started
 */
export async function startChildProgram(options: ChildProgramOptions): Promise<ChildProgram> {
  const { file, args, env, directory, logFile } = options;
  const log = openSync(logFile, 'a', 0o600);
  const [command, ...rest] = commandFor({ argv: [file, ...args], env, directory }, false);
  const child = spawn(command, rest, { cwd: directory, env, detached: true, stdio: ['ignore', log, log] });
  try {
    await once(child, 'spawn');
  } catch (err) {
    throw unavailable(`${basename(file)} cannot be started: ${(err as Error).message}`, err);
  } finally {
    closeSync(log);
  }
  const ended = once(child, 'exit').then(([code, signal]) => (signal as string | null) ?? `exit code ${String(code)}`);
  return {
    pid: child.pid as number,
    ended,
    logTail: (lines = 10) => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n'),
    async stop(deadlineMs) {
      const gone = new AbortController();
      child.kill('SIGTERM');
      const killed = delay(deadlineMs, undefined, { signal: gone.signal }).then(
        () => child.kill('SIGKILL'),
        () => false,
      );
      await ended;
      gone.abort();
      await killed;
    },
  };
}
