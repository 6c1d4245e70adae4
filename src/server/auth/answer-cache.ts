import { LRUCache } from 'lru-cache';

import type { Clock } from '../../core/clock.ts';
import { timedOut, unavailable } from '../../core/errors.ts';

export interface AnswerCacheOptions {
  readonly clock: Clock;
  /** Answers kept at most; the least recently used goes first. */
  readonly maxEntries: number;
  /** How long one question may take before it counts as failed. */
  readonly timeoutMs: number;
  /** Questions that may be open at once; more fail. Default 32. */
  readonly maxOpen?: number;
}

/**
 * Answers of the API server, each kept for a time that depends on the answer. Equal questions that are open at the
 * same time are asked once. A failure to answer is never kept. The number of open questions is bounded, so that a stranger
 * with many wrong tokens cannot keep the rest of the node from the API server.
 */
export class AnswerCache<V extends object> {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #maxOpen: number;
  readonly #answers: LRUCache<string, V>;
  readonly #open = new Map<string, Promise<V>>();

  constructor({ clock, maxEntries, timeoutMs, maxOpen = 32 }: AnswerCacheOptions) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#maxOpen = maxOpen;
    // A resolution of 0 asks the given clock each time; the default keeps an own timer.
    this.#answers = new LRUCache({ max: maxEntries, ttl: 1, ttlResolution: 0, perf: { now: () => clock.now() } });
  }

  /** The kept answer, else what `ask` answers now. `ttlMs` says for how long that is good; 0 is not kept. */
  get(key: string, ask: (signal: AbortSignal) => Promise<V>, ttlMs: (answer: V) => number): Promise<V> {
    const kept = this.#answers.get(key);
    if (kept !== undefined) return Promise.resolve(kept);
    let open = this.#open.get(key);
    if (open === undefined) {
      if (this.#open.size >= this.#maxOpen)
        return Promise.reject(unavailable('too many questions to the API server are open'));
      open = this.#ask(ask)
        .then((answer) => {
          const ttl = ttlMs(answer);
          if (ttl > 0) this.#answers.set(key, answer, { ttl });
          return answer;
        })
        .finally(() => this.#open.delete(key));
      this.#open.set(key, open);
    }
    return open;
  }

  async #ask(ask: (signal: AbortSignal) => Promise<V>): Promise<V> {
    const timeout = new AbortController();
    const expired = Promise.withResolvers<never>();
    const cancel = this.#clock.after(this.#timeoutMs, () => {
      const reason = timedOut(`no answer from the API server within ${this.#timeoutMs} ms`);
      timeout.abort(reason);
      expired.reject(reason);
    });
    try {
      return await Promise.race([ask(timeout.signal), expired.promise]);
    } finally {
      cancel();
    }
  }
}
