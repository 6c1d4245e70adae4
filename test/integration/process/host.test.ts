import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { findProgram } from '../../../src/host/find-program.ts';
import { environmentValue, isRunning, listProcesses, parsePs, readProcess } from '../../../src/host/process-table.ts';
import { signalProcess } from '../../../src/host/signals.ts';

describe('the process table', () => {
  it('knows this process, its parent and its environment', async () => {
    const own = (await listProcesses()).find(({ pid }) => pid === process.pid);
    expect(own).toMatchObject({ parent: process.ppid, zombie: false });
    // All but the time it has used, which goes on.
    expect({ ...readProcess(process.pid), cpu: own?.cpu }).toEqual(own);
    expect(environmentValue(process.pid, 'PATH')).toBeDefined();
    expect(environmentValue(process.pid, 'PAT')).toBeUndefined();
  });

  it('is read the same from ps, for systems without /proc', async () => {
    const output = execFileSync('ps', ['-o', 'pid=,ppid=,pgid=,stat=,lstart=', '-A'], {
      encoding: 'utf8',
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    });
    const own = parsePs(output).find(({ pid }) => pid === process.pid);
    expect(own).toMatchObject({ parent: process.ppid, zombie: false });
    expect(Math.abs((own?.startTime ?? 0) - performance.timeOrigin)).toBeLessThan(5_000);
  });

  it('signals a process only while it is the very same', async () => {
    const child = spawn('sleep', ['1017'], { stdio: 'ignore' });
    const identity = readProcess(child.pid as number);
    if (identity === undefined) throw new Error('not started');
    expect(signalProcess({ ...identity, startTime: identity.startTime + 1 }, 9)).toBe(false);
    expect(isRunning(identity)).toBe(true);
    expect(signalProcess(identity, 9)).toBe(true);
    await once(child, 'exit');
    expect(isRunning(identity)).toBe(false);
    expect(signalProcess(identity, 9)).toBe(false);
  });
});

describe('a program', () => {
  let folder: string;
  const root = { uid: 0, gid: 0, groups: [] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'anylet-test-'));
    mkdirSync(join(folder, 'bin'));
    for (const [name, mode] of [
      ['open', 0o755],
      ['group', 0o710],
      ['plain', 0o644],
    ] as const) {
      writeFileSync(join(folder, 'bin', name), '#!/bin/sh\n');
      chmodSync(join(folder, 'bin', name), mode);
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  it('is looked for along PATH and relative to the working directory', () => {
    const file = join(folder, 'bin', 'open');
    expect(findProgram('open', { path: `/nowhere:${folder}/bin`, directory: '/', user: root })).toBe(file);
    expect(findProgram('open', { path: 'bin', directory: folder, user: root })).toBe(file);
    expect(findProgram('bin/open', { path: '', directory: folder, user: root })).toBe(file);
  });

  it('must be executable for its user, as owner, by group or by anybody', () => {
    const search = { path: join(folder, 'bin'), directory: '/' };
    const stranger = { uid: 54_321, gid: 54_321, groups: [] };
    expect(() => findProgram('plain', { ...search, user: root })).toThrow(
      'exec: "plain": executable file not found in $PATH',
    );
    expect(() => findProgram('group', { ...search, user: stranger })).toThrow('not found');
    expect(findProgram('group', { ...search, user: { ...stranger, groups: [process.getgid?.() ?? 0] } })).toBe(
      join(folder, 'bin', 'group'),
    );
    expect(findProgram('open', { ...search, user: stranger })).toBe(join(folder, 'bin', 'open'));
  });
});
