import { rfc3339 } from '../../core/clock.ts';
import type {
  CpuUsage,
  FileSystemUsage,
  MemoryUsage,
  NetworkUsage,
  NodeUsage,
  SwapUsage,
  UsageScope,
} from '../../core/resource-usage.ts';
import type { ContainerUsage, PodUsage } from '../../providers/contract.ts';

/** All that the endpoints about resource usage are made of, at one moment. */
export interface UsageReport {
  readonly nodeName: string;
  readonly node: NodeUsage;
  /** Empty when the provider cannot tell. */
  readonly pods: readonly PodUsage[];
  /** When a pod was taken on, by its UID; RFC 3339. */
  readonly podStartTime: (uid: string) => string | undefined;
}

/**
 * The Summary API (`k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go`), with keys in the kubelet's order. What is not
 * known is left out.
 */
export function summary({ nodeName, node, pods, podStartTime }: UsageReport, scope: UsageScope): object {
  const everything = scope === 'all';
  const total = systemContainerOfPods(pods, node.memoryBytes);
  return {
    node: {
      nodeName,
      ...(total === undefined ? {} : { systemContainers: [total] }),
      startTime: rfc3339(node.startedAt),
      ...cpuAndMemory(node),
      ...(everything && {
        ...(node.io && { io: { time: rfc3339(node.io.at), psi: node.io.pressure } }),
        ...(node.network && { network: network(node.network) }),
        ...(node.fileSystem && {
          fs: fileSystem(node.fileSystem),
          runtime: { imageFs: fileSystem(node.fileSystem), containerFs: fileSystem(node.fileSystem) },
        }),
        ...(node.processes && {
          rlimit: { time: rfc3339(node.processes.at), maxpid: node.processes.max, curproc: node.processes.current },
        }),
      }),
      ...swap(node.swap),
    },
    pods: pods.map((pod) => podStats(pod, podStartTime(pod.uid), everything)),
  };
}

function podStats(pod: PodUsage, startTime: string | undefined, everything: boolean): object {
  const { name, namespace, uid, containers } = pod;
  const first = Math.min(...containers.map(({ startedAt }) => startedAt));
  const processes = sum(containers.map(({ processCount }) => processCount));
  const ephemeral = ephemeralStorage(containers);
  return {
    podRef: { name, namespace, uid },
    startTime: startTime ?? rfc3339(first),
    containers: containers.map((container) => containerStats(container, everything)),
    ...cpuAndMemory({ cpu: pod.cpu ?? cpuSum(containers), memory: pod.memory ?? memorySum(containers) }),
    ...(everything && {
      ...(pod.network && { network: network(pod.network) }),
      ...(ephemeral && { 'ephemeral-storage': fileSystem(ephemeral) }),
      ...(processes !== undefined && { process_stats: { process_count: processes } }),
    }),
    ...swap(swapSum(containers)),
  };
}

function containerStats({ name, startedAt, cpu, memory, ...rest }: ContainerUsage, everything: boolean): object {
  return {
    name,
    startTime: rfc3339(startedAt),
    ...cpuAndMemory({ cpu, memory }),
    ...(everything && {
      ...(rest.rootfs && { rootfs: fileSystem(rest.rootfs) }),
      ...(rest.logs && { logs: fileSystem(rest.logs) }),
    }),
    ...swap(rest.swap),
  };
}

/** The kubelet shows its pods' cgroup as a system container; here it is their sum. What it may use is the machine's. */
function systemContainerOfPods(pods: readonly PodUsage[], memoryBytes: number): object | undefined {
  const containers = pods.flatMap(({ containers }) => containers);
  const cpu = cpuSum(containers);
  const used = memorySum(containers);
  const memory = used && { ...used, availableBytes: Math.max(0, memoryBytes - (used.workingSetBytes ?? 0)) };
  if (cpu === undefined && memory === undefined) return undefined;
  const first = Math.min(...containers.map(({ startedAt }) => startedAt));
  return { name: 'pods', startTime: rfc3339(first), ...cpuAndMemory({ cpu, memory }), ...swap(swapSum(containers)) };
}

function cpuAndMemory({ cpu, memory }: { cpu?: CpuUsage | undefined; memory?: MemoryUsage | undefined }): object {
  return {
    ...(cpu && {
      cpu: {
        time: rfc3339(cpu.at),
        usageNanoCores: cpu.usageNanoCores,
        usageCoreNanoSeconds: cpu.usageCoreNanoSeconds,
        psi: cpu.pressure,
      },
    }),
    ...(memory && {
      memory: {
        time: rfc3339(memory.at),
        availableBytes: memory.availableBytes,
        usageBytes: memory.usageBytes,
        workingSetBytes: memory.workingSetBytes,
        rssBytes: memory.rssBytes,
        pageFaults: memory.pageFaults,
        majorPageFaults: memory.majorPageFaults,
        psi: memory.pressure,
      },
    }),
  };
}

function swap(usage: SwapUsage | undefined): object {
  if (usage === undefined) return {};
  const { at, availableBytes, usageBytes } = usage;
  return { swap: { time: rfc3339(at), swapAvailableBytes: availableBytes, swapUsageBytes: usageBytes } };
}

function network({ at, interfaces }: NetworkUsage): object {
  const shown = interfaces.map(({ name, rxBytes, rxErrors, txBytes, txErrors }) => {
    return { name, rxBytes, rxErrors, txBytes, txErrors };
  });
  return { time: rfc3339(at), ...shown[0], interfaces: shown };
}

function fileSystem({ at, ...figures }: FileSystemUsage): object {
  const { availableBytes, capacityBytes, usedBytes, inodesFree, inodes, inodesUsed } = figures;
  return { time: rfc3339(at), availableBytes, capacityBytes, usedBytes, inodesFree, inodes, inodesUsed };
}

/** What a pod writes on the node: its containers' own files and their logs. */
function ephemeralStorage(containers: readonly ContainerUsage[]): FileSystemUsage | undefined {
  const parts = containers.flatMap(({ rootfs, logs }) => [rootfs, logs].filter((part) => part !== undefined));
  const [first] = parts;
  if (first === undefined) return undefined;
  const usedBytes = sum(parts.map((part) => part.usedBytes));
  const inodesUsed = sum(parts.map((part) => part.inodesUsed));
  return { ...first, ...(usedBytes !== undefined && { usedBytes }), ...(inodesUsed !== undefined && { inodesUsed }) };
}

/** The sum of what the containers use; undefined when one of them does not know. */
export function cpuSum(containers: readonly ContainerUsage[]): CpuUsage | undefined {
  const parts = containers.map(({ cpu }) => cpu);
  const usageCoreNanoSeconds = sum(parts.map((cpu) => cpu?.usageCoreNanoSeconds));
  const usageNanoCores = sum(parts.map((cpu) => cpu?.usageNanoCores));
  if (usageCoreNanoSeconds === undefined && usageNanoCores === undefined) return undefined;
  return {
    at: latest(parts),
    ...(usageCoreNanoSeconds !== undefined && { usageCoreNanoSeconds }),
    ...(usageNanoCores !== undefined && { usageNanoCores }),
  };
}

export function memorySum(containers: readonly ContainerUsage[]): MemoryUsage | undefined {
  const parts = containers.map(({ memory }) => memory);
  const known = (['usageBytes', 'workingSetBytes', 'rssBytes', 'pageFaults', 'majorPageFaults'] as const).flatMap(
    (key) => {
      const value = sum(parts.map((memory) => memory?.[key]));
      return value === undefined ? [] : [[key, value] as const];
    },
  );
  return known.length === 0 ? undefined : { at: latest(parts), ...Object.fromEntries(known) };
}

export function swapSum(containers: readonly ContainerUsage[]): SwapUsage | undefined {
  const parts = containers.map(({ swap }) => swap);
  const usageBytes = sum(parts.map((swap) => swap?.usageBytes));
  return usageBytes === undefined ? undefined : { at: latest(parts), usageBytes };
}

function sum(values: readonly (number | undefined)[]): number | undefined {
  return values.length === 0
    ? undefined
    : values.reduce((total, value) => (total === undefined || value === undefined ? undefined : total + value), 0);
}

function latest(parts: readonly ({ readonly at: number } | undefined)[]): number {
  return Math.max(...parts.map((part) => part?.at ?? 0));
}
