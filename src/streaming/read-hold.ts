import type { Clock } from '../core/clock.ts';

/** What is read, and can be held back. */
export interface HeldReading {
  pause(): void;
  resume(): void;
  /** Writes something to which the peer answers. */
  probe(): void;
}

/** How often a connection that is not read asks whether its peer is still there. */
const probePeriodMs = 2_000;

/**
 * Back-pressure from many consumers to one connection: it is read while nobody holds it back. A connection that is
 * not read does not notice that its peer has left; writing to it does, so meanwhile it is probed.
 */
export class ReadHold {
  readonly #clock: Clock;
  readonly #reading: HeldReading;
  readonly #holders = new Set<unknown>();
  #cancelProbe = () => {};

  constructor(clock: Clock, reading: HeldReading) {
    this.#clock = clock;
    this.#reading = reading;
  }

  /** The holder's consumer is full: nothing more is read before {@link release}. */
  hold(holder: unknown): void {
    if (this.#holders.size === 0) {
      this.#reading.pause();
      this.#probeLater();
    }
    this.#holders.add(holder);
  }

  release(holder: unknown): void {
    if (!this.#holders.delete(holder) || this.#holders.size > 0) return;
    this.#cancelProbe();
    this.#reading.resume();
  }

  /** Forgets all holders and probes no more; whether the connection is read is now its owner's business. */
  stop(): void {
    this.#holders.clear();
    this.#cancelProbe();
  }

  #probeLater(): void {
    this.#cancelProbe = this.#clock.after(probePeriodMs, () => {
      this.#probeLater();
      this.#reading.probe();
    });
  }
}
