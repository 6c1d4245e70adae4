import type { Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';

const firstDelayMs = 5;
const longestDelayMs = 30_000;

/**
 * What a controller has to look at, by key (`namespace/name`). A key that is added many times is worked on once; one
 * whose work fails comes back after a growing delay. Work is synchronous and never runs inside the write that caused
 * it: one key per turn of the event loop, so that requests are answered in between. Follows
 * k8s.io/client-go/util/workqueue, whose parallel workers a single process does not need.
 */
export class WorkQueue {
  readonly #name: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #work: (key: string) => void;
  readonly #ready = new Set<string>();
  readonly #later = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  readonly #failures = new Map<string, number>();
  #planned: NodeJS.Immediate | undefined;
  #stopped = false;

  /** `name` is for log lines; `work` brings the object of a key closer to what it should be. */
  constructor(name: string, clock: Clock, log: Logger, work: (key: string) => void) {
    this.#name = name;
    this.#clock = clock;
    this.#log = log;
    this.#work = work;
  }

  add(key: string): void {
    if (this.#stopped) return;
    this.#ready.add(key);
    this.#planned ??= setImmediate(() => this.#next());
  }

  /** Adds the key when `ms` have passed, unless it is due earlier anyway. */
  addAfter(key: string, ms: number): void {
    if (this.#stopped) return;
    if (ms <= 0) return this.add(key);
    const at = this.#clock.now() + ms;
    const waiting = this.#later.get(key);
    if (waiting !== undefined && waiting.at <= at) return;
    waiting?.cancel();
    const cancel = this.#clock.after(ms, () => {
      this.#later.delete(key);
      // A timer's delay has a limit; what lies beyond it takes several.
      const rest = at - this.#clock.now();
      if (rest > 1000) this.addAfter(key, rest);
      else this.add(key);
    });
    this.#later.set(key, { at, cancel });
  }

  /** Forgets everything; nothing is worked on any more. Idempotent. */
  stop(): void {
    this.#stopped = true;
    for (const { cancel } of this.#later.values()) cancel();
    this.#later.clear();
    this.#ready.clear();
    this.#failures.clear();
    if (this.#planned !== undefined) clearImmediate(this.#planned);
  }

  #next(): void {
    this.#planned = undefined;
    const [key] = this.#ready;
    if (key === undefined) return;
    this.#ready.delete(key);
    try {
      this.#work(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, error);
    }
    if (this.#ready.size > 0 && !this.#stopped) this.#planned ??= setImmediate(() => this.#next());
  }

  #retry(key: string, error: unknown): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#log.debug('controller will try again', { controller: this.#name, key, failures, err: messageOf(error) });
    this.addAfter(key, Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(failures, 20)));
  }
}
