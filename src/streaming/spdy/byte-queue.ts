/** Received chunks, read as one run of bytes. Copies only what spans two chunks. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #length = 0;

  /** Bytes that wait to be taken. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  }

  /** Exactly `size` bytes, or undefined while there are fewer. */
  take(size: number): Buffer | undefined {
    if (size > this.#length) return undefined;
    const first = this.#chunks[0];
    if (first === undefined || size === 0) return Buffer.alloc(0);
    if (size <= first.length) return this.#takeFrom(first, size);
    const taken = Buffer.allocUnsafe(size);
    let filled = 0;
    while (filled < size) {
      const piece = this.takeUpTo(size - filled);
      filled += piece.copy(taken, filled);
    }
    return taken;
  }

  /** At least one and at most `size` bytes, whatever comes without copying; empty when nothing waits. */
  takeUpTo(size: number): Buffer {
    const first = this.#chunks[0];
    return first === undefined ? Buffer.alloc(0) : this.#takeFrom(first, Math.min(size, first.length));
  }

  #takeFrom(first: Buffer, size: number): Buffer {
    this.#length -= size;
    if (size === first.length) {
      this.#chunks.shift();
      return first;
    }
    this.#chunks[0] = first.subarray(size);
    return first.subarray(0, size);
  }
}
