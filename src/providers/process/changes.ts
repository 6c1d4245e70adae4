import type { RuntimeEvent } from '../contract.ts';

/**
 * Changes on their way to one watcher. Of several changes of one sandbox or container only the newest is kept, so
 * a slow watcher costs no more memory than there are containers.
 */
export class Changes {
  readonly #waiting = new Map<string, RuntimeEvent>();
  #wake: (() => void) | undefined;

  push(event: RuntimeEvent): void {
    const key = keyOf(event);
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
    this.#wake?.();
  }

  /** All that comes, until the signal aborts; an abort ends it quietly. */
  async *read(signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
    const wake = () => this.#wake?.();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        const [first] = this.#waiting;
        if (first === undefined) {
          await new Promise<void>((resolve) => (this.#wake = resolve));
          continue;
        }
        this.#waiting.delete(first[0]);
        yield first[1];
      }
    } finally {
      signal.removeEventListener('abort', wake);
    }
  }
}

function keyOf(event: RuntimeEvent): string {
  switch (event.type) {
    case 'sandbox':
      return `sandbox/${event.sandbox.id}`;
    case 'sandboxRemoved':
      return `sandbox/${event.id}`;
    case 'container':
      return `container/${event.container.id}`;
    case 'containerRemoved':
      return `container/${event.id}`;
    case 'synced':
      return 'synced';
  }
}
