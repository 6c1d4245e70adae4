import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';

import {
  type DataChannel,
  FrameParser,
  sendData,
  sendEnd,
  sendMessage,
} from '../../../src/providers/process/frames.ts';

type Sent = { message: unknown } | { channel: DataChannel; bytes: number[] } | { channel: DataChannel; end: true };

/** What comes out of a parser, pieces of one channel put together. */
function receive(chunks: readonly Buffer[]): Sent[] {
  const got: Sent[] = [];
  const parser = new FrameParser({
    message: (message) => got.push({ message }),
    data(channel, bytes) {
      const last = got.at(-1);
      if (last !== undefined && 'bytes' in last && last.channel === channel) last.bytes.push(...bytes);
      else got.push({ channel, bytes: [...bytes] });
    },
    end: (channel) => got.push({ channel, end: true }),
  });
  for (const chunk of chunks) parser.push(chunk);
  return got;
}

function send(items: readonly Sent[]): Buffer {
  const wire = new PassThrough({ highWaterMark: 2 ** 30 });
  const socket = wire as unknown as Socket;
  for (const item of items) {
    if ('message' in item) sendMessage(socket, item.message);
    else if ('bytes' in item) sendData(socket, item.channel, Buffer.from(item.bytes));
    else sendEnd(socket, item.channel);
  }
  return (wire.read() as Buffer | null) ?? Buffer.alloc(0);
}

const channel = fc.constantFrom<DataChannel>(1, 2, 3);
const item: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({ message: fc.jsonValue() }),
  fc.record({ channel, end: fc.constant(true as const) }),
  fc.record({ channel, bytes: fc.array(fc.nat(255), { minLength: 1, maxLength: 300 }) }),
);

/** Neighbours of one channel are one run of bytes, whatever frames they came in. */
function joined(items: readonly Sent[]): Sent[] {
  return receive([send(items)]);
}

describe('frames', () => {
  it('come out as they went in, wherever the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(item), fc.infiniteStream(fc.integer({ min: 1, max: 17 })), (items, cuts) => {
        const wire = send(items);
        const chunks: Buffer[] = [];
        for (let at = 0; at < wire.length;) {
          const next = at + (cuts.next().value as number);
          chunks.push(wire.subarray(at, next));
          at = next;
        }
        expect(receive(chunks)).toEqual(joined(items));
      }),
    );
  });

  it('keep order and content', () => {
    const items: Sent[] = [
      { message: { a: 'ü' } },
      { channel: 2, bytes: [0, 255, 10] },
      { channel: 2, end: true },
      { message: null },
    ];
    expect(receive([send(items)])).toEqual(items);
  });

  it('of no known channel, or of a message beyond reason, are refused', () => {
    expect(() => receive([Buffer.from([9, 0, 0, 0, 1, 0])])).toThrow('unknown channel');
    expect(() => receive([Buffer.from([0, 255, 255, 255, 255])])).toThrow('too long');
  });
});
