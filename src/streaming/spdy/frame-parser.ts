import { invalidInput } from '../../core/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import { flagFin, flagUnidirectional, frameHeaderBytes, frameType, maxStreamId, spdyVersion } from './frames.ts';
import type { Frame } from './frames.ts';

interface PendingFrame {
  readonly control: boolean;
  /** Control frames: the type; DATA frames: the stream id. */
  readonly subject: number;
  readonly flags: number;
  /** Payload bytes that were not handed on yet. */
  left: number;
}

const bufferedTypes: ReadonlySet<number> = new Set(Object.values(frameType));

/**
 * Cuts a byte stream into frames, pulled one by one. DATA payloads are handed on in the pieces in which they arrive,
 * without copying; of anything else at most `maxControlFrameBytes` are held. Frames that no Kubernetes peer gives a
 * meaning (SETTINGS, WINDOW_UPDATE, unknown types) are skipped.
 */
export class FrameParser {
  readonly #bytes = new ByteQueue();
  readonly #maxControlFrameBytes: number;
  #pending: PendingFrame | undefined;

  constructor(maxControlFrameBytes: number) {
    this.#maxControlFrameBytes = maxControlFrameBytes;
  }

  push(chunk: Buffer): void {
    this.#bytes.push(chunk);
  }

  /** Bytes received and not yet parsed. */
  get bufferedBytes(): number {
    return this.#bytes.length;
  }

  /** The next frame or piece of one; undefined when more bytes are needed. Throws `InvalidInput` on a malformed frame. */
  next(): Frame | undefined {
    for (;;) {
      this.#pending ??= this.#readHeader();
      if (this.#pending === undefined) return undefined;
      const pending = this.#pending;
      if (!pending.control) return this.#dataPiece(pending);
      if (bufferedTypes.has(pending.subject)) {
        const payload = this.#bytes.take(pending.left);
        if (payload === undefined) return undefined;
        this.#pending = undefined;
        return controlFrameOf(pending, payload);
      }
      if (!this.#skip(pending)) return undefined;
    }
  }

  #readHeader(): PendingFrame | undefined {
    const header = this.#bytes.take(frameHeaderBytes);
    if (header === undefined) return undefined;
    const word = header.readUInt32BE(0);
    const flags = header.readUInt8(4);
    const left = header.readUIntBE(5, 3);
    if (word >>> 31 === 0) {
      if (word === 0) throw invalidInput('SPDY data frame for stream 0');
      return { control: false, subject: word, flags, left };
    }
    const version = (word >>> 16) & 0x7fff;
    const type = word & 0xffff;
    if (version !== spdyVersion) throw invalidInput(`SPDY control frame of version ${version}, want ${spdyVersion}`);
    if (bufferedTypes.has(type) && left > this.#maxControlFrameBytes) {
      throw invalidInput(
        `SPDY control frame of type ${type} has ${left} bytes, at most ${this.#maxControlFrameBytes} are taken`,
      );
    }
    return { control: true, subject: type, flags, left };
  }

  #dataPiece(pending: PendingFrame): Frame | undefined {
    if (pending.left > 0 && this.#bytes.length === 0) return undefined;
    const payload = this.#bytes.takeUpTo(pending.left);
    pending.left -= payload.length;
    if (pending.left === 0) this.#pending = undefined;
    const fin = pending.left === 0 && (pending.flags & flagFin) !== 0;
    return { type: 'data', streamId: pending.subject, payload, fin };
  }

  /** True when the whole frame has gone by. */
  #skip(pending: PendingFrame): boolean {
    while (pending.left > 0 && this.#bytes.length > 0) pending.left -= this.#bytes.takeUpTo(pending.left).length;
    if (pending.left > 0) return false;
    this.#pending = undefined;
    return true;
  }
}

function controlFrameOf({ subject: type, flags }: PendingFrame, payload: Buffer): Frame {
  const fin = (flags & flagFin) !== 0;
  switch (type) {
    case frameType.synStream:
      return {
        type: 'synStream',
        streamId: streamIdOf(payload, 'SYN_STREAM', 10),
        fin,
        unidirectional: (flags & flagUnidirectional) !== 0,
        headerBlock: payload.subarray(10),
      };
    case frameType.synReply:
      return { type: 'synReply', streamId: streamIdOf(payload, 'SYN_REPLY', 4), fin, headerBlock: payload.subarray(4) };
    case frameType.headers:
      return { type: 'headers', streamId: streamIdOf(payload, 'HEADERS', 4), fin, headerBlock: payload.subarray(4) };
    case frameType.rstStream: {
      exactLength(payload, 'RST_STREAM', 8);
      const streamId = streamIdOf(payload, 'RST_STREAM', 8);
      return { type: 'rstStream', streamId, status: payload.readUInt32BE(4) };
    }
    case frameType.ping:
      exactLength(payload, 'PING', 4);
      return { type: 'ping', id: payload.readUInt32BE(0) };
    default:
      exactLength(payload, 'GOAWAY', 8);
      return {
        type: 'goAway',
        lastGoodStreamId: payload.readUInt32BE(0) & maxStreamId,
        status: payload.readUInt32BE(4),
      };
  }
}

function exactLength(payload: Buffer, name: string, bytes: number): void {
  if (payload.length !== bytes) throw invalidInput(`SPDY ${name} frame has ${payload.length} bytes, want ${bytes}`);
}

function streamIdOf(payload: Buffer, name: string, minBytes: number): number {
  if (payload.length < minBytes)
    throw invalidInput(`SPDY ${name} frame has ${payload.length} bytes, want ${minBytes} or more`);
  const id = payload.readUInt32BE(0);
  if (id === 0 || id > maxStreamId) throw invalidInput(`SPDY ${name} frame names stream ${id}`);
  return id;
}
