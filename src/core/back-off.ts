import type { Clock } from './clock.ts';

export interface BackOffOptions {
  /** First delay. Default 800 ms. */
  readonly initialMs?: number;
  /** Ceiling. Default 30 s. */
  readonly maxMs?: number;
  /** Growth per failure. Default 2. */
  readonly factor?: number;
  /** Health of this length makes the next failure the first again. Default 2 min. */
  readonly resetAfterMs?: number;
  /** Share of the delay that is random, 0 to 1. Default 0.5. */
  readonly jitter?: number;
}

/** A jittered, growing delay for one loop. `next()` is called at each failure. */
export class BackOff {
  readonly #clock: Clock;
  readonly #options: Required<BackOffOptions>;
  #failures = 0;
  #lastFailure = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, options: BackOffOptions = {}) {
    this.#clock = clock;
    this.#options = { initialMs: 800, maxMs: 30_000, factor: 2, resetAfterMs: 120_000, jitter: 0.5, ...options };
  }

  /** The delay to wait after the failure that just happened. */
  next(): number {
    const { initialMs, maxMs, factor, resetAfterMs, jitter } = this.#options;
    const now = this.#clock.now();
    if (now - this.#lastFailure > resetAfterMs + Math.min(maxMs, initialMs * factor ** this.#failures))
      this.#failures = 0;
    const base = Math.min(maxMs, initialMs * factor ** this.#failures);
    this.#failures++;
    this.#lastFailure = now;
    return base * (1 - jitter / 2 + Math.random() * jitter);
  }

  reset(): void {
    this.#failures = 0;
  }
}
