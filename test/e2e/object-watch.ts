import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';

import { spawnKubectl } from './kubectl.ts';

interface Watched {
  readonly metadata?: { readonly name?: string; readonly uid?: string };
  readonly status?: unknown;
}

interface WatchLine<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

interface Waiter {
  look(): void;
}

/** How long a condition may take unless it is said otherwise. */
const deadlineMs = 30_000;

/**
 * What the API server shows of some objects, as it changes: the suites' only way to wait. It is kubectl that watches,
 * so any cluster and any credentials will do; when the API server goes away it asks again.
 */
export class ObjectWatch<T extends Watched> {
  readonly #path: string;
  readonly #kubeconfig: string | undefined;
  readonly #objects = new Map<string, T>();
  readonly #seen: T[] = [];
  readonly #gone: T[] = [];
  readonly #waiters = new Set<Waiter>();
  #child: ChildProcess | undefined;
  #again: NodeJS.Timeout | undefined;
  #closed = false;

  /** `path` as in `/api/v1/namespaces/x/pods`, with a query if need be. */
  constructor(path: string, kubeconfig?: string) {
    this.#path = path;
    this.#kubeconfig = kubeconfig;
    this.#start();
  }

  #start(): void {
    const path = `${this.#path}${this.#path.includes('?') ? '&' : '?'}watch=true`;
    const kubeconfig = this.#kubeconfig;
    const child = spawnKubectl(['get', '--raw', path], kubeconfig === undefined ? {} : { kubeconfig });
    this.#child = child;
    child.stderr.resume();
    child.stdin.end();
    createInterface(child.stdout).on('line', (line) => this.#take(JSON.parse(line) as WatchLine<T>));
    child.once('close', () => {
      if (!this.#closed) this.#again = setTimeout(() => this.#start(), 200);
    });
  }

  #take({ type, object }: WatchLine<T>): void {
    const name = object.metadata?.name;
    if (name === undefined || type === 'BOOKMARK' || type === 'ERROR') return;
    this.#seen.push(object);
    if (type === 'DELETED') {
      this.#gone.push(object);
      this.#objects.delete(name);
    } else this.#objects.set(name, object);
    for (const waiter of this.#waiters) waiter.look();
  }

  get(name: string): T | undefined {
    return this.#objects.get(name);
  }

  all(): T[] {
    return [...this.#objects.values()];
  }

  /** Every state of an object that was seen, oldest first, former holders of the name included. */
  history(name: string): T[] {
    return this.#seen.filter((object) => object.metadata?.name === name);
  }

  /** The last state of every object that was deleted. */
  get deleted(): readonly T[] {
    return this.#gone;
  }

  /** Resolves with the first answer that is neither undefined nor false; asked anew with each change. */
  until<R>(probe: () => R | undefined | false, what: string, timeoutMs = deadlineMs): Promise<R> {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const waiter: Waiter = {
      look() {
        try {
          const found = probe();
          if (found !== undefined && found !== false) resolve(found);
        } catch (err) {
          reject(err);
        }
      },
    };
    const timer = setTimeout(() => {
      const last = this.all().map((object) => `${object.metadata?.name}: ${JSON.stringify(object.status ?? object)}`);
      reject(new Error(`${what}: not within ${timeoutMs / 1000} s. Last seen:\n${last.join('\n').slice(-8000)}`));
    }, timeoutMs);
    this.#waiters.add(waiter);
    waiter.look();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiters.delete(waiter);
    });
  }

  /** Resolves with the object once it is there and `holds` says so. */
  untilObject(name: string, holds: (object: T) => unknown, what: string, timeoutMs?: number): Promise<T> {
    return this.until(
      () => {
        const object = this.get(name);
        return object !== undefined && Boolean(holds(object)) ? object : undefined;
      },
      `${name}: ${what}`,
      timeoutMs,
    );
  }

  /** Resolves when no object of that name (and UID) is there. */
  async untilGone(name: string, uid?: string, timeoutMs?: number): Promise<void> {
    const isThere = () => {
      const object = this.get(name);
      return object !== undefined && (uid === undefined || object.metadata?.uid === uid);
    };
    await this.until(() => !isThere() || undefined, `${name} is gone`, timeoutMs);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#child?.kill('SIGKILL');
  }
}
