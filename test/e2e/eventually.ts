import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves with the first answer that is neither undefined nor false. For what sends no event (files, processes,
 * another program's log); what the API server knows is waited for by `ObjectWatch`.
 */
export async function eventually<R>(
  probe: () => R | undefined | false | Promise<R | undefined | false>,
  what: string,
  timeoutMs = 30_000,
): Promise<R> {
  for (const deadline = performance.now() + timeoutMs; ; await delay(20)) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s for ${what}`);
  }
}
