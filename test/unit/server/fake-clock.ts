import type { Clock } from '../../../src/core/clock.ts';

/** A clock that stands still until it is told to go on. */
export class FakeClock implements Clock {
  #now = Date.parse('2026-01-01T00:00:00Z');
  readonly #due = new Set<{ at: number; fn: () => void }>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        reject(signal.reason as Error);
      });
    });
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + ms, fn };
    this.#due.add(timer);
    return () => this.#due.delete(timer);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#due].filter(({ at }) => at <= this.#now)) {
      this.#due.delete(timer);
      timer.fn();
    }
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.#due.size;
  }
}
