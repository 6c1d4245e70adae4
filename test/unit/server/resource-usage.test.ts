import { describe, expect, it } from '@jest/globals';

import type { ContainerUsage } from '../../../src/providers/contract.ts';
import { exposition } from '../../../src/metrics/exposition.ts';
import { cadvisorMetrics } from '../../../src/server/stats/cadvisor-metrics.ts';
import { resourceMetrics } from '../../../src/server/stats/resource-metrics.ts';
import { summary, type UsageReport } from '../../../src/server/stats/summary.ts';

const at = Date.parse('2026-11-21T09:08:54.250Z');
const startedAt = Date.parse('2026-11-21T09:00:00.500Z');

const container = (name: string, cpuNs: number, bytes: number): ContainerUsage => ({
  name,
  containerID: `process://id-${name}`,
  image: 'busybox',
  startedAt,
  cpu: { at, usageCoreNanoSeconds: cpuNs, usageNanoCores: 1_000 },
  memory: { at, usageBytes: bytes, workingSetBytes: bytes, rssBytes: bytes / 2 },
  swap: { at, usageBytes: 0 },
  processCount: 2,
  threadCount: 3,
  logs: { at, availableBytes: 10, capacityBytes: 20, usedBytes: 5, inodesFree: 1, inodes: 9, inodesUsed: 1 },
});

const report: UsageReport = {
  nodeName: 'node-1',
  node: {
    startedAt: Date.parse('2026-11-21T07:45:00Z'),
    cpuCount: 2,
    memoryBytes: 1_000_000,
    cpu: { at, usageCoreNanoSeconds: 60e9, usageNanoCores: 5e8 },
    memory: { at, workingSetBytes: 400_000, availableBytes: 600_000 },
    swap: { at, availableBytes: 0, usageBytes: 0 },
    network: {
      at,
      interfaces: [
        {
          name: 'eth0',
          rxBytes: 1,
          rxPackets: 2,
          rxErrors: 3,
          rxDropped: 4,
          txBytes: 5,
          txPackets: 6,
          txErrors: 7,
          txDropped: 8,
        },
      ],
    },
    fileSystem: { at, availableBytes: 1, capacityBytes: 3, usedBytes: 2 },
    processes: { at, max: 32768, current: 200 },
  },
  pods: [
    {
      uid: 'u',
      name: 'p',
      namespace: 'default',
      containers: [container('a', 4_710_169_000, 1000), container('b', 1e9, 3000)],
    },
  ],
  podStartTime: () => '2026-11-21T08:59:59Z',
};

/** What arrives at a client. */
const wire = (value: object) => JSON.parse(JSON.stringify(value)) as unknown;

describe('the summary', () => {
  it('adds up a pod from its containers', () => {
    expect(wire(summary(report, 'cpuAndMemory'))).toMatchObject({
      node: { nodeName: 'node-1', startTime: '2026-11-21T07:45:00Z', cpu: { usageNanoCores: 5e8 } },
      pods: [
        {
          podRef: { name: 'p', namespace: 'default', uid: 'u' },
          startTime: '2026-11-21T08:59:59Z',
          containers: [{ name: 'a', startTime: '2026-11-21T09:00:00Z' }, { name: 'b' }],
          cpu: { time: '2026-11-21T09:08:54Z', usageNanoCores: 2_000, usageCoreNanoSeconds: 5_710_169_000 },
          memory: { usageBytes: 4000, workingSetBytes: 4000, rssBytes: 2000 },
          swap: { swapUsageBytes: 0 },
        },
      ],
    });
  });

  it('tells of network, files and processes only when all is wanted', () => {
    const all = wire(summary(report, 'all'));
    expect(all).toMatchObject({
      node: {
        network: { name: 'eth0', rxBytes: 1, txErrors: 7, interfaces: [{ name: 'eth0', txBytes: 5 }] },
        fs: { capacityBytes: 3 },
        runtime: { imageFs: { usedBytes: 2 }, containerFs: { usedBytes: 2 } },
        rlimit: { maxpid: 32768, curproc: 200 },
      },
      pods: [{ 'ephemeral-storage': { usedBytes: 10, inodesUsed: 2 }, process_stats: { process_count: 4 } }],
    });
    const [node, pod] = [(all as { node: object }).node, (all as { pods: object[] }).pods[0]];
    const few = wire(summary(report, 'cpuAndMemory')) as { node: object; pods: object[] };
    const more = (a: object, b: object = {}) => Object.keys(a).filter((key) => !(key in b));
    expect(more(node, few.node)).toEqual(['network', 'fs', 'runtime', 'rlimit']);
    expect(more(pod ?? {}, few.pods[0])).toEqual(['ephemeral-storage', 'process_stats']);
  });

  it('says nothing of a sum of which a part is unknown', () => {
    const [pod] = report.pods;
    const { cpu: _cpu, ...unknown } = container('c', 0, 0);
    const partly = { ...report, pods: [{ ...pod!, containers: [...pod!.containers, unknown] }] };
    expect(wire(summary(partly, 'all'))).not.toHaveProperty('pods.0.cpu');
    expect(wire(summary(partly, 'all'))).toHaveProperty('pods.0.memory.workingSetBytes', 4000);
  });

  it('of a node whose provider cannot tell is of the node alone', () => {
    const alone = wire(summary({ ...report, pods: [] }, 'all'));
    expect(alone).toMatchObject({ node: { nodeName: 'node-1' }, pods: [] });
    expect(alone).not.toHaveProperty('node.systemContainers');
  });
});

describe('/metrics/resource', () => {
  it('has the names, labels and times that metrics-server reads', () => {
    const lines = exposition(resourceMetrics(report)).split('\n');
    for (const line of [
      'container_cpu_usage_seconds_total{container="a",namespace="default",pod="p"} 4.710169 1795252134250',
      'container_memory_working_set_bytes{container="b",namespace="default",pod="p"} 3000 1795252134250',
      'container_start_time_seconds{container="a",namespace="default",pod="p"} 1.7952516005e+09',
      'node_cpu_usage_seconds_total 60 1795252134250',
      'node_memory_working_set_bytes 400000 1795252134250',
      'pod_cpu_usage_seconds_total{namespace="default",pod="p"} 5.710169 1795252134250',
      'pod_swap_usage_bytes{namespace="default",pod="p"} 0 1795252134250',
      'resource_scrape_error 0',
      '# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds',
      '# TYPE container_cpu_usage_seconds_total counter',
    ])
      expect(lines).toContain(line);
  });

  it('without figures is only the error', () => {
    expect(exposition(resourceMetrics(undefined))).toMatch(
      /^# HELP resource_scrape_error [^\n]*\n# TYPE [^\n]*\nresource_scrape_error 1\n$/,
    );
  });
});

describe('/metrics/cadvisor', () => {
  const machine = { machineID: 'm', systemUUID: 's', bootID: 'b', kernelVersion: '6.1', osImage: 'Debian' };
  const lines = exposition(cadvisorMetrics(report, machine)).split('\n');

  it('names a container and its image, a pod by neither, and the node by no pod', () => {
    for (const line of [
      'container_cpu_usage_seconds_total{container="a",cpu="total",id="/kubepods/podu/id-a",image="busybox",name="id-a",namespace="default",pod="p"} 4.710169 1795252134250',
      'container_memory_working_set_bytes{container="",id="/kubepods/podu",image="",name="",namespace="default",pod="p"} 4000 1795252134250',
      'container_cpu_usage_seconds_total{container="",cpu="total",id="/",image="",name="",namespace="",pod=""} 60 1795252134250',
      'container_network_receive_bytes_total{container="",id="/",image="",interface="eth0",name="",namespace="",pod=""} 1 1795252134250',
      'machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2',
    ])
      expect(lines).toContain(line);
  });
});
