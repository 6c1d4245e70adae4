import { afterEach, describe, expect, it } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { logLines, Machine, readLog } from './fixture.ts';

let machine: Machine;

afterEach(() => machine.dispose());

describe('the log of a container', () => {
  it('is in the CRI format, each line with its stream, and marks what was never ended as partial', async () => {
    machine = new Machine();
    const daemon = await machine.daemon();
    const container = await daemon.start(['sh', '-c', 'echo one; echo two >&2; printf three']);
    await daemon.exited(container.id);
    for (const line of readLog(container).trimEnd().split('\n')) {
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] /);
    }
    expect(logLines(container)).toEqual(
      expect.arrayContaining([
        { stream: 'stdout', tag: 'F', text: 'one' },
        { stream: 'stderr', tag: 'F', text: 'two' },
        { stream: 'stdout', tag: 'P', text: 'three' },
      ]),
    );
  });

  it('holds every byte of a long line, in pieces', async () => {
    machine = new Machine();
    const daemon = await machine.daemon();
    const container = await daemon.start(['sh', '-c', 'head -c 40000 /dev/zero | tr "\\0" x; echo; echo end']);
    await daemon.exited(container.id);
    const lines = logLines(container);
    expect(lines.map(({ tag, text }) => [tag, text.length])).toEqual([
      ['P', 16384],
      ['P', 16384],
      ['F', 7232],
      ['F', 3],
    ]);
  });

  it('is rotated by size, keeping so many files and no line cut', async () => {
    const limits = { maxSizeBytes: 200_000, maxFiles: 3 };
    machine = new Machine({ limits });
    const daemon = await machine.daemon();
    const container = await daemon.start([
      'sh',
      '-c',
      'i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done',
    ]);
    await daemon.exited(container.id);
    const folder = dirname(container.logPath);
    const names = readdirSync(folder).sort();
    expect(names).toHaveLength(3);
    expect(names.slice(1)).toEqual(names.slice(1).filter((name) => /^0\.log\.\d{8}-\d{6}$/.test(name)));
    const [current = '', ...rotated] = names;
    const texts = [...rotated, current].map((name) => readFileSync(join(folder, name), 'utf8'));
    for (const text of texts) expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limits.maxSizeBytes);
    const numbers = texts
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => Number(/ F line (\d+)$/.exec(line)?.[1]));
    expect(numbers.at(-1)).toBe(19_999);
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, index) => 20_000 - numbers.length + index));
  });
});
