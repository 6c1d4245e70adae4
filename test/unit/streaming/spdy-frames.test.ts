import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf } from '../../../src/core/errors.ts';
import { FrameParser } from '../../../src/streaming/spdy/frame-parser.ts';
import {
  controlFrame,
  dataHeader,
  frameType,
  goAwayFrame,
  pingFrame,
  rstStreamFrame,
  synReplyFrame,
  synStreamFrame,
} from '../../../src/streaming/spdy/frames.ts';
import type { Frame } from '../../../src/streaming/spdy/frames.ts';

/** Parses all bytes, given in pieces; DATA pieces of one frame are joined. */
function parse(pieces: readonly Buffer[], maxControlFrameBytes = 1024): Frame[] {
  const parser = new FrameParser(maxControlFrameBytes);
  const frames: Frame[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let frame = parser.next(); frame !== undefined; frame = parser.next()) frames.push(frame);
  }
  expect(parser.bufferedBytes).toBe(0);
  return frames;
}

function bytesOf(frames: readonly Frame[], streamId: number): Buffer {
  return Buffer.concat(
    frames.flatMap((frame) => (frame.type === 'data' && frame.streamId === streamId ? [frame.payload] : [])),
  );
}

function errorOf(...bytes: Buffer[]): unknown {
  try {
    parse(bytes);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('SPDY frames', () => {
  it('are the bytes that moby/spdystream reads', () => {
    expect(synStreamFrame(1, Buffer.from('hh'), { fin: true }).toString('hex')).toBe(
      '800300010100000c000000010000000000006868',
    );
    expect(synReplyFrame(3, Buffer.from('h')).toString('hex')).toBe('80030002000000050000000368');
    expect(rstStreamFrame(5, 5).toString('hex')).toBe('80030003000000080000000500000005');
    expect(pingFrame(7).toString('hex')).toBe('800300060000000400000007');
    expect(goAwayFrame(9, 0).toString('hex')).toBe('80030007000000080000000900000000');
    expect(dataHeader(11, 0x010203, true).toString('hex')).toBe('0000000b01010203');
  });

  it('come back as they were written, however the bytes are cut', () => {
    const block = fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes));
    const id = fc.integer({ min: 1, max: 0x7fffffff });
    const frame = fc.oneof(
      fc.record({
        type: fc.constant('synStream' as const),
        streamId: id,
        fin: fc.boolean(),
        unidirectional: fc.boolean(),
        headerBlock: block,
      }),
      fc.record({ type: fc.constant('synReply' as const), streamId: id, fin: fc.boolean(), headerBlock: block }),
      fc.record({ type: fc.constant('rstStream' as const), streamId: id, status: fc.nat() }),
      fc.record({ type: fc.constant('ping' as const), id: fc.nat() }),
      fc.record({ type: fc.constant('goAway' as const), lastGoodStreamId: id, status: fc.nat() }),
    );
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.nat({ max: 40 }), { maxLength: 30 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(encode));
          expect(parse(cut(bytes, cuts))).toEqual(frames);
        },
      ),
    );
  });

  it('hand on data in pieces, with FIN on the last only', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.boolean(),
        fc.array(fc.nat({ max: 40 }), { maxLength: 30 }),
        (data, fin, cuts) => {
          const payload = Buffer.from(data);
          const frames = parse(cut(Buffer.concat([dataHeader(1, payload.length, fin), payload]), cuts));
          expect(bytesOf(frames, 1)).toEqual(payload);
          expect(frames.map((frame) => frame.type === 'data' && frame.fin)).toEqual(
            frames.map((_, i) => fin && i === frames.length - 1),
          );
        },
      ),
    );
  });

  it('without a meaning here are skipped, whatever their length', () => {
    const settings = controlFrame(4, 0, Buffer.alloc(5000));
    const windowUpdate = controlFrame(9, 0, Buffer.alloc(8));
    const unknown = controlFrame(77, 0, Buffer.alloc(0));
    expect(parse(cut(Buffer.concat([settings, windowUpdate, unknown, pingFrame(1)]), [3, 900, 7]))).toEqual([
      { type: 'ping', id: 1 },
    ]);
  });

  it.each([
    ['another version', Buffer.from('800200060000000400000001', 'hex')],
    ['data for stream 0', dataHeader(0, 4, false)],
    ['a control frame over the limit', controlFrame(frameType.synStream, 0, Buffer.alloc(1025))],
    ['a SYN_STREAM without its fields', controlFrame(frameType.synStream, 0, Buffer.alloc(9))],
    ['a SYN_REPLY without a stream', controlFrame(frameType.synReply, 0, Buffer.alloc(3))],
    ['a HEADERS without a stream', controlFrame(frameType.headers, 0, Buffer.alloc(0))],
    ['a short RST_STREAM', controlFrame(frameType.rstStream, 0, Buffer.alloc(4))],
    ['a long PING', controlFrame(frameType.ping, 0, Buffer.alloc(5))],
    ['a short GOAWAY', controlFrame(frameType.goAway, 0, Buffer.alloc(4))],
    ['stream 0 opened', synStreamFrame(0, Buffer.alloc(0))],
    ['a stream id with its top bit set', synStreamFrame(0x80000001, Buffer.alloc(0))],
  ])('are refused with InvalidInput: %s', (_, bytes) => {
    expect(codeOf(errorOf(bytes))).toBe('InvalidInput');
  });
});

function encode(frame: Frame): Buffer {
  switch (frame.type) {
    case 'synStream':
      return synStreamFrame(frame.streamId, frame.headerBlock, frame);
    case 'synReply':
      return synReplyFrame(frame.streamId, frame.headerBlock, frame.fin);
    case 'rstStream':
      return rstStreamFrame(frame.streamId, frame.status);
    case 'ping':
      return pingFrame(frame.id);
    case 'goAway':
      return goAwayFrame(frame.lastGoodStreamId, frame.status);
    default:
      throw new Error(frame.type);
  }
}

/** Cuts bytes after each of the lengths in turn, the rest in one piece. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  pieces.push(bytes.subarray(at));
  return pieces;
}
