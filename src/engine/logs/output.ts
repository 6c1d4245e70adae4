const smallest = 1024;

/** Bytes collected for one chunk. What is taken belongs to the taker: it is never written to again. */
export class Output {
  #buffer = Buffer.alloc(0);
  #length = 0;
  /** Size of the last chunk: the next is likely to be like it. */
  #expected = 0;

  append(source: Buffer, start: number, end: number): void {
    const length = this.#length + (end - start);
    if (length > this.#buffer.length) this.#grow(length);
    source.copy(this.#buffer, this.#length, start, end);
    this.#length = length;
  }

  /** The bytes so far, undefined when there are none. */
  take(): Uint8Array | undefined {
    if (this.#length === 0) return undefined;
    const taken = this.#buffer.subarray(0, this.#length);
    this.#expected = this.#length;
    this.#buffer = Buffer.alloc(0);
    this.#length = 0;
    return taken;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, smallest, 2 * this.#length, Math.ceil(this.#expected * 1.1)));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}
