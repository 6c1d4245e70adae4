import type { Clock } from '../core/clock.ts';

/** Calls `onIdle` once when nothing was seen for a time. Touching it is cheap enough for every chunk of bytes. */
export class IdleTimer {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onIdle: () => void;
  #seenAt: number;
  #cancel: () => void;

  constructor(clock: Clock, timeoutMs: number, onIdle: () => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onIdle = onIdle;
    this.#seenAt = clock.now();
    this.#cancel = clock.after(timeoutMs, () => this.#check());
  }

  touch(): void {
    this.#seenAt = this.#clock.now();
  }

  stop(): void {
    this.#cancel();
  }

  #check(): void {
    const leftMs = this.#seenAt + this.#timeoutMs - this.#clock.now();
    if (leftMs > 0) this.#cancel = this.#clock.after(leftMs, () => this.#check());
    else this.#onIdle();
  }
}
