/**
 * A queue that keeps only the newest value of each key: what a slow reader missed is what nobody needs any more.
 * Memory is bounded by the number of keys. One reader.
 */
export class LatestQueue<K, V> {
  readonly #values = new Map<K, V>();
  #wake: (() => void) | undefined;

  /** Puts `value` where an unread value of the same key stands, else at the end. */
  put(key: K, value: V): void {
    this.#values.set(key, value);
    this.#wake?.();
  }

  get size(): number {
    return this.#values.size;
  }

  /** Yields values as they come, until the signal aborts. */
  async *read(signal: AbortSignal): AsyncGenerator<V, void, undefined> {
    const wakeUp = () => this.#wake?.();
    signal.addEventListener('abort', wakeUp, { once: true });
    try {
      while (!signal.aborted) {
        for (const [key, value] of this.#values) {
          this.#values.delete(key);
          yield value;
          if (signal.aborted) return;
        }
        if (this.#values.size > 0) continue;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (this.#values.size > 0 || signal.aborted) resolve();
        });
        this.#wake = undefined;
      }
    } finally {
      signal.removeEventListener('abort', wakeUp);
    }
  }
}
