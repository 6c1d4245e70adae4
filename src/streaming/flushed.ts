import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

/** Ends a stream unless that was done, and resolves when all that was written has gone out or cannot any more. */
export async function flushed(output: Writable | undefined): Promise<void> {
  if (output === undefined || output.destroyed) return;
  if (!output.writableEnded) output.end();
  // A peer that left takes the rest with it; the connection's signal has said so.
  await finished(output, { readable: false }).catch(() => {});
}
