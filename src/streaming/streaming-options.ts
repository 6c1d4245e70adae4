import { systemClock } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { silentLogger } from '../core/logger.ts';
import type { Logger } from '../core/logger.ts';

/** What every kind of streaming request can be served with. */
export interface StreamingOptions {
  /** The connection is closed when nothing came or went for this long. Default 4 h. */
  readonly idleTimeoutMs?: number;
  /** How long a SPDY client may take to create the streams that belong together. Default 30 s. */
  readonly creationTimeoutMs?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
  /** Aborting it closes the connection in order: the pod is gone, the server stops. */
  readonly signal?: AbortSignal;
}

export interface StreamingSettings {
  readonly idleTimeoutMs: number;
  readonly creationTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kubelet's defaults (`streamingConnectionIdleTimeout`, `remotecommand.DefaultStreamCreationTimeout`). */
export function streamingSettings(options: StreamingOptions): StreamingSettings {
  return {
    idleTimeoutMs: options.idleTimeoutMs ?? 4 * 60 * 60 * 1000,
    creationTimeoutMs: options.creationTimeoutMs ?? 30_000,
    clock: options.clock ?? systemClock,
    log: options.log ?? silentLogger,
  };
}

/** Calls `stop` with the reason when the signal aborts, at once when it has; the returned function forgets it. */
export function onAbort(signal: AbortSignal | undefined, stop: (reason: Error) => void): () => void {
  const aborted = () => stop(signal?.reason as Error);
  if (signal?.aborted === true) aborted();
  signal?.addEventListener('abort', aborted, { once: true });
  return () => signal?.removeEventListener('abort', aborted);
}
