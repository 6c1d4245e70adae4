import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A process and the moment it began: the pair is never used twice while the machine runs. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque but ordered within one boot: clock ticks since boot on Linux, milliseconds since the epoch elsewhere. */
  readonly startTime: number;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parent: number;
  /** Session ID on Linux; elsewhere the process group, which the leader of a session shares with it. */
  readonly session: number;
  /** Ended but not yet waited for: it runs no code. */
  readonly zombie: boolean;
  /** Nanoseconds of CPU time, its own and that of its children that have ended and been waited for. Linux only. */
  readonly cpu?: { readonly own: number; readonly children: number };
}

/** What `/proc` counts CPU time in: `USER_HZ` is 100 on every architecture that Node.js runs on. */
export const clockTickNs = 10_000_000;

const hasProc = process.platform === 'linux';

/** How many processes are read in one turn of the event loop; about a millisecond. */
const turnLength = 24;

/** Every process of the machine that may be looked at. Yields to the event loop as it reads. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  if (!hasProc) return parsePs((await promisify(execFile)('ps', [...psArguments, '-A'], psOptions)).stdout);
  const entries: ProcessEntry[] = [];
  let read = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    if (++read % turnLength === 0) await nextTurn();
    const entry = readStat(Number(name));
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

/** One process, or `undefined` when there is none of that ID. */
export function readProcess(pid: number): ProcessEntry | undefined {
  if (hasProc) return readStat(pid);
  try {
    return parsePs(execFileSync('ps', [...psArguments, '-p', String(pid)], { encoding: 'utf8', ...psOptions }))[0];
  } catch {
    return undefined;
  }
}

/** True while exactly this process runs: not another that has got its number, not a zombie. */
export function isRunning(identity: ProcessIdentity): boolean {
  const entry = readProcess(identity.pid);
  return entry !== undefined && !entry.zombie && entry.startTime === identity.startTime;
}

/**
 * A variable of the environment that a process was started with, or `undefined` when it has none, may not be
 * looked at, or the platform does not tell.
 */
export function environmentValue(pid: number, name: string): string | undefined {
  if (!hasProc) return undefined;
  let environ: Buffer;
  try {
    environ = readFileSync(`/proc/${pid}/environ`);
  } catch {
    return undefined;
  }
  const key = Buffer.from(`${name}=`);
  for (let at = environ.indexOf(key); at >= 0; at = environ.indexOf(key, at + 1)) {
    if (at > 0 && environ[at - 1] !== 0) continue;
    const end = environ.indexOf(0, at);
    return environ.toString('utf8', at + key.length, end < 0 ? environ.length : end);
  }
  return undefined;
}

/** What one process holds, or `undefined` when there is none of that ID or the platform does not tell. */
export interface ProcessMemory {
  /** All that is resident, what it shares with other processes included. */
  readonly residentBytes: number;
  /** Of it, what is no file's and not shared memory. */
  readonly anonymousBytes: number;
  readonly swapBytes: number;
  readonly threads: number;
}

export function processMemory(pid: number): ProcessMemory | undefined {
  try {
    return parseStatus(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** `/proc/<pid>/status`; a process that has ended has no memory in it. */
export function parseStatus(status: string): ProcessMemory | undefined {
  const value = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? Number.NaN);
  const resident = value('VmRSS');
  if (Number.isNaN(resident)) return undefined;
  return {
    residentBytes: resident * 1024,
    anonymousBytes: (value('RssAnon') || 0) * 1024,
    swapBytes: (value('VmSwap') || 0) * 1024,
    threads: value('Threads') || 1,
  };
}

/** Nanoseconds that the main thread of a process has run: finer than ticks, where the kernel keeps it. */
export function mainThreadTime(pid: number): number | undefined {
  try {
    return Number.parseInt(readFileSync(`/proc/${pid}/schedstat`, 'latin1'), 10) || undefined;
  } catch {
    return undefined;
  }
}

function readStat(pid: number): ProcessEntry | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** A line of `/proc/<pid>/stat`; see proc(5). The second field may itself hold spaces and parentheses. */
export function parseStat(line: string): ProcessEntry | undefined {
  const end = line.lastIndexOf(')');
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(end + 2).split(' ');
  const [state, parent, , session] = fields;
  const startTime = fields[19];
  if (end < 0 || startTime === undefined || Number.isNaN(pid)) return undefined;
  const zombie = state === 'Z' || state === 'X';
  const ticks = (field: number) => Number(fields[field]) * clockTickNs;
  return {
    pid,
    parent: Number(parent),
    session: Number(session),
    startTime: Number(startTime),
    zombie,
    cpu: { own: ticks(11) + ticks(12), children: ticks(13) + ticks(14) },
  };
}

const psArguments = ['-o', 'pid=,ppid=,pgid=,stat=,lstart='];
const psOptions = { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' } } as const;

/** The output of `ps -o pid=,ppid=,pgid=,stat=,lstart=`, for systems without `/proc`. */
export function parsePs(output: string): ProcessEntry[] {
  return output.split('\n').flatMap((line) => {
    const fields = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line);
    if (fields === null) return [];
    const [, pid, parent, group, state, started] = fields;
    const startTime = Date.parse(`${started} UTC`);
    return [
      {
        pid: Number(pid),
        parent: Number(parent),
        session: Number(group),
        startTime,
        zombie: state?.startsWith('Z') === true,
      },
    ];
  });
}
