import { createHash } from 'node:crypto';
import { readdirSync, readlinkSync } from 'node:fs';
import { appendFile, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { systemClock, type Clock } from '../../../src/core/clock.ts';
import { readContainerLog } from '../../../src/engine/logs/index.ts';
import type { LogOptions } from '../../../src/providers/contract.ts';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anylet-logs-'));
  path = join(directory, '0.log');
});

afterEach(async () => {
  const left = openFilesOf(directory);
  await rm(directory, { recursive: true });
  expect(left).toEqual([]);
});

/** What of this process still holds a file below a folder open. */
function openFilesOf(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(folder) ? [target] : [];
    } catch {
      return [];
    }
  });
}

const stamp = (n: number) => `2016-10-06T00:00:${String(n % 60).padStart(2, '0')}.${String(n).padStart(9, '0')}Z`;
const entry = (n: number, text = `line ${n}`, stream = 'stdout', tag = 'F') => `${stamp(n)} ${stream} ${tag} ${text}\n`;
const entries = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => entry(from + i)).join('');
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `line ${from + i}\n`).join('');

interface Reading {
  running?: boolean;
  clock?: Clock;
}

/** A container and a client of its log. */
function client(options: Partial<LogOptions> = {}, { running = true, clock = systemClock }: Reading = {}) {
  const ended = new AbortController();
  const left = new AbortController();
  let isRunning = running;
  let received = '';
  let wake: (() => void) | undefined;
  const opened = readContainerLog(
    path,
    { follow: false, timestamps: false, stream: 'All', ...options },
    { isRunning: () => isRunning, ended: ended.signal, clock, signal: left.signal },
  );
  const done = (async () => {
    for await (const chunk of await opened) {
      received += Buffer.from(chunk).toString();
      wake?.();
    }
    return received;
  })();
  done.catch(() => undefined);
  return {
    opened,
    done,
    left,
    endContainer() {
      isRunning = false;
      ended.abort();
    },
    /** Resolves when exactly this much has come. */
    async has(text: string) {
      while (received.length < text.length) await new Promise<void>((resolve) => (wake = resolve));
      expect(received).toBe(text);
    },
  };
}

const read = (options: Partial<LogOptions> = {}) => client(options, { running: false }).done;

describe('a log that is not followed', () => {
  const recorded =
    [1, 2, 3, 4, 5].map((n) => entry(n, `line ${n}`)).join('') +
    [1, 2, 3, 4, 5].map((n) => entry(5 + n, `err ${n}`, 'stderr')).join('');
  const whole = 'line 1\nline 2\nline 3\nline 4\nline 5\nerr 1\nerr 2\nerr 3\nerr 4\nerr 5\n';

  it.each<[string, Partial<LogOptions>, string]>([
    ['everything', {}, whole],
    ['the last two lines', { tailLines: 2 }, 'err 4\nerr 5\n'],
    ['no line', { tailLines: 0 }, ''],
    ['more lines than there are', { tailLines: 1_000 }, whole],
    ['times', { timestamps: true, tailLines: 1 }, '2016-10-06T00:00:10.000000010Z err 5\n'],
    ['nothing, for all is older', { sinceMs: Date.UTC(2020, 0) }, ''],
    ['everything, for all is newer', { sinceMs: Date.UTC(2010, 0) }, whole],
    [
      'the tail first, then what is new enough of it',
      { tailLines: 3, sinceMs: Date.UTC(2016, 9, 6, 0, 0, 10) },
      'err 5\n',
    ],
    ['a number of bytes', { limitBytes: 10 }, 'line 1\nlin'],
    ['one stream', { stream: 'Stderr' }, 'err 1\nerr 2\nerr 3\nerr 4\nerr 5\n'],
  ])('gives %s', async (_, options, expected) => {
    await writeFile(path, recorded);
    expect(await read(options)).toBe(expected);
  });

  it('is empty when the file is', async () => {
    await writeFile(path, '');
    expect(await read()).toBe('');
    expect(await read({ tailLines: 5 })).toBe('');
  });

  it('holds back a line that is not complete, until the container has ended', async () => {
    await writeFile(path, entry(1) + `${stamp(2)} stdout F torn`);
    expect(await client({}, { running: true }).done).toBe('line 1\n');
    expect(await read()).toBe('line 1\ntorn');
    expect(await read({ tailLines: 1 })).toBe('line 1\n');
  });

  it('drops a last line that breaks off before its text', async () => {
    await writeFile(path, entry(1) + `${stamp(2)} std`);
    expect(await read()).toBe('line 1\n');
  });

  it('skips what is no entry', async () => {
    await writeFile(path, `${entry(1)}garbage\n\n${entry(2)}`);
    expect(await read()).toBe('line 1\nline 2\n');
  });

  it("reads docker's JSON lines", async () => {
    await writeFile(
      path,
      ['one\\n', 'tw', 'o\\n'].map((log, n) => `{"log":"${log}","stream":"stdout","time":"${stamp(n)}"}\n`).join(''),
    );
    expect(await read()).toBe('one\ntwo\n');
    expect(await read({ timestamps: true })).toBe(`${stamp(0)} one\n${stamp(1)} two\n`);
  });

  it('refuses a file of another format', async () => {
    await writeFile(path, 'what is "this"\n');
    await expect(read()).rejects.toMatchObject({
      code: 'Unsupported',
      message: 'failed to get parse function: unsupported log format: "what is \\"this\\"\\n"',
    });
  });

  it('says in the kubelet’s words that there is no file', async () => {
    await expect(read()).rejects.toMatchObject({
      code: 'NotFound',
      message: `failed to try resolving symlinks in path "${path}": lstat ${path}: no such file or directory`,
    });
  });

  it('follows a symbolic link', async () => {
    await writeFile(join(directory, 'real'), entry(1));
    await symlink('real', path);
    expect(await read()).toBe('line 1\n');
  });

  it('does not begin for a client that has left', async () => {
    await writeFile(path, entry(1));
    const signal = AbortSignal.abort(new Error('gone'));
    const reading = readContainerLog(
      path,
      { follow: false, timestamps: false, stream: 'All' },
      { isRunning: () => true, clock: systemClock, signal },
    );
    await expect(reading).rejects.toThrow('gone');
  });

  it('is closed when nobody reads it and the client leaves', async () => {
    await writeFile(path, entry(1));
    const left = new AbortController();
    await readContainerLog(
      path,
      { follow: false, timestamps: false, stream: 'All' },
      { isRunning: () => true, clock: systemClock, signal: left.signal },
    );
    expect(openFilesOf(directory)).toHaveLength(1);
    left.abort();
    await until(() => openFilesOf(directory).length === 0);
  });

  it('is closed when its reader stops early', async () => {
    await writeFile(path, entries(0, 50_000));
    const log = await readContainerLog(
      path,
      { follow: false, timestamps: false, stream: 'All' },
      { isRunning: () => false, clock: systemClock, signal: new AbortController().signal },
    );
    for await (const chunk of log) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });

  it('is whole when it is long, and its lines too', async () => {
    const long = 'x'.repeat(700_000);
    await writeFile(path, entries(0, 20_000) + entry(20_000, long) + entries(20_001, 20_010));
    const expected = `${lines(0, 20_000)}${long}\n${lines(20_001, 20_010)}`;
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(digest(await read())).toBe(digest(expected));
    expect(await read({ tailLines: 9 })).toBe(lines(20_001, 20_010));
    expect((await read({ tailLines: 12_345 })).length).toBe(
      `${lines(20_010 - 12_345, 20_000)}${long}\n${lines(20_001, 20_010)}`.length,
    );
  });

  it('finds the tail of any file', async () => {
    const line = fc.oneof(
      fc.constant(''),
      fc.string({ maxLength: 8 }),
      fc.integer({ min: 0, max: 70_000 }).map((n) => 'y'.repeat(n)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 6 }), fc.nat({ max: 8 }), async (texts, tailLines) => {
        const clean = texts.map((text) => text.replaceAll('\n', ' '));
        await writeFile(path, clean.map((text, n) => entry(n, text)).join(''));
        const expected = tailLines === 0 ? [] : clean.slice(-tailLines);
        expect(await read({ tailLines })).toBe(Buffer.from(expected.map((text) => `${text}\n`).join('')).toString());
      }),
      { numRuns: 60 },
    );
  });
});

describe('a log that is followed', () => {
  it('ends when the container has ended and all is read', async () => {
    await writeFile(path, entry(1));
    const log = client({ follow: true });
    await log.has('line 1\n');
    await appendFile(path, entry(2));
    await log.has('line 1\nline 2\n');
    await appendFile(path, entry(3));
    log.endContainer();
    expect(await log.done).toBe('line 1\nline 2\nline 3\n');
  });

  it('ends at once for a container that ended before', async () => {
    await writeFile(path, entry(1) + `${stamp(2)} stdout F last words`);
    expect(await client({ follow: true }, { running: false }).done).toBe('line 1\nlast words');
  });

  it('gives a line when it is complete', async () => {
    await writeFile(path, '');
    const log = client({ follow: true });
    await appendFile(path, entry(1) + entry(2).slice(0, 40));
    await log.has('line 1\n');
    await appendFile(path, entry(2).slice(40));
    await log.has('line 1\nline 2\n');
    log.endContainer();
    await log.done;
  });

  it('gives only what is new after a tail of 0', async () => {
    await writeFile(path, entries(1, 10));
    const log = client({ follow: true, tailLines: 0 });
    await log.opened;
    await appendFile(path, entry(10));
    await log.has('line 10\n');
    log.endContainer();
    await log.done;
  });

  it('gives the tail and what is new', async () => {
    await writeFile(path, entries(1, 10));
    const log = client({ follow: true, tailLines: 2 });
    await log.has('line 8\nline 9\n');
    await appendFile(path, entry(10));
    await log.has('line 8\nline 9\nline 10\n');
    log.endContainer();
    await log.done;
  });

  it('ends at its limit while the container runs', async () => {
    await writeFile(path, entry(1));
    const log = client({ follow: true, limitBytes: 9 });
    await log.has('line 1\n');
    await appendFile(path, entry(2));
    expect(await log.done).toBe('line 1\nli');
  });

  it('goes on in the new file after a rotation, and loses nothing that was written to the old one', async () => {
    await writeFile(path, entry(1));
    const log = client({ follow: true });
    await log.has('line 1\n');
    await rename(path, `${path}.20161006-000001`);
    await appendFile(`${path}.20161006-000001`, entry(2));
    await log.has('line 1\nline 2\n');
    await appendFile(`${path}.20161006-000001`, entry(3));
    await writeFile(path, entry(4));
    await log.has('line 1\nline 2\nline 3\nline 4\n');
    await rename(path, `${path}.20161006-000002`);
    await writeFile(path, entry(5));
    await log.has('line 1\nline 2\nline 3\nline 4\nline 5\n');
    log.endContainer();
    expect(await log.done).toBe(lines(1, 6));
  });

  it('reads the new file of a container that ended right after a rotation', async () => {
    await writeFile(path, entry(1));
    const log = client({ follow: true });
    await log.has('line 1\n');
    await rename(path, `${path}.1`);
    await writeFile(path, entry(2));
    log.endContainer();
    expect(await log.done).toBe('line 1\nline 2\n');
  });

  it('looks again each second where the system reports no change', async () => {
    await writeFile(path, '');
    let due: (() => void) | undefined;
    const delays: number[] = [];
    const clock: Clock = {
      ...systemClock,
      after(ms, fn) {
        delays.push(ms);
        due = fn;
        return () => undefined;
      },
    };
    let isRunning = true;
    const log = await readContainerLog(
      path,
      { follow: true, timestamps: false, stream: 'All' },
      { isRunning: () => isRunning, clock, signal: new AbortController().signal },
    );
    const next = log[Symbol.asyncIterator]().next();
    await until(() => due !== undefined);
    // The end of a container is no change of its log.
    isRunning = false;
    due?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(new Set(delays)).toEqual(new Set([1_000]));
  });

  it('waits without asking all the time', async () => {
    await writeFile(path, entry(1));
    let asked = 0;
    let waiting = 0;
    const clock: Clock = {
      ...systemClock,
      after() {
        waiting++;
        return () => undefined;
      },
    };
    const left = new AbortController();
    const log = await readContainerLog(
      path,
      { follow: true, timestamps: false, stream: 'All' },
      { isRunning: () => ++asked > 0, clock, signal: left.signal },
    );
    const iterator = log[Symbol.asyncIterator]();
    await iterator.next();
    const next = iterator.next();
    await until(() => waiting === 1);
    await turns(50);
    expect({ asked, waiting }).toEqual({ asked: 2, waiting: 1 });
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it('ends at once when the client leaves', async () => {
    await writeFile(path, entry(1));
    const log = client({ follow: true });
    await log.has('line 1\n');
    log.left.abort(new Error('client left'));
    await expect(log.done).rejects.toThrow('client left');
    await until(() => openFilesOf(directory).length === 0);
  });

  it('serves hundreds of followers of one log', async () => {
    await writeFile(path, entry(1));
    const logs = Array.from({ length: 500 }, () => client({ follow: true }));
    await Promise.all(logs.map((log) => log.has('line 1\n')));
    for (let n = 2; n <= 4; n++) {
      await appendFile(path, entry(n));
      await Promise.all(logs.map((log) => log.has(lines(1, n + 1))));
    }
    for (const log of logs) log.endContainer();
    expect(new Set(await Promise.all(logs.map((log) => log.done)))).toEqual(new Set([lines(1, 5)]));
  });
});

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turns(1);
}
