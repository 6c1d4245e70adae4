import { readdirSync, readFileSync } from 'node:fs';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { RuntimeUsage } from '../../../src/providers/contract.ts';
import { type Daemon, eventually, Machine } from './fixture.ts';

let machine: Machine;
let daemon: Daemon;

beforeAll(async () => {
  machine = new Machine();
  daemon = await machine.daemon();
});

afterEach(() => machine.clear());

afterAll(() => machine.dispose());

const onLinux = process.platform === 'linux' ? describe : describe.skip;

async function usageOf(id: string): Promise<RuntimeUsage | undefined> {
  return (await daemon.runtime.stats?.('all'))?.find((usage) => usage.id === id);
}

/** CPU time of one process by its own account, in nanoseconds. */
function ticksOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000_000;
}

function mainProcess(id: string): number {
  const marker = `CONTAINER_SANDBOX_MOUNT_POINT=`;
  const found = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/environ`, 'latin1')
        .split('\0')
        .some((entry) => entry.startsWith(marker) && entry.endsWith(id));
    } catch {
      return false;
    }
  });
  return Number(found);
}

onLinux('what a container uses', () => {
  it('is something even when it does nothing', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const usage = (await eventually(() => usageOf(id), 'the figures'))!;
    expect(usage.cpu?.usageCoreNanoSeconds).toBeGreaterThan(0);
    expect(usage.memory?.workingSetBytes).toBeGreaterThan(0);
    expect(usage.memory?.rssBytes).toBeLessThan(usage.memory?.workingSetBytes ?? 0);
    expect(usage).toMatchObject({ processCount: 1, threadCount: 1 });
  });

  it('is what /proc says of its process', async () => {
    const { id } = await daemon.start(['sh', '-c', 'while :; do :; done']);
    const pid = await eventually(() => mainProcess(id), 'the process');
    await eventually(() => ticksOf(pid) > 300_000_000, 'the process to have run for a while');
    const before = ticksOf(pid);
    const usage = (await usageOf(id))?.cpu?.usageCoreNanoSeconds ?? 0;
    expect(usage).toBeGreaterThanOrEqual(before);
    expect(usage).toBeLessThanOrEqual(ticksOf(pid));
  });

  it('holds every process of it, also one that left its session and its parent', async () => {
    const { id } = await daemon.start(['sh', '-c', '(setsid sleep 1000 &); sleep 1000 & wait']);
    await eventually(async () => (await usageOf(id))?.processCount === 3, 'three processes');
  });

  it('does not fall when a process ends that nobody waits for', async () => {
    const burn = 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done';
    const { id } = await daemon.start(['sh', '-c', `(setsid sh -c '${burn}; sleep 0.3' &); exec sleep 1000`]);
    let highest = 0;
    await eventually(async () => {
      const usage = await usageOf(id);
      const now = usage?.cpu?.usageCoreNanoSeconds ?? 0;
      expect(now).toBeGreaterThanOrEqual(highest);
      highest = now;
      return highest > 50_000_000 && usage?.processCount === 1;
    }, 'the other process to have worked and ended');
    expect((await usageOf(id))?.cpu?.usageCoreNanoSeconds).toBeGreaterThanOrEqual(highest);
  });

  it('is nothing when it has ended', async () => {
    const { id } = await daemon.start(['true']);
    await daemon.exited(id);
    expect(await usageOf(id)).toBeUndefined();
  });

  it('is told to all who ask at once by one look', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    await eventually(() => usageOf(id), 'the figures');
    const [one, other] = await Promise.all([daemon.runtime.stats?.('all'), daemon.runtime.stats?.('cpuAndMemory')]);
    expect(other).toBe(one);
  });
});
