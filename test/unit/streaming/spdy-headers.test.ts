import { constants, createDeflate, createInflate } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf } from '../../../src/core/errors.ts';
import { headerDictionary } from '../../../src/streaming/spdy/dictionary.ts';
import { decodeHeaders, encodeHeaders, HeaderReader, HeaderWriter } from '../../../src/streaming/spdy/headers.ts';
import type { OutgoingHeaders, StreamHeaders } from '../../../src/streaming/spdy/headers.ts';

const readers: HeaderReader[] = [];
afterEach(() => {
  for (const reader of readers.splice(0)) reader.close();
});

function newReader(maxBytes = 64 * 1024): HeaderReader {
  const reader = new HeaderReader(maxBytes);
  readers.push(reader);
  return reader;
}

function read(reader: HeaderReader, block: Buffer): Promise<StreamHeaders> {
  return new Promise((resolve, reject) =>
    reader.read(block, (error, headers) => (error === undefined ? resolve(headers) : reject(error))),
  );
}

/** Compresses as a Go peer does: one deflate stream with the dictionary, flushed after each block. */
class PeerDeflate {
  readonly #deflate = createDeflate({ dictionary: headerDictionary });

  block(plain: Buffer): Promise<Buffer> {
    return new Promise((resolve) => {
      this.#deflate.write(plain);
      this.#deflate.flush(constants.Z_SYNC_FLUSH, () => resolve(this.#deflate.read() as Buffer));
    });
  }
}

function adler32(bytes: Buffer): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return b * 65_536 + a;
}

const headerMaps = fc
  .dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), fc.string({ maxLength: 40, unit: 'binary' }), { maxKeys: 6 })
  .map((headers): OutgoingHeaders => ({ ...headers }));

describe('the SPDY/3 header dictionary', () => {
  it('is the one that zlib streams of SPDY peers name', () => {
    expect(headerDictionary.length).toBe(1423);
    expect(adler32(headerDictionary)).toBe(0xe3c6a7c2);
  });
});

describe('SPDY header blocks', () => {
  it('are read back by one reader, block after block', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(headerMaps, { maxLength: 5 }), async (blocks) => {
        const writer = new HeaderWriter();
        const reader = newReader();
        for (const headers of blocks)
          expect(Object.fromEntries(await read(reader, writer.block(headers)))).toEqual(headers);
      }),
      { numRuns: 50 },
    );
  });

  it('are read from a compressing peer', async () => {
    const peer = new PeerDeflate();
    const reader = newReader();
    for (const type of ['error', 'stdin', 'stdout']) {
      const headers = await read(
        reader,
        await peer.block(encodeHeaders({ streamType: type, 'Content-Type': 'text/plain' })),
      );
      expect([...headers]).toEqual([
        ['streamtype', type],
        ['content-type', 'text/plain'],
      ]);
    }
  });

  it('are complete for a peer that inflates no further than the block', async () => {
    const writer = new HeaderWriter();
    const inflate = createInflate({ dictionary: headerDictionary, flush: constants.Z_SYNC_FLUSH });
    for (const headers of [{ a: '1' }, {}, { long: 'x'.repeat(70_000) }]) {
      inflate.write(writer.block(headers));
      const pieces: Buffer[] = [];
      while (pieces.reduce((sum, piece) => sum + piece.length, 0) < encodeHeaders(headers).length) {
        const piece = inflate.read() as Buffer | null;
        if (piece === null) await new Promise((resolve) => inflate.once('readable', resolve));
        else pieces.push(piece);
      }
      expect(decodeHeaders(Buffer.concat(pieces))).toEqual(new Map(Object.entries(headers)));
    }
    inflate.destroy();
  });

  it('that inflate beyond the limit are refused without being held', async () => {
    const bomb = await new PeerDeflate().block(Buffer.alloc(50 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(64 * 1024);
    await expect(read(newReader(64 * 1024), bomb)).rejects.toMatchObject({ code: 'InvalidInput' });
  });

  it.each([
    ['no zlib stream', Buffer.from('certainly not zlib')],
    ['nothing at all', Buffer.alloc(0)],
    ['another dictionary', Buffer.from('78bb000000010000', 'hex')],
  ])('that cannot be inflated are refused: %s', async (_, block) => {
    await expect(read(newReader(), block)).rejects.toMatchObject({ code: 'InvalidInput' });
  });

  it.each([
    ['a name in upper case', encodeRaw([['StreamType', 'error']])],
    [
      'a name twice',
      encodeRaw([
        ['a', '1'],
        ['a', '2'],
      ]),
    ],
    ['an empty name', encodeRaw([['', '1']])],
    ['bytes after the last header', Buffer.concat([encodeRaw([['a', '1']]), Buffer.from('x')])],
    ['a count without headers', Buffer.from('00000002', 'hex')],
    ['a length beyond the end', Buffer.from('00000001ffffffff61', 'hex')],
  ])('are refused with InvalidInput: %s', (_, plain) => {
    let code: unknown;
    try {
      decodeHeaders(plain);
    } catch (error) {
      code = codeOf(error);
    }
    expect(code).toBe('InvalidInput');
  });
});

function encodeRaw(headers: [string, string][]): Buffer {
  const parts: Buffer[] = [uint32(headers.length)];
  for (const text of headers.flat()) parts.push(uint32(text.length), Buffer.from(text));
  return Buffer.concat(parts);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
