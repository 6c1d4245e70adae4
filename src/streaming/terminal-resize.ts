import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

import type { TerminalSize } from '../providers/contract.ts';

/** Longest single JSON object that is taken for a size. */
const maxObjectLength = 1024;
/** Sizes that wait for a consumer; of more, the oldest are dropped, for the newest is what matters. */
const maxWaiting = 16;
const maxUint16 = 0xffff;

/**
 * The terminal sizes that a resize stream carries: JSON objects `{"Width":120,"Height":40}` one after the other, in
 * pieces of any size. Ends with the stream, and at the first thing that is no size, as the kubelet's decoder does.
 * The stream is read whether or not anybody iterates, so that it never holds back its connection.
 */
export function terminalSizes(stream: Readable): AsyncIterable<TerminalSize> & AsyncIterator<TerminalSize, undefined> {
  const splitter = new JsonObjectSplitter();
  const decoder = new StringDecoder('utf8');
  const waiting: TerminalSize[] = [];
  let waker: PromiseWithResolvers<void> | undefined;
  let ended = false;

  const wake = (): void => {
    waker?.resolve();
    waker = undefined;
  };
  const end = (): void => {
    ended = true;
    wake();
  };
  stream.on('data', (chunk: Buffer) => {
    if (ended) return;
    for (const text of splitter.push(decoder.write(chunk))) {
      const size = parseSize(text);
      if (size === undefined) return end();
      waiting.push(size);
      if (waiting.length > maxWaiting) waiting.shift();
    }
    if (splitter.heldLength > maxObjectLength) end();
    wake();
  });
  stream.on('end', end);
  stream.on('close', end);
  stream.on('error', end);

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      for (;;) {
        const size = waiting.shift();
        if (size !== undefined) return { done: false, value: size };
        if (ended) return { done: true, value: undefined };
        waker ??= Promise.withResolvers();
        await waker.promise;
      }
    },
    async return() {
      waiting.length = 0;
      end();
      return { done: true, value: undefined };
    },
  };
}

/** Cuts a run of JSON objects into one text each. */
class JsonObjectSplitter {
  #held = '';
  #depth = 0;
  #inString = false;
  #escaped = false;

  get heldLength(): number {
    return this.#held.length;
  }

  push(text: string): string[] {
    const objects: string[] = [];
    for (const character of text) {
      if (this.#depth === 0 && /\s/.test(character)) continue;
      this.#held += character;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (character === '\\') this.#escaped = true;
        else if (character === '"') this.#inString = false;
        continue;
      }
      if (character === '"') this.#inString = true;
      else if (character === '{') this.#depth++;
      else if (character === '}') this.#depth--;
      if (this.#depth <= 0) {
        objects.push(this.#held);
        this.#held = '';
        this.#depth = 0;
      }
      // No size is this long; the caller stops reading.
      if (this.#held.length > maxObjectLength) break;
    }
    return objects;
  }
}

function parseSize(text: string): TerminalSize | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { Width: width = 0, Height: height = 0 } = value as { Width?: unknown; Height?: unknown };
  return isUint16(width) && isUint16(height) ? { width, height } : undefined;
}

function isUint16(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxUint16;
}
