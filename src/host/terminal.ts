import { spawn } from 'node:child_process';
import { chownSync, existsSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';

import type * as NodePtyModule from '@lydell/node-pty';

import { closingCommand, restoringCommand } from './descriptors.ts';
import { commandFor, type Launch, userOptions } from './launch.ts';
import { listProcesses, type ProcessIdentity } from './process-table.ts';
import { exitCodeOf } from './signals.ts';

/** Columns and rows. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export interface Terminal {
  /** The process that leads the session on the terminal, or the one that holds the terminal for it. */
  readonly pid: number;
  readonly exited: Promise<{ readonly exitCode: number }>;
  readonly output: Readable;
  readonly input: Writable;
  resize(size: TerminalSize): void;
  /** The process that a signal is meant for, when it is not `pid`. */
  leader?(): Promise<ProcessIdentity | undefined>;
}

let opened = false;

/** True when a process started from now on would inherit the master of a terminal. */
export function terminalsWereOpened(): boolean {
  return opened;
}

/**
 * Starts `plan` as the leader of a new terminal's session: by node-pty when it is installed and its masters can be
 * kept from other processes, else by script(1).
 * @throws Error when this machine has neither.
 */
export async function openTerminal(plan: Launch, size: TerminalSize): Promise<Terminal> {
  const nodePty = closingCommand() === undefined ? undefined : await loadNodePty();
  return nodePty === undefined ? openByScript(plan, size) : openByNodePty(nodePty, plan, size);
}

type NodePty = typeof NodePtyModule;

/** Loaded with the first terminal: an optional native package. */
async function loadNodePty(): Promise<NodePty | undefined> {
  try {
    const loaded = (await import('@lydell/node-pty')) as NodePty & { default?: NodePty };
    return loaded.default ?? loaded;
  } catch {
    return undefined;
  }
}

function openByNodePty(nodePty: NodePty, plan: Launch, size: TerminalSize): Terminal {
  const [file, ...args] = commandFor(plan, true);
  opened = true;
  const pty = nodePty.spawn(file, args, {
    name: plan.env['TERM'] ?? 'xterm',
    cols: Math.max(1, size.width),
    rows: Math.max(1, size.height),
    cwd: plan.directory,
    env: { ...plan.env },
    encoding: null,
    ...userOptions(plan),
  });
  // Members that its type declarations leave out.
  const { ptsName, _socket: socket } = pty as unknown as { ptsName?: string; _socket?: Socket };
  if (plan.user !== undefined && ptsName !== undefined) chownSync(ptsName, plan.user.uid, plan.user.gid);
  const output = new Readable({ read: () => pty.resume() });
  pty.onData((chunk) => {
    if (!output.push(chunk)) pty.pause();
  });
  let ended = false;
  const exited = new Promise<{ exitCode: number }>((resolve) => {
    pty.onExit(({ exitCode, signal }) => {
      ended = true;
      output.push(null);
      resolve({ exitCode: exitCodeOf(exitCode, signal) });
    });
  });
  const input = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // The socket's own callback is the only back-pressure that there is.
      if (ended || socket === undefined || socket.destroyed) return done();
      socket.write(chunk, () => done());
    },
  });
  return {
    pid: pty.pid,
    exited,
    output,
    input,
    resize({ width, height }) {
      if (!ended && width > 0 && height > 0) pty.resize(width, height);
    },
  };
}

/**
 * The same by script(1) of util-linux, without native code.
 * @throws Error when it is missing.
 */
export function openByScript(plan: Launch, size: TerminalSize): Terminal {
  const script = ['/usr/bin/script', '/bin/script'].find((path) => existsSync(path));
  if (script === undefined || process.platform !== 'linux') {
    throw new Error(
      'a terminal needs the optional package @lydell/node-pty or script(1) of util-linux; this node has neither',
    );
  }
  const command = [...restoringCommand(plan.env, ['SHELL']), ...commandFor(plan, terminalsWereOpened())]
    .map(shellQuoted)
    .join(' ');
  const line = `stty cols ${Math.max(1, size.width)} rows ${Math.max(1, size.height)} 2>/dev/null; exec ${command}`;
  const child = spawn(script, ['-qfec', line, '/dev/null'], {
    cwd: plan.directory,
    env: { ...plan.env, SHELL: '/bin/sh' },
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  if (child.pid === undefined) throw new Error(`cannot start ${script}`);
  const pid = child.pid;
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const exited = new Promise<{ exitCode: number }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ exitCode: exitCodeOf(code, signal) }));
  });
  const input = new Writable({
    write(chunk: Buffer, _encoding, done) {
      child.stdin.write(chunk, () => done());
    },
    // script(1) types an end-of-file at the end of its input, where a terminal would just fall silent.
    final: (done) => done(),
  });
  return {
    pid,
    exited,
    output: child.stdout,
    input,
    resize: (next) => void resizeByStty(pid, next),
    leader: () => leaderUnder(pid),
  };
}

/** `stty` on the terminal that a descendant of script(1) has as its input. */
async function resizeByStty(holder: number, size: TerminalSize): Promise<void> {
  const leader = await leaderUnder(holder);
  if (leader === undefined) return;
  try {
    const device = readlinkSync(`/proc/${leader.pid}/fd/0`);
    const args = ['-F', device, 'cols', String(size.width), 'rows', String(size.height)];
    spawn('/usr/bin/stty', args, { stdio: 'ignore', env: {} }).on('error', () => {});
  } catch {
    // It has ended, or has closed its input.
  }
}

async function leaderUnder(holder: number): Promise<ProcessIdentity | undefined> {
  return (await listProcesses()).find((entry) => entry.parent === holder && !entry.zombie);
}

function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
