import { constants, createInflate } from 'node:zlib';
import type { Inflate } from 'node:zlib';

import { invalidInput } from '../../core/errors.ts';
import { headerDictionary } from './dictionary.ts';

/** Headers of a stream: lower-case names; several values of one name are joined by NUL, as on the wire. */
export type StreamHeaders = ReadonlyMap<string, string>;

/** What a stream is opened with; names are lower-cased. */
export type OutgoingHeaders = Readonly<Record<string, string>>;

/** Longest content of one stored deflate block. */
const maxStoredBytes = 0xff_ff;
const zlibHeader = Buffer.from([0x78, 0x01]);
/**
 * An empty stored block, as Z_SYNC_FLUSH writes it. Go's inflate withholds the data of a stored block until the next
 * block begins, so each is followed by this.
 */
const syncMarker = Buffer.from([0x00, 0x00, 0x00, 0xff, 0xff]);

/**
 * Writes the header blocks of one direction of a connection: one zlib stream for all of them. Blocks are stored, not
 * compressed: they are a few dozen bytes, and a compressor would cost 256 KiB per connection.
 */
export class HeaderWriter {
  #started = false;

  /** The header block of the next frame. Blocks must go out in the order in which they were made. */
  block(headers: OutgoingHeaders): Buffer {
    const plain = encodeHeaders(headers);
    const parts: Buffer[] = this.#started ? [] : [zlibHeader];
    this.#started = true;
    for (let at = 0; at < plain.length; at += maxStoredBytes) {
      const content = plain.subarray(at, at + maxStoredBytes);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt16LE(content.length, 1);
      prefix.writeUInt16LE(content.length ^ 0xff_ff, 3);
      parts.push(prefix, content);
    }
    parts.push(syncMarker);
    return Buffer.concat(parts);
  }
}

/** Reads the header blocks of one direction of a connection, in order. */
export class HeaderReader {
  readonly #maxBytes: number;
  readonly #inflate: Inflate;
  #pieces: Buffer[] = [];
  #size = 0;
  #done: ((error: Error | undefined, headers: StreamHeaders) => void) | undefined;

  /** @param maxBytes most bytes that one block may inflate to. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#inflate = createInflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH, chunkSize: 4096 });
    this.#inflate.on('data', (piece: Buffer) => {
      this.#size += piece.length;
      if (this.#size <= this.#maxBytes) this.#pieces.push(piece);
      else this.#fail(new Error(`more than ${this.#maxBytes} bytes of headers`));
    });
    this.#inflate.on('error', (error) => this.#fail(error));
    // A zlib stream that says it is complete breaks the one-stream rule: what follows could not be read.
    this.#inflate.on('end', () => this.#fail(new Error('the zlib stream ended')));
  }

  /**
   * Calls back once, later, with the headers or an `InvalidInput` error; the next block may only be given then.
   * After {@link close} it may never call back.
   */
  read(block: Buffer, done: (error: Error | undefined, headers: StreamHeaders) => void): void {
    this.#pieces = [];
    this.#size = 0;
    this.#done = done;
    this.#inflate.write(block, () => {
      // What the inflater has put out and not yet emitted.
      while (this.#inflate.read() !== null);
      const callback = this.#done;
      if (callback === undefined) return;
      this.#done = undefined;
      let headers: StreamHeaders;
      try {
        headers = decodeHeaders(Buffer.concat(this.#pieces, this.#size));
      } catch (error) {
        callback(error as Error, new Map());
        return;
      }
      callback(undefined, headers);
    });
  }

  /** Frees the inflater. Idempotent. */
  close(): void {
    this.#done = undefined;
    this.#inflate.destroy();
  }

  #fail(cause: Error): void {
    const callback = this.#done;
    this.#done = undefined;
    this.#inflate.destroy();
    callback?.(invalidInput(`SPDY header block cannot be inflated: ${cause.message}`, cause), new Map());
  }
}

/** The uncompressed form of a header block: a count, then names and values each after its length, all 32 bits. */
export function encodeHeaders(headers: OutgoingHeaders): Buffer {
  const entries = Object.entries(headers);
  const parts = [uint32(entries.length)];
  for (const [name, value] of entries) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = Buffer.from(text, 'utf8');
      parts.push(uint32(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** Reads what {@link encodeHeaders} writes; throws `InvalidInput` on anything malformed, upper case or named twice. */
export function decodeHeaders(plain: Buffer): StreamHeaders {
  let at = 0;
  const number = (): number => {
    if (at + 4 > plain.length) throw invalidInput('SPDY header block is cut off');
    const value = plain.readUInt32BE(at);
    at += 4;
    return value;
  };
  const text = (): string => {
    const length = number();
    if (length > plain.length - at) throw invalidInput('SPDY header block is cut off');
    const value = plain.toString('utf8', at, at + length);
    at += length;
    return value;
  };
  const headers = new Map<string, string>();
  for (let left = number(); left > 0; left--) {
    const name = text();
    if (name === '') throw invalidInput('SPDY header without a name');
    if (name !== name.toLowerCase()) throw invalidInput(`SPDY header ${JSON.stringify(name)} was not lowercased`);
    if (headers.has(name)) throw invalidInput(`SPDY header ${JSON.stringify(name)} is there twice`);
    headers.set(name, text());
  }
  if (at !== plain.length) throw invalidInput('SPDY header block has bytes after its last header');
  return headers;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
