import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

import { commandFor, type Launch, userOptions } from './launch.ts';
import type { NamedPipes, ProcessPipe } from './named-pipes.ts';
import { type ProcessIdentity, readProcess } from './process-table.ts';
import { exitCodeOf, signalProcess } from './signals.ts';
import { openTerminal, type TerminalSize, terminalsWereOpened } from './terminal.ts';

export interface LaunchStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
}

/** A process that was started and has a session of its own. */
export interface LaunchedProcess {
  readonly identity: ProcessIdentity;
  /** Resolves once, with 128 + N after signal N; the streams may still hold bytes then. */
  readonly exited: Promise<{ readonly exitCode: number }>;
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** Sends a signal to the process unless it has ended. With script(1) in the way, to what that runs. */
  signal(number: number): Promise<void>;
  /** Only with a terminal. */
  resize?(size: TerminalSize): void;
}

/**
 * Starts a process with its own session and the descriptors 0, 1 and 2, those not wanted being /dev/null.
 * @throws Error when the kernel refuses.
 */
export async function launch(plan: Launch, wanted: LaunchStreams, pipes: NamedPipes): Promise<LaunchedProcess> {
  const stdin = wanted.stdin ? pipes.forInput(plan.user) : undefined;
  const stdout = wanted.stdout ? pipes.forOutput(plan.user) : undefined;
  const stderr = wanted.stderr ? pipes.forOutput(plan.user) : undefined;
  const opened = [stdin, stdout, stderr].filter((pipe) => pipe !== undefined);
  const [file, ...args] = commandFor(plan, terminalsWereOpened());
  const child = spawn(file, args, {
    cwd: plan.directory,
    env: plan.env,
    detached: true,
    stdio: [stdin?.fd ?? 'ignore', stdout?.fd ?? 'ignore', stderr?.fd ?? 'ignore'],
    ...userOptions(plan),
  });
  for (const pipe of opened) closeSync(pipe.fd);
  const exited = new Promise<{ exitCode: number }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ exitCode: exitCodeOf(code, signal) }));
  });
  const { pid } = child;
  if (pid === undefined) {
    discard(opened);
    throw await new Promise<Error>((resolve) => child.once('error', resolve));
  }
  child.on('error', () => {}); // Of a later kill; the caller signals by itself.
  const identity = identityOf(pid);
  return {
    identity,
    exited,
    signal: async (number) => void signalProcess(identity, number),
    ...(stdin && { stdin: stdin.stream }),
    ...(stdout && { stdout: stdout.stream }),
    ...(stderr && { stderr: stderr.stream }),
  };
}

/** Starts a process on a terminal of its own; its output is one stream. */
export async function launchOnTerminal(plan: Launch, size: TerminalSize): Promise<LaunchedProcess> {
  const terminal = await openTerminal(plan, size);
  const identity = identityOf(terminal.pid);
  return {
    identity,
    exited: terminal.exited,
    async signal(number) {
      const target = (await terminal.leader?.()) ?? identity;
      signalProcess(target, number);
    },
    stdin: terminal.input,
    stdout: terminal.output,
    resize: (next) => terminal.resize(next),
  };
}

/** Read before our event loop can have waited for the process, so the number is still its own. */
function identityOf(pid: number): ProcessIdentity {
  return { pid, startTime: readProcess(pid)?.startTime ?? 0 };
}

function discard(pipes: readonly ProcessPipe[]): void {
  for (const { stream } of pipes) stream.destroy();
}
