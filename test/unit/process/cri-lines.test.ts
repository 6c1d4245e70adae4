import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { CriLines, timestamp } from '../../../src/providers/process/shim/cri-lines.ts';

const time = '2026-01-02T03:04:05.000000000Z';

/** What a log reader makes of the lines: pieces joined, a new line after each F. */
function read(log: string): string {
  return log
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [, , tag, ...text] = line.split(' ');
      return text.join(' ') + (tag === 'F' ? '\n' : '');
    })
    .join('');
}

function write(chunks: readonly Buffer[]): string {
  const lines = new CriLines('stdout');
  return Buffer.concat([...chunks.map((chunk) => lines.push(chunk, time)), lines.end(time)]).toString('latin1');
}

describe('CRI log lines', () => {
  it('carry time, stream and tag', () => {
    const lines = new CriLines('stderr');
    expect(lines.push(Buffer.from('one\n\ntw'), time).toString()).toBe(`${time} stderr F one\n${time} stderr F \n`);
    expect(lines.push(Buffer.from('o\nlast'), time).toString()).toBe(`${time} stderr F two\n`);
    expect(lines.end(time).toString()).toBe(`${time} stderr P last\n`);
    expect(lines.end(time).toString()).toBe('');
  });

  it('cut a line after 16 KiB, whether it comes at once or in bits', () => {
    const line = Buffer.from(`${'x'.repeat(2 * 16_384)}y\n`);
    const pieces = ['P', 'P', 'F'];
    const tags = (log: string) =>
      log
        .split('\n')
        .slice(0, -1)
        .map((each) => each.split(' ')[2]);
    expect(tags(write([line]))).toEqual(pieces);
    expect(tags(write([line.subarray(0, 20_000), line.subarray(20_000, 32_768), line.subarray(32_768)]))).toEqual(
      pieces,
    );
    expect(tags(write([Buffer.from(`${'x'.repeat(16_384)}\n`)]))).toEqual(['F']);
  });

  it('lose and change no byte', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(new Uint8Array([10])),
      fc.nat(40_000).map((length) => new Uint8Array(length).fill(120)),
    );
    fc.assert(
      fc.property(fc.array(bytes), (arrays) => {
        const chunks = arrays.map((array) => Buffer.from(array));
        const log = write(chunks);
        expect(read(log) === Buffer.concat(chunks).toString('latin1')).toBe(true);
        expect(log.split('\n').every((line) => line.length <= 16_384 + time.length + ' stdout F '.length)).toBe(true);
      }),
    );
  });

  it('have times of nine digits that never run backwards', () => {
    const times = Array.from({ length: 1000 }, timestamp);
    expect(times.every((each) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/.test(each))).toBe(true);
    expect([...times].sort()).toEqual(times);
  });
});
