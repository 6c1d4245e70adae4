import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { TerminalSize } from '../../../src/providers/contract.ts';
import { terminalSizes } from '../../../src/streaming/terminal-resize.ts';

async function sizesOf(...pieces: string[]): Promise<TerminalSize[]> {
  const stream = new PassThrough();
  const sizes = terminalSizes(stream);
  for (const piece of pieces) stream.write(piece);
  stream.end();
  return collect(sizes);
}

async function collect(sizes: AsyncIterable<TerminalSize>): Promise<TerminalSize[]> {
  const collected: TerminalSize[] = [];
  for await (const size of sizes) collected.push(size);
  return collected;
}

describe('terminal sizes', () => {
  it('are read one after the other, with or without white space between', async () => {
    expect(
      await sizesOf('{"Width":120,"Height":40}{"Width":80,"Height":24}\n {"Height":5,"Width":6,"X":{"y":"}"}}'),
    ).toEqual([
      { width: 120, height: 40 },
      { width: 80, height: 24 },
      { width: 6, height: 5 },
    ]);
  });

  it('are the same however the bytes are cut', async () => {
    const text = '{"Width":120,"Height":40}\n{"Width":80,"Height":24}';
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 10 }), { maxLength: 20 }), async (lengths) => {
        const pieces: string[] = [];
        let at = 0;
        for (const length of lengths) pieces.push(text.slice(at, (at += length)));
        expect(await sizesOf(...pieces, text.slice(at))).toEqual([
          { width: 120, height: 40 },
          { width: 80, height: 24 },
        ]);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    'nonsense',
    '{"Width":70000,"Height":1}',
    '{"Width":-1,"Height":1}',
    '{"Width":"80"}',
    '[]',
    `{"Width":${'1'.repeat(5000)}`,
  ])('end at the first thing that is no size: %s', async (wrong) => {
    expect(await sizesOf(`{"Width":1,"Height":2}`, wrong, `{"Width":3,"Height":4}`)).toEqual([{ width: 1, height: 2 }]);
  });

  it('keep the newest when nobody asks for them, and go on reading', async () => {
    const stream = new PassThrough({ highWaterMark: 10 });
    const sizes = terminalSizes(stream);
    for (let width = 1; width <= 1000; width++) {
      if (!stream.write(JSON.stringify({ Width: width, Height: 1 })))
        await new Promise((resolve) => stream.once('drain', resolve));
    }
    stream.end();
    const kept = await collect(sizes);
    expect(kept.length).toBeLessThanOrEqual(16);
    expect(kept.at(-1)).toEqual({ width: 1000, height: 1 });
  });

  it('reach a consumer that already waits', async () => {
    const stream = new PassThrough();
    const sizes = terminalSizes(stream);
    const next = sizes.next();
    stream.write('{"Width":1,"Height":2}');
    expect(await next).toEqual({ done: false, value: { width: 1, height: 2 } });
    await sizes.return?.();
    expect((await sizes.next()).done).toBe(true);
    stream.destroy();
  });
});
