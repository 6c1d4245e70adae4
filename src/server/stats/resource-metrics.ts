import type { Label, MetricFamily, Sample, Stability } from '../../metrics/exposition.ts';
import { cpuSum, memorySum, swapSum, type UsageReport } from './summary.ts';

/**
 * What metrics-server scrapes (`/metrics/resource`), with the time at which each value was measured. Follows
 * pkg/kubelet/metrics/collectors/resource_metrics.go. Without a report only the error is told.
 */
export function resourceMetrics(report: UsageReport | undefined): MetricFamily[] {
  const families = new Map<string, { family: Omit<MetricFamily, 'samples'>; samples: Sample[] }>();
  const add = (
    [name, type, stability, help]: Definition,
    labels: readonly Label[],
    value: number | undefined,
    at: number | undefined,
  ) => {
    let entry = families.get(name);
    if (entry === undefined) {
      entry = { family: { name, type, help: `[${stability}] ${help}` }, samples: [] };
      families.set(name, entry);
    }
    if (value !== undefined) entry.samples.push({ name, labels, value, ...(at !== undefined && { at }) });
  };

  if (report !== undefined) {
    const { cpu, memory, swap } = report.node;
    add(nodeCpu, [], seconds(cpu?.usageCoreNanoSeconds), cpu?.at);
    add(nodeMemory, [], memory?.workingSetBytes, memory?.at);
    add(nodeSwap, [], swap?.usageBytes, swap?.at);
    for (const pod of report.pods) {
      const ofPod: readonly Label[] = [
        ['namespace', pod.namespace],
        ['pod', pod.name],
      ];
      for (const container of pod.containers) {
        const { cpu, memory, swap, startedAt } = container;
        const of: readonly Label[] = [['container', container.name], ...ofPod];
        add(containerStart, of, startedAt > 0 ? startedAt / 1000 : undefined, undefined);
        add(containerCpu, of, seconds(cpu?.usageCoreNanoSeconds), cpu?.at);
        add(containerMemory, of, memory?.workingSetBytes, memory?.at);
        add(containerSwap, of, swap?.usageBytes, swap?.at);
        const limit = swap?.availableBytes === undefined ? undefined : swap.availableBytes + (swap.usageBytes ?? 0);
        add(containerSwapLimit, of, limit, swap?.at);
      }
      const cpu = pod.cpu ?? cpuSum(pod.containers);
      const memory = pod.memory ?? memorySum(pod.containers);
      const swap = swapSum(pod.containers);
      add(podCpu, ofPod, seconds(cpu?.usageCoreNanoSeconds), cpu?.at);
      add(podMemory, ofPod, memory?.workingSetBytes, memory?.at);
      add(podSwap, ofPod, swap?.usageBytes, swap?.at);
    }
  }
  add(scrapeError, [], report === undefined ? 1 : 0, undefined);
  return [...families.values()].map(({ family, samples }) => ({ ...family, samples }));
}

type Definition = readonly [name: string, type: MetricFamily['type'], stability: Stability, help: string];

const nodeCpu: Definition = [
  'node_cpu_usage_seconds_total',
  'counter',
  'STABLE',
  'Cumulative cpu time consumed by the node in core-seconds',
];
const nodeMemory: Definition = [
  'node_memory_working_set_bytes',
  'gauge',
  'STABLE',
  'Current working set of the node in bytes',
];
const nodeSwap: Definition = [
  'node_swap_usage_bytes',
  'gauge',
  'ALPHA',
  'Current swap usage of the node in bytes. Reported only on non-windows systems',
];
const containerCpu: Definition = [
  'container_cpu_usage_seconds_total',
  'counter',
  'STABLE',
  'Cumulative cpu time consumed by the container in core-seconds',
];
const containerMemory: Definition = [
  'container_memory_working_set_bytes',
  'gauge',
  'STABLE',
  'Current working set of the container in bytes',
];
const containerSwap: Definition = [
  'container_swap_usage_bytes',
  'gauge',
  'ALPHA',
  'Current amount of the container swap usage in bytes. Reported only on non-windows systems',
];
const containerSwapLimit: Definition = [
  'container_swap_limit_bytes',
  'gauge',
  'ALPHA',
  'Current amount of the container swap limit in bytes. Reported only on non-windows systems',
];
const containerStart: Definition = [
  'container_start_time_seconds',
  'gauge',
  'STABLE',
  'Start time of the container since unix epoch in seconds',
];
const podCpu: Definition = [
  'pod_cpu_usage_seconds_total',
  'counter',
  'STABLE',
  'Cumulative cpu time consumed by the pod in core-seconds',
];
const podMemory: Definition = [
  'pod_memory_working_set_bytes',
  'gauge',
  'STABLE',
  'Current working set of the pod in bytes',
];
const podSwap: Definition = [
  'pod_swap_usage_bytes',
  'gauge',
  'ALPHA',
  'Current amount of the pod swap usage in bytes. Reported only on non-windows systems',
];
const scrapeError: Definition = [
  'resource_scrape_error',
  'gauge',
  'STABLE',
  '1 if there was an error while getting container metrics, 0 otherwise',
];

function seconds(nanoseconds: number | undefined): number | undefined {
  return nanoseconds === undefined ? undefined : nanoseconds / 1e9;
}
