import { describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';

import { listProcesses } from '../../../src/host/process-table.ts';
import { openByScript } from '../../../src/host/terminal.ts';
import { eventually, Sink } from './fixture.ts';

const hasScript = existsSync('/usr/bin/script');
const env = { PATH: '/usr/bin:/bin', TERM: 'xterm', A: "it's" };
const size = { width: 100, height: 40 };

(hasScript ? describe : describe.skip)('a terminal by script(1)', () => {
  it('runs the program on a terminal of the size, with exactly its environment and its exit code', async () => {
    const terminal = openByScript(
      { argv: ['sh', '-c', 'test -t 0 && stty size; env; exit 7'], env, directory: '/' },
      size,
    );
    const output = await text(terminal.output);
    expect((await terminal.exited).exitCode).toBe(7);
    const [first, ...lines] = output.trimEnd().split('\r\n');
    expect(first).toBe('40 100');
    // The shell that runs env adds PWD itself.
    expect(lines.filter((line) => !line.startsWith('PWD=')).sort()).toEqual([
      "A=it's",
      'PATH=/usr/bin:/bin',
      'TERM=xterm',
    ]);
  });

  it('is written to, resized, and ends with 128 and the signal', async () => {
    const terminal = openByScript(
      { argv: ['sh', '-c', 'while read line; do stty size; done'], env, directory: '/' },
      size,
    );
    const output = new Sink();
    terminal.output.pipe(output);
    const leader = await eventually(() => terminal.leader?.());
    await eventually(() => {
      terminal.input.write('again\n');
      return output.text.includes('40 100');
    });
    terminal.resize({ width: 90, height: 30 });
    await eventually(() => {
      terminal.input.write('again\n');
      return output.text.includes('30 90');
    });
    await eventually(async () => (await listProcesses()).some(({ pid }) => pid === leader?.pid));
    process.kill(leader?.pid as number, 'SIGKILL');
    expect((await terminal.exited).exitCode).toBe(137);
  });
});
