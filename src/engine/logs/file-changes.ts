import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';

import type { Clock } from '../../core/clock.ts';

/** A change may be missed, or the system may have no watches left: the file is looked at this often in any case. */
const recheckMs = 1_000;

/** Tells when a file may have changed: at once where the system can say so, within a second where it cannot. */
export class FileChanges {
  readonly #clock: Clock;
  #watcher: FSWatcher | undefined;
  /** True at first: what happened before the watch began was not seen. */
  #changed = true;
  #wake: (() => void) | undefined;

  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    try {
      // The folder, not the file: a file's watch stays with it when it is renamed.
      this.#watcher = watch(dirname(path), { persistent: false }, (_, name) => {
        if (name === null || name === basename(path)) this.notify();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      this.#watcher = undefined;
    }
  }

  /** Ends the present wait, or the next. */
  readonly notify = (): void => {
    this.#changed = true;
    this.#wake?.();
  };

  /** Resolves when the file may have changed since the last call. One caller at a time. */
  async wait(): Promise<void> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const cancel = this.#clock.after(recheckMs, resolve);
        this.#wake = () => {
          cancel();
          resolve();
        };
      });
      this.#wake = undefined;
    }
    this.#changed = false;
  }

  /** Idempotent. A wait in progress ends. */
  close(): void {
    this.#watcher?.close();
    this.notify();
  }
}
