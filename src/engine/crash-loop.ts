/**
 * CrashLoopBackOff: how long after an exit a container may start again.
 *
 * The first restart is immediate, then 10 s, doubling to 5 min, counted from the exit; a run of ten minutes starts
 * over. Follows client-go util/flowcontrol/backoff.go and pkg/kubelet/kuberuntime `doBackOff`.
 */
export interface CrashLoop {
  /** Delay that the next exit must wait out; undefined before the first restart. */
  readonly delayMs: number;
  /** When that delay was set. */
  readonly setAt: number;
}

export const initialDelayMs = 10_000;
export const longestDelayMs = 300_000;
const forgetAfterMs = 600_000;

/** When a container that ended at `finishedAt` may start; `finishedAt` or earlier means now. */
export function startsAt(loop: CrashLoop | undefined, finishedAt: number): number {
  if (loop === undefined || isForgotten(loop, finishedAt)) return finishedAt;
  return finishedAt + loop.delayMs;
}

/** The step taken when a container that ended at `finishedAt` is started again. */
export function nextStep(loop: CrashLoop | undefined, finishedAt: number, now: number): CrashLoop {
  const delayMs =
    loop === undefined || isForgotten(loop, finishedAt) ? initialDelayMs : Math.min(loop.delayMs * 2, longestDelayMs);
  return { delayMs, setAt: now };
}

function isForgotten(loop: CrashLoop, finishedAt: number): boolean {
  return finishedAt - loop.setAt > forgetAfterMs;
}

const annotation = 'io.anylet.container.crash-loop';

/** The step as a container record keeps it, so that a restarted daemon goes on where it was. */
export function crashLoopAnnotation(loop: CrashLoop): Record<string, string> {
  return { [annotation]: `${loop.delayMs}@${Math.round(loop.setAt)}` };
}

export function crashLoopOf(annotations: Readonly<Record<string, string>>): CrashLoop | undefined {
  const match = /^(\d+)@(\d+)$/.exec(annotations[annotation] ?? '');
  return match === null ? undefined : { delayMs: Number(match[1]), setAt: Number(match[2]) };
}

/** `10s`, `1m20s`, `5m0s`: a Go duration of whole seconds. */
export function goSeconds(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
