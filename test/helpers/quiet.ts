import type { FakeClock } from '../../src/testing/index.ts';

/**
 * Resolves when all that can happen without time passing has happened: promises, immediates, and file operations,
 * which take real time that no injected clock knows of.
 */
export async function quiet(): Promise<void> {
  for (let idleTurns = 0; idleTurns < 6;) {
    await new Promise<void>((resolve) => setImmediate(resolve));
    idleTurns = process.getActiveResourcesInfo().some((type) => /^(FSReq|FileHandle)/.test(type)) ? 0 : idleTurns + 1;
  }
}

/** Lets `ms` pass in small steps, each only when everything before it has happened. */
export async function pass(clock: FakeClock, ms: number, stepMs = 100): Promise<void> {
  await quiet();
  for (let left = ms; left > 0; left -= stepMs) {
    await clock.advance(Math.min(stepMs, left));
    await quiet();
  }
}
