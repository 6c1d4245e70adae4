import { isAbort, messageOf } from './errors.ts';
import type { Logger } from './logger.ts';

/**
 * Background work with an owner: what it starts is logged when it fails, and awaited when its owner stops.
 * There is no other way to leave a promise unawaited in this code base.
 */
export class Tasks {
  readonly #log: Logger;
  readonly #running = new Set<Promise<void>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Starts `fn` now; a rejection is logged under `name` (an abort is not). */
  run(name: string, fn: () => Promise<unknown>): void {
    const task = (async () => {
      try {
        await fn();
      } catch (err) {
        if (!isAbort(err))
          this.#log.error('background task failed', { task: name, err: messageOf(err), stack: (err as Error).stack });
      }
    })();
    this.#running.add(task);
    void task.finally(() => this.#running.delete(task));
  }

  get size(): number {
    return this.#running.size;
  }

  /** Resolves when everything that runs now, and everything it starts meanwhile, has ended. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
