import { maxStreamId } from './frames.ts';

/** The PINGs of one connection: which are ours, and who waits for their echo. */
export class Pings {
  readonly #firstId: number;
  readonly #waiting = new Map<number, () => void>();
  #nextId: number;

  /** @param firstId 1 for the client, 2 for the server: the parity of our ids. */
  constructor(firstId: 1 | 2) {
    this.#firstId = firstId;
    this.#nextId = firstId;
  }

  /** The id of a new PING; `onEcho` is called when it comes back. */
  next(onEcho?: () => void): number {
    const id = this.#nextId;
    this.#nextId = id + 2 > maxStreamId ? this.#firstId : id + 2;
    if (onEcho !== undefined) this.#waiting.set(id, onEcho);
    return id;
  }

  /** Takes an echo of ours; false when the PING is the peer's own and must be echoed. */
  takeEcho(id: number): boolean {
    if (id % 2 !== this.#firstId % 2) return false;
    this.#waiting.get(id)?.();
    this.#waiting.delete(id);
    return true;
  }

  clear(): void {
    this.#waiting.clear();
  }
}
