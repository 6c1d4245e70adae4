/**
 * Figures of what a node, a pod or a container uses. Types only. What is not known is absent, never zero. Follows
 * `k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go`, with times in milliseconds since the epoch.
 *
 * Nanoseconds are plain numbers: above 2^53 of them (104 days of one CPU) the last digit is rounded, which no clock
 * behind them resolves.
 */

/** Whether all is wanted, or what metrics-server asks for every few seconds and what must therefore be cheap. */
export type UsageScope = 'all' | 'cpuAndMemory';

export interface CpuUsage {
  /** When it was measured. */
  readonly at: number;
  /** CPU time since the container (or machine) started; never falls for one instance. */
  readonly usageCoreNanoSeconds?: number;
  /** Over the time since an earlier measurement. */
  readonly usageNanoCores?: number;
  readonly pressure?: Pressure;
}

export interface MemoryUsage {
  readonly at: number;
  /** Up to the limit, or what the machine has. */
  readonly availableBytes?: number;
  readonly usageBytes?: number;
  /** What cannot be reclaimed without harm. */
  readonly workingSetBytes?: number;
  /** Anonymous memory. */
  readonly rssBytes?: number;
  readonly pageFaults?: number;
  readonly majorPageFaults?: number;
  readonly pressure?: Pressure;
}

export interface SwapUsage {
  readonly at: number;
  readonly availableBytes?: number;
  readonly usageBytes?: number;
}

/** A file system, and what of it belongs to somebody: `usedBytes` may be less than capacity minus available. */
export interface FileSystemUsage {
  readonly at: number;
  readonly availableBytes?: number;
  readonly capacityBytes?: number;
  readonly usedBytes?: number;
  readonly inodesFree?: number;
  readonly inodes?: number;
  readonly inodesUsed?: number;
}

export interface InterfaceUsage {
  readonly name: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface NetworkUsage {
  readonly at: number;
  /** The first is that of the default route. */
  readonly interfaces: readonly InterfaceUsage[];
}

/** Pressure stall information of one resource; see `Documentation/accounting/psi.rst` of Linux. */
export interface Pressure {
  readonly full: PressureShare;
  readonly some: PressureShare;
}

export interface PressureShare {
  /** Nanoseconds stalled since the machine started. */
  readonly total: number;
  /** Per cent of the last 10, 60 and 300 seconds. */
  readonly avg10: number;
  readonly avg60: number;
  readonly avg300: number;
}

/** The machine that the node is. */
export interface NodeUsage {
  /** When the machine was started. */
  readonly startedAt: number;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  readonly cpu?: CpuUsage;
  readonly memory?: MemoryUsage;
  readonly swap?: SwapUsage;
  readonly io?: { readonly at: number; readonly pressure: Pressure };
  readonly network?: NetworkUsage;
  /** The file system of the node's state directory. */
  readonly fileSystem?: FileSystemUsage;
  readonly processes?: { readonly at: number; readonly max?: number; readonly current?: number };
}
