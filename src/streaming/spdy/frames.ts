/**
 * SPDY/3.1 frames as bytes (draft-mbelshe-httpbis-spdy-00 section 2.2 and 2.6; moby/spdystream's `spdy` package is
 * the peer that matters). Only the frames that Kubernetes peers send or expect exist here.
 */

export const frameType = {
  synStream: 1,
  synReply: 2,
  rstStream: 3,
  ping: 6,
  goAway: 7,
  headers: 8,
} as const;

/** Why a stream was reset. */
export const resetStatus = {
  protocolError: 1,
  invalidStream: 2,
  refusedStream: 3,
  cancel: 5,
  internalError: 6,
} as const;

/** Why a connection ends. */
export const goAwayStatus = { ok: 0, protocolError: 1, internalError: 2 } as const;

export const flagFin = 0x01;
export const flagUnidirectional = 0x02;

/** The only version in a control frame; 3.1 is 3 on the wire. */
export const spdyVersion = 3;
/** Length of the header before every frame's payload. */
export const frameHeaderBytes = 8;
export const maxStreamId = 0x7f_ff_ff_ff;

/** A frame as the parser hands it on. */
export type Frame =
  /** A piece of a DATA frame's payload, as it arrived; `fin` is set on the last piece only. */
  | { readonly type: 'data'; readonly streamId: number; readonly payload: Buffer; readonly fin: boolean }
  | {
      readonly type: 'synStream';
      readonly streamId: number;
      readonly fin: boolean;
      readonly unidirectional: boolean;
      /** Still compressed. */
      readonly headerBlock: Buffer;
    }
  | {
      readonly type: 'synReply' | 'headers';
      readonly streamId: number;
      readonly fin: boolean;
      readonly headerBlock: Buffer;
    }
  | { readonly type: 'rstStream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goAway'; readonly lastGoodStreamId: number; readonly status: number };

/** The 8 bytes before a DATA frame's payload. */
export function dataHeader(streamId: number, length: number, fin: boolean): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt32BE(streamId, 0);
  header.writeUInt32BE(length, 4);
  header[4] = fin ? flagFin : 0;
  return header;
}

export interface SynStreamFlags {
  readonly fin?: boolean;
  readonly unidirectional?: boolean;
}

export function synStreamFrame(streamId: number, headerBlock: Buffer, flags: SynStreamFlags = {}): Buffer {
  const prefix = Buffer.alloc(10);
  prefix.writeUInt32BE(streamId, 0);
  const bits = (flags.fin === true ? flagFin : 0) | (flags.unidirectional === true ? flagUnidirectional : 0);
  return controlFrame(frameType.synStream, bits, prefix, headerBlock);
}

export function synReplyFrame(streamId: number, headerBlock: Buffer, fin = false): Buffer {
  return controlFrame(frameType.synReply, fin ? flagFin : 0, uint32s(streamId), headerBlock);
}

export function rstStreamFrame(streamId: number, status: number): Buffer {
  return controlFrame(frameType.rstStream, 0, uint32s(streamId, status));
}

export function pingFrame(id: number): Buffer {
  return controlFrame(frameType.ping, 0, uint32s(id));
}

export function goAwayFrame(lastGoodStreamId: number, status: number): Buffer {
  return controlFrame(frameType.goAway, 0, uint32s(lastGoodStreamId, status));
}

/** Any control frame: the tests build malformed ones with it. */
export function controlFrame(type: number, flags: number, ...payload: readonly Buffer[]): Buffer {
  const header = Buffer.allocUnsafe(frameHeaderBytes);
  header.writeUInt16BE(0x8000 | spdyVersion, 0);
  header.writeUInt16BE(type, 2);
  header.writeUInt32BE(
    payload.reduce((sum, part) => sum + part.length, 0),
    4,
  );
  header[4] = flags;
  return Buffer.concat([header, ...payload]);
}

function uint32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value, i * 4));
  return bytes;
}
