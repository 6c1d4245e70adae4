import { describe, expect, it } from '@jest/globals';

import { cpuTime, memoryUsage, networkOf, parsePressure } from '../../../src/host/node-usage.ts';
import { parseStatus } from '../../../src/host/process-table.ts';

describe('/proc/stat', () => {
  it('is the time that the CPUs worked, without idling and waiting', () => {
    const stat = 'cpu  100 20 30 5000 600 7 8 9 50 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n';
    expect(cpuTime(stat)).toBe((100 + 20 + 30 + 7 + 8 + 9) * 10_000_000);
  });
});

describe('/proc/meminfo', () => {
  it('is used as far as it is not free, and needed as far as it is no inactive file', () => {
    const meminfo =
      'MemTotal:       1000 kB\nMemFree:         400 kB\nInactive(file):  100 kB\nAnonPages:        50 kB\nSwapTotal:        20 kB\nSwapFree:         15 kB\n';
    const { memory, swap } = memoryUsage(7, meminfo, 'nr_free_pages 1\npgfault 12\npgmajfault 3\n');
    expect(memory).toEqual({
      at: 7,
      usageBytes: 600 * 1024,
      workingSetBytes: 500 * 1024,
      availableBytes: 500 * 1024,
      rssBytes: 50 * 1024,
      pageFaults: 12,
      majorPageFaults: 3,
    });
    expect(swap).toEqual({ at: 7, availableBytes: 15 * 1024, usageBytes: 5 * 1024 });
  });
});

describe('/proc/net/dev', () => {
  const dev = [
    'Inter-|   Receive                                                |  Transmit',
    ' face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed',
    '    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0',
    '  eth1:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0',
    '  eth0: 10 20 30 40 0 0 0 0 50 60 70 80 0 0 0 0',
    'veth12ab: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0',
  ].join('\n');

  it('tells of the interfaces that are not of the loopback or of containers, the default one first', () => {
    const route = 'Iface\tDestination\tGateway\neth1\t0000000A\t00000000\neth0\t00000000\t0100000A\n';
    const usage = networkOf(5, dev, route);
    expect(usage?.interfaces.map(({ name }) => name)).toEqual(['eth0', 'eth1']);
    expect(usage?.interfaces[1]).toEqual({
      name: 'eth1',
      rxBytes: 1,
      rxPackets: 2,
      rxErrors: 3,
      rxDropped: 4,
      txBytes: 5,
      txPackets: 6,
      txErrors: 7,
      txDropped: 8,
    });
  });

  it('that is not there is nothing', () => {
    expect(networkOf(5, undefined, undefined)).toBeUndefined();
  });
});

describe('/proc/pressure', () => {
  it('is read in nanoseconds', () => {
    const text = 'some avg10=1.50 avg60=0.25 avg300=0.00 total=12\nfull avg10=0.10 avg60=0.00 avg300=0.00 total=5\n';
    expect(parsePressure(text)).toEqual({
      some: { avg10: 1.5, avg60: 0.25, avg300: 0, total: 12_000 },
      full: { avg10: 0.1, avg60: 0, avg300: 0, total: 5_000 },
    });
  });

  it('that is not there is nothing', () => {
    expect(parsePressure(undefined)).toBeUndefined();
  });
});

describe('/proc/<pid>/status', () => {
  it('is what the process holds', () => {
    const status =
      'Name:\tx\nVmSize:\t 9000 kB\nVmRSS:\t    1200 kB\nRssAnon:\t     200 kB\nVmSwap:\t      4 kB\nThreads:\t3\n';
    expect(parseStatus(status)).toEqual({
      residentBytes: 1200 * 1024,
      anonymousBytes: 200 * 1024,
      swapBytes: 4 * 1024,
      threads: 3,
    });
  });

  it('of a process that has ended is nothing', () => {
    expect(parseStatus('Name:\tx\nState:\tZ (zombie)\n')).toBeUndefined();
  });
});
