import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { cpus, freemem, totalmem, uptime } from 'node:os';

import type { Clock } from '../core/clock.ts';
import type {
  CpuUsage,
  FileSystemUsage,
  InterfaceUsage,
  MemoryUsage,
  NetworkUsage,
  NodeUsage,
  Pressure,
  PressureShare,
  SwapUsage,
  UsageScope,
} from '../core/resource-usage.ts';
import { clockTickNs } from './process-table.ts';

/** A rate over less than this says more of the clock than of the machine. */
const shortestRateMs = 500;

/**
 * Reads what this machine uses: from `/proc` on Linux, elsewhere the little that Node.js tells. Made once: rates are
 * between its answers.
 */
export class NodeUsageReader {
  readonly #clock: Clock;
  readonly #storagePath: string;
  #last: { at: number; usage: number } | undefined;
  #usageNanoCores: number | undefined;

  /** `storagePath` must exist; its file system is the node's. */
  constructor(clock: Clock, storagePath: string) {
    this.#clock = clock;
    this.#storagePath = storagePath;
    // What the first answer's rate is measured against.
    this.#cpu(this.#clock.now(), read('/proc/stat'));
  }

  async read(scope: UsageScope): Promise<NodeUsage> {
    const at = this.#clock.now();
    const stat = read('/proc/stat');
    const bootTime = /^btime (\d+)$/m.exec(stat ?? '')?.[1];
    const cheap: NodeUsage = {
      startedAt: bootTime === undefined ? Math.round(at - uptime() * 1000) : Number(bootTime) * 1000,
      cpuCount: cpus().length,
      memoryBytes: totalmem(),
      cpu: this.#cpu(at, stat),
      ...memoryOf(at),
    };
    if (scope === 'cpuAndMemory') return cheap;
    const io = pressure('io');
    const network = networkOf(at, read('/proc/net/dev'), read('/proc/net/route'));
    const processes = processesOf(at);
    return {
      ...cheap,
      ...(io === undefined ? {} : { io: { at, pressure: io } }),
      ...(network === undefined ? {} : { network }),
      ...(processes === undefined ? {} : { processes }),
      fileSystem: await fileSystemUsage(this.#storagePath, at),
    };
  }

  #cpu(at: number, stat: string | undefined): CpuUsage {
    const usage = stat === undefined ? cpuTimeOfNode() : cpuTime(stat);
    // Before there is a second measurement: the average since the machine was started.
    const since = this.#last ?? { at: at - uptime() * 1000, usage: 0 };
    if (at - since.at >= shortestRateMs) {
      this.#usageNanoCores = Math.max(0, Math.round((usage - since.usage) / ((at - since.at) / 1000)));
      this.#last = { at, usage };
    }
    const stalled = pressure('cpu');
    return {
      at,
      usageCoreNanoSeconds: usage,
      ...(this.#usageNanoCores === undefined ? {} : { usageNanoCores: this.#usageNanoCores }),
      ...(stalled === undefined ? {} : { pressure: stalled }),
    };
  }
}

/** Size and use of the file system that holds `path`. */
export async function fileSystemUsage(path: string, at: number): Promise<FileSystemUsage> {
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path);
  return {
    at,
    availableBytes: bsize * bavail,
    capacityBytes: bsize * blocks,
    usedBytes: bsize * (blocks - bfree),
    inodesFree: ffree,
    inodes: files,
    inodesUsed: files - ffree,
  };
}

/** Nanoseconds that the CPUs worked, by the first line of `/proc/stat`: all but idling and waiting for a disk. */
export function cpuTime(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (/^cpu\s+(.*)$/m.exec(stat)?.[1] ?? '')
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * clockTickNs;
}

function cpuTimeOfNode(): number {
  return cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + (user + nice + sys + irq) * 1e6, 0);
}

function memoryOf(at: number): { memory: MemoryUsage; swap?: SwapUsage } {
  const meminfo = read('/proc/meminfo');
  if (meminfo === undefined) {
    const usageBytes = totalmem() - freemem();
    return { memory: { at, availableBytes: freemem(), usageBytes, workingSetBytes: usageBytes } };
  }
  const { memory, swap } = memoryUsage(at, meminfo, read('/proc/vmstat') ?? '');
  const stalled = pressure('memory');
  return { memory: stalled === undefined ? memory : { ...memory, pressure: stalled }, swap };
}

/**
 * As the kubelet sees a cgroup v2 root: usage is what is not free, the working set that without inactive files
 * (github.com/opencontainers/cgroups, `rootStatsFromMeminfo`).
 */
export function memoryUsage(at: number, meminfo: string, vmstat: string): { memory: MemoryUsage; swap: SwapUsage } {
  const kib = fields(meminfo, /^([\w()]+):\s+(\d+)(?: kB)?$/gm);
  const bytes = (name: string) => (kib.get(name) ?? 0) * 1024;
  const events = fields(vmstat, /^(pgfault|pgmajfault) (\d+)$/gm);
  const usageBytes = bytes('MemTotal') - bytes('MemFree');
  const workingSetBytes = Math.max(0, usageBytes - bytes('Inactive(file)'));
  return {
    memory: {
      at,
      availableBytes: bytes('MemTotal') - workingSetBytes,
      usageBytes,
      workingSetBytes,
      rssBytes: bytes('AnonPages'),
      pageFaults: events.get('pgfault') ?? 0,
      majorPageFaults: events.get('pgmajfault') ?? 0,
    },
    swap: { at, availableBytes: bytes('SwapFree'), usageBytes: bytes('SwapTotal') - bytes('SwapFree') },
  };
}

function fields(text: string, line: RegExp): Map<string, number> {
  return new Map([...text.matchAll(line)].map(([, name = '', value]) => [name, Number(value)]));
}

/** Interfaces with a life of their own: not the loopback, nor those of containers. */
const ownInterface = /^(?!lo$|veth|docker|cni|br-|ifb|cali|flannel)/;

/** `/proc/net/dev`, the interface of the default route (`/proc/net/route`) first. */
export function networkOf(at: number, dev: string | undefined, route: string | undefined): NetworkUsage | undefined {
  const interfaces = (dev ?? '').split('\n').flatMap((line): InterfaceUsage[] => {
    const [, name, rest] = /^\s*(\S+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined || !ownInterface.test(name)) return [];
    const [
      rxBytes = 0,
      rxPackets = 0,
      rxErrors = 0,
      rxDropped = 0,
      ,
      ,
      ,
      ,
      txBytes = 0,
      txPackets = 0,
      txErrors = 0,
      txDropped = 0,
    ] = rest.split(/\s+/).map(Number);
    return [{ name, rxBytes, rxPackets, rxErrors, rxDropped, txBytes, txPackets, txErrors, txDropped }];
  });
  if (interfaces.length === 0) return undefined;
  const first = /^(\S+)\t00000000\t/m.exec(route ?? '')?.[1];
  return { at, interfaces: interfaces.sort((a, b) => Number(b.name === first) - Number(a.name === first)) };
}

function processesOf(at: number): NodeUsage['processes'] {
  const [pids, threads] = ['/proc/sys/kernel/pid_max', '/proc/sys/kernel/threads-max'].map((path) =>
    Number(read(path) ?? Number.NaN),
  );
  const current = Number(/^\S+ \S+ \S+ \d+\/(\d+)/.exec(read('/proc/loadavg') ?? '')?.[1]);
  const max = Math.min(...([pids, threads].filter((limit) => limit !== undefined && !Number.isNaN(limit)) as number[]));
  if (Number.isNaN(current) || !Number.isFinite(max)) return undefined;
  return { at, max, current };
}

function pressure(resource: 'cpu' | 'io' | 'memory'): Pressure | undefined {
  return parsePressure(read(`/proc/pressure/${resource}`));
}

/** A file of `/proc/pressure`; undefined where the kernel does not keep it. */
export function parsePressure(text: string | undefined): Pressure | undefined {
  const share = (kind: string): PressureShare => {
    const line = new RegExp(`^${kind} avg10=(\\S+) avg60=(\\S+) avg300=(\\S+) total=(\\d+)$`, 'm').exec(text ?? '');
    const [avg10 = 0, avg60 = 0, avg300 = 0, microseconds = 0] = (line ?? []).slice(1).map(Number);
    return { total: microseconds * 1000, avg10, avg60, avg300 };
  };
  return text?.startsWith('some ') === true ? { full: share('full'), some: share('some') } : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
