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
}

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
  return { pid, parent: Number(parent), session: Number(session), startTime: Number(startTime), zombie };
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
