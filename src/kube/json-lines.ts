import { unavailable } from '../core/errors.ts';

/** Longer lines are refused: the largest object that etcd takes is well below. */
const maxLineBytes = 64 * 2 ** 20;
const newline = 0x0a;

/** Splits arriving bytes into lines of JSON. Bytes after the last newline wait for the next chunk. */
export class JsonLines {
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** The values whose lines this chunk completes. */
  *push(chunk: Buffer): Generator {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const line = this.#complete(chunk.subarray(start, end));
      start = end + 1;
      if (line.trim() !== '') yield parse(line);
    }
    if (start === chunk.length) return;
    // A copy, since the transport may reuse the chunk's memory.
    const rest = Buffer.from(chunk.subarray(start));
    this.#heldBytes += rest.length;
    if (this.#heldBytes > maxLineBytes)
      throw unavailable(`the API server sent a line of more than ${maxLineBytes} bytes`);
    this.#held.push(rest);
  }

  #complete(end: Buffer): string {
    if (this.#held.length === 0) return end.toString('utf8');
    const line = Buffer.concat([...this.#held, end]).toString('utf8');
    this.#held = [];
    this.#heldBytes = 0;
    return line;
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Without the cause: its message would quote the line.
    throw unavailable('the API server sent a line that is not JSON');
  }
}
