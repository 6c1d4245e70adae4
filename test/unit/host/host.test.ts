import { describe, expect, it } from '@jest/globals';

import { parsePasswd } from '../../../src/host/accounts.ts';
import { parsePs, parseStat } from '../../../src/host/process-table.ts';
import { exitCodeOf, signalNumber } from '../../../src/host/signals.ts';

describe('a line of /proc/<pid>/stat', () => {
  it('is read past a name with spaces and parentheses', () => {
    const line = '421 (a) b (c)) S 7 421 400 0 -1 4194304 1 0 0 0 3 4 50 60 20 0 1 0 987654 1 1 1 1';
    const cpu = { own: 70_000_000, children: 1_100_000_000 };
    expect(parseStat(line)).toEqual({ pid: 421, parent: 7, session: 400, startTime: 987654, zombie: false, cpu });
  });

  it('of a process that was not waited for is a zombie', () => {
    expect(parseStat('5 (x) Z 1 5 5 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 10 0')?.zombie).toBe(true);
  });

  it('that is cut is nothing', () => {
    expect(parseStat('5 (x')).toBeUndefined();
    expect(parseStat('')).toBeUndefined();
  });
});

describe('the output of ps', () => {
  it('is read with its start times', () => {
    const output =
      '    1     0     1 Ss   Sat Nov 21 09:00:00 2026\n  812     1   812 Z+   Sat Nov 21 09:08:32 2026\nnoise\n';
    expect(parsePs(output)).toEqual([
      { pid: 1, parent: 0, session: 1, startTime: Date.UTC(2026, 10, 21, 9, 0, 0), zombie: false },
      { pid: 812, parent: 1, session: 812, startTime: Date.UTC(2026, 10, 21, 9, 8, 32), zombie: true },
    ]);
  });
});

describe('a signal’s name', () => {
  it.each([
    ['SIGTERM', 15],
    ['TERM', 15],
    ['sigkill', 9],
    ['15', 15],
    ['NOPE', undefined],
    ['0', undefined],
    ['65', undefined],
  ])('%s is %s', (name, number) => expect(signalNumber(name)).toBe(number));

  (process.platform === 'linux' ? it : it.skip)('may be a real-time one', () => {
    expect(signalNumber('SIGRTMIN+3')).toBe(37);
    expect(signalNumber('SIGRTMAX-1')).toBe(63);
    expect(signalNumber('SIGRTMIN+99')).toBeUndefined();
  });

  it('makes 128 + N of an end', () => {
    expect(exitCodeOf(null, 'SIGKILL')).toBe(137);
    expect(exitCodeOf(0, 15)).toBe(143);
    expect(exitCodeOf(7, null)).toBe(7);
    expect(exitCodeOf(7, 0)).toBe(7);
  });
});

describe('the password file', () => {
  it('gives user, group and home, and skips what is broken', () => {
    const file = '# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken:x:a:b::\nnobody:x:65534:65534::\nshort:x:1\n';
    expect(parsePasswd(file)).toEqual([
      { uid: 0, gid: 0, home: '/root' },
      { uid: 65534, gid: 65534, home: '/' },
    ]);
  });
});
