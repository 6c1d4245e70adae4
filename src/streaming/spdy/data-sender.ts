import type { Duplex } from 'node:stream';

import { dataHeader } from './frames.ts';

type WriteCallback = (error?: Error | null) => void;

/**
 * Longest payload of a DATA frame that we write. Larger ones buy nothing (measured), and a peer holds a whole frame
 * in memory.
 */
const maxPayloadBytes = 32 * 1024;

interface Sending {
  readonly streamId: number;
  readonly chunks: readonly Buffer[];
  readonly done: WriteCallback;
  /** Where the next frame begins. */
  chunk: number;
  offset: number;
}

/**
 * Writes the data of all streams of a connection: as DATA frames, in turns, never more than the transport takes.
 * Payloads are not copied.
 */
export class DataSender {
  readonly #transport: Duplex;
  readonly #onProgress: () => void;
  readonly #waiting: Sending[] = [];
  #stopped: Error | undefined;

  constructor(transport: Duplex, onProgress: () => void) {
    this.#transport = transport;
    this.#onProgress = onProgress;
    transport.on('drain', () => this.#drain());
  }

  /** Calls back when all chunks are with the transport and it takes more. One call at a time per stream. */
  send(streamId: number, chunks: readonly Buffer[], done: WriteCallback): void {
    if (this.#stopped !== undefined) return done(this.#stopped);
    const sending: Sending = { streamId, chunks, done, chunk: 0, offset: 0 };
    if (this.#transport.writableNeedDrain) this.#waiting.push(sending);
    else this.#write(sending);
  }

  /** Sends FIN. */
  sendFin(streamId: number): void {
    if (this.#stopped === undefined && !this.#transport.destroyed) this.#transport.write(dataHeader(streamId, 0, true));
  }

  /** Fails everything that waits and whatever comes later. */
  stop(reason: Error): void {
    this.#stopped ??= reason;
    for (const { done } of this.#waiting.splice(0)) done(reason);
  }

  #drain(): void {
    this.#onProgress();
    while (this.#waiting.length > 0 && !this.#transport.writableNeedDrain)
      this.#write(this.#waiting.shift() as Sending);
  }

  #write(sending: Sending): void {
    let goOn = true;
    this.#transport.cork();
    while (goOn && sending.chunk < sending.chunks.length) goOn = this.#writeFrame(sending);
    this.#transport.uncork();
    if (goOn) {
      this.#onProgress();
      sending.done();
    } else {
      this.#waiting.push(sending);
    }
  }

  /** One frame of as many chunks as fit; false when the transport wants a pause. */
  #writeFrame(sending: Sending): boolean {
    const payload: Buffer[] = [];
    let length = 0;
    while (sending.chunk < sending.chunks.length && length < maxPayloadBytes) {
      const chunk = sending.chunks[sending.chunk] as Buffer;
      const end = Math.min(chunk.length, sending.offset + maxPayloadBytes - length);
      if (end > sending.offset) payload.push(chunk.subarray(sending.offset, end));
      length += end - sending.offset;
      sending.offset = end;
      if (end === chunk.length) {
        sending.chunk++;
        sending.offset = 0;
      }
    }
    if (length === 0) return true;
    this.#transport.write(dataHeader(sending.streamId, length, false));
    let goOn = true;
    for (const piece of payload) goOn = this.#transport.write(piece);
    return goOn;
  }
}
