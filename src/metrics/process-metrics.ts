import { readdirSync, readFileSync } from 'node:fs';

import type { Registry } from './registry.ts';

/** The moment this process was started, milliseconds since the epoch. */
export const processStartedAt = Date.now() - process.uptime() * 1000;

/** When the process was started: of the metrics of every endpoint. */
export function registerProcessStart(registry: Registry): void {
  registry.reading(
    {
      name: 'process_start_time_seconds',
      help: 'Start time of the process since unix epoch in seconds.',
      stability: 'ALPHA',
      type: 'gauge',
    },
    () => Math.round(processStartedAt / 10) / 100,
  );
}

/** What a process of any language tells of itself, and what only one of Node.js does. */
export function registerProcessMetrics(registry: Registry): void {
  registerProcessStart(registry);
  registry.reading(
    {
      name: 'process_cpu_seconds_total',
      help: 'Total user and system CPU time spent in seconds.',
      type: 'counter',
    },
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  );
  registry.reading(
    { name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.', type: 'gauge' },
    () => process.memoryUsage.rss(),
  );
  if (process.platform === 'linux') {
    registry.reading(
      { name: 'process_virtual_memory_bytes', help: 'Virtual memory size in bytes.', type: 'gauge' },
      () => Number(/^VmSize:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? 0) * 1024,
    );
    registry.reading(
      { name: 'process_open_fds', help: 'Number of open file descriptors.', type: 'gauge' },
      () => readdirSync('/proc/self/fd').length,
    );
    registry.reading({ name: 'process_max_fds', help: 'Maximum number of open file descriptors.', type: 'gauge' }, () =>
      Number(/^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? Infinity),
    );
  }
  registry.reading(
    { name: 'nodejs_heap_size_used_bytes', help: 'Process heap size used from Node.js in bytes.', type: 'gauge' },
    () => process.memoryUsage().heapUsed,
  );
  registry.reading(
    { name: 'nodejs_version_info', help: 'Node.js version info.', type: 'gauge', labels: ['version'] },
    () => [{ labels: { version: process.version }, value: 1 }],
  );
}

export interface BuildInfo {
  /** e.g. `v1.36.3+anylet.0.1.0`. */
  readonly gitVersion: string;
  /** Go's names, e.g. `linux/amd64`. */
  readonly platform: string;
}

/** Which version of Kubernetes this behaves as; what tells of a Go build is empty. */
export function registerBuildInfo(registry: Registry, { gitVersion, platform }: BuildInfo): void {
  const [, major = '', minor = ''] = /^v(\d+)\.(\d+)/.exec(gitVersion) ?? [];
  const labels = {
    major,
    minor,
    git_version: gitVersion,
    git_commit: '',
    git_tree_state: '',
    build_date: '',
    go_version: '',
    compiler: '',
    platform,
  };
  registry.reading(
    {
      name: 'kubernetes_build_info',
      help: "A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running.",
      stability: 'BETA',
      type: 'gauge',
      labels: Object.keys(labels) as (keyof typeof labels)[],
    },
    () => [{ labels, value: 1 }],
  );
}
