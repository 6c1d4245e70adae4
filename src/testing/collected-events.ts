/** What a provider's or runtime's `watch` has said so far, with a way to wait for more. */
export class CollectedEvents<E> {
  readonly #events: E[] = [];
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #wake: (() => void)[] = [];
  #failure: unknown;

  constructor(watch: (signal: AbortSignal) => AsyncIterable<E>) {
    this.#ended = this.#read(watch(this.#stop.signal));
  }

  get all(): readonly E[] {
    return this.#events;
  }

  /** The first event that `matches`, from now or from before; rejects after `timeoutMs` with what `awaited` says. */
  async first<T extends E>(awaited: string, matches: (event: E) => event is T, timeoutMs?: number): Promise<T>;
  async first(awaited: string, matches: (event: E) => boolean, timeoutMs?: number): Promise<E>;
  async first(awaited: string, matches: (event: E) => boolean, timeoutMs = 10_000): Promise<E> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = this.#events.find(matches);
      if (found !== undefined) return found;
      if (this.#failure !== undefined)
        throw new Error(`watch ended before it said ${awaited}`, { cause: this.#failure });
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`watch did not say ${awaited} within ${timeoutMs} ms`);
      await this.#change(leftMs);
    }
  }

  /** Ends the watch; resolves when its iterator has ended. */
  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('the test is over', 'AbortError'));
    await this.#ended;
  }

  async #read(events: AsyncIterable<E>): Promise<void> {
    try {
      for await (const event of events) {
        this.#events.push(event);
        this.#notify();
      }
      this.#failure = new Error('it ended by itself');
    } catch (err) {
      this.#failure = err;
    }
    this.#notify();
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
