import { constants } from 'node:os';

import { type ProcessIdentity, readProcess } from './process-table.ts';

/** First real-time signal as the C library counts them: the kernel's first two belong to its threads. */
const firstRealTime = 34;
const lastRealTime = 64;

/**
 * The number of a signal named as Kubernetes and Dockerfiles name them: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`.
 * `undefined` when this platform has no such signal.
 */
export function signalNumber(name: string): number | undefined {
  if (/^\d+$/.test(name)) return Number(name) >= 1 && Number(name) <= lastRealTime ? Number(name) : undefined;
  const full = name.toUpperCase().replace(/^(?!SIG)/, 'SIG');
  const realTime = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(full);
  if (realTime !== null && process.platform === 'linux') {
    const offset = Number(realTime[3] ?? 0) * (realTime[2] === '-' ? -1 : 1);
    const number = (realTime[1] === 'MIN' ? firstRealTime : lastRealTime) + offset;
    return number >= firstRealTime && number <= lastRealTime ? number : undefined;
  }
  return (constants.signals as Readonly<Record<string, number>>)[full];
}

/**
 * Sends a signal to exactly this process; false when it does not run any more. The start time is read right before:
 * a number that another process has got meanwhile is left alone.
 */
export function signalProcess(target: ProcessIdentity, signal: number): boolean {
  const found = readProcess(target.pid);
  if (found === undefined || found.zombie || found.startTime !== target.startTime) return false;
  try {
    process.kill(target.pid, signal);
    return true;
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw err;
  }
}

/** The exit code that a shell and every container runtime make of an end: the code, or 128 + the signal. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | number | null | undefined): number {
  if (signal !== null && signal !== undefined && signal !== 0) {
    return 128 + (typeof signal === 'number' ? signal : constants.signals[signal]);
  }
  return code ?? 0;
}
