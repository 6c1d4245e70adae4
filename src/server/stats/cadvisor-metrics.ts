import type { CpuUsage, MemoryUsage, NetworkUsage } from '../../core/resource-usage.ts';
import type { Label, MetricFamily, Sample } from '../../metrics/exposition.ts';
import type { ContainerUsage, PodUsage } from '../../providers/contract.ts';
import { cpuSum, memorySum, type UsageReport } from './summary.ts';

/** What a Node says of the machine that it is on. */
export interface MachineLabels {
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
}

/** Labels that every series about a cgroup has; empty where they do not apply. */
interface Subject {
  readonly id: string;
  readonly name?: string;
  readonly image?: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly container?: string;
}

/**
 * `/metrics/cadvisor`: those of cAdvisor's series that dashboards are made of, as far as the provider can tell them.
 * A container's series name it and its image, a pod's have neither, the node's (of cgroup `/`) have no pod. Follows
 * github.com/google/cadvisor/metrics/prometheus.go.
 */
export function cadvisorMetrics({ node, pods }: UsageReport, machine: MachineLabels): MetricFamily[] {
  const series = new CgroupSeries();
  series.cpuAndMemory({ id: '/' }, node);
  series.network({ id: '/' }, node.network);
  series.add('container_start_time_seconds', { id: '/' }, node.startedAt / 1000);
  for (const pod of pods) addPod(series, pod);

  const { machineID, systemUUID, bootID, kernelVersion, osImage } = machine;
  const of: Label[] = [
    ['boot_id', bootID],
    ['machine_id', machineID],
    ['system_uuid', systemUUID],
  ];
  const version: Label[] = [
    ['cadvisorRevision', ''],
    ['cadvisorVersion', ''],
    ['dockerVersion', ''],
    ['kernelVersion', kernelVersion],
    ['osVersion', osImage],
  ];
  return [
    ...series.families(),
    single('machine_cpu_cores', 'Number of logical CPU cores.', of, node.cpuCount),
    single('machine_memory_bytes', 'Amount of memory installed on the machine.', of, node.memoryBytes),
    single(
      'cadvisor_version_info',
      "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
      version,
      1,
    ),
  ];
}

function addPod(series: CgroupSeries, pod: PodUsage): void {
  const { namespace, name, uid, containers } = pod;
  const ofPod = { id: `/kubepods/pod${uid}`, namespace, pod: name };
  series.cpuAndMemory(ofPod, { cpu: pod.cpu ?? cpuSum(containers), memory: pod.memory ?? memorySum(containers) });
  series.network(ofPod, pod.network);
  for (const container of containers) addContainer(series, ofPod, container);
}

function addContainer(series: CgroupSeries, ofPod: Subject, container: ContainerUsage): void {
  const bareID = container.containerID.replace(/^[^:]*:\/\//, '');
  const of = { ...ofPod, id: `${ofPod.id}/${bareID}`, name: bareID, container: container.name, image: container.image };
  const { cpu, memory, swap, rootfs } = container;
  const at = cpu?.at ?? memory?.at;
  series.cpuAndMemory(of, container);
  series.add('container_start_time_seconds', of, container.startedAt / 1000);
  series.add('container_last_seen', of, at === undefined ? undefined : Math.floor(at / 1000), at);
  series.add('container_memory_swap', of, swap?.usageBytes, swap?.at);
  series.add('container_processes', of, container.processCount, at);
  series.add('container_threads', of, container.threadCount, at);
  series.add('container_fs_usage_bytes', of, rootfs?.usedBytes, rootfs?.at, ['device', '']);
}

const help = {
  container_cpu_usage_seconds_total: 'Cumulative cpu time consumed in seconds.',
  container_fs_usage_bytes: 'Number of bytes that are consumed by the container on this filesystem.',
  container_last_seen: 'Last time a container was seen by the exporter',
  container_memory_rss: 'Size of RSS in bytes.',
  container_memory_swap: 'Container swap usage in bytes.',
  container_memory_usage_bytes:
    'Current memory usage in bytes, including all memory regardless of when it was accessed',
  container_memory_working_set_bytes: 'Current working set in bytes.',
  container_network_receive_bytes_total: 'Cumulative count of bytes received',
  container_network_receive_errors_total: 'Cumulative count of errors encountered while receiving',
  container_network_receive_packets_dropped_total: 'Cumulative count of packets dropped while receiving',
  container_network_receive_packets_total: 'Cumulative count of packets received',
  container_network_transmit_bytes_total: 'Cumulative count of bytes transmitted',
  container_network_transmit_errors_total: 'Cumulative count of errors encountered while transmitting',
  container_network_transmit_packets_dropped_total: 'Cumulative count of packets dropped while transmitting',
  container_network_transmit_packets_total: 'Cumulative count of packets transmitted',
  container_processes: 'Number of processes running inside the container.',
  container_start_time_seconds: 'Start time of the container since unix epoch in seconds.',
  container_threads: 'Number of threads running inside the container',
} as const;

/** Series about cgroups, by metric. */
class CgroupSeries {
  readonly #samples = new Map<keyof typeof help, Sample[]>();

  add(name: keyof typeof help, of: Subject, value: number | undefined, at?: number, more?: Label): void {
    if (value === undefined) return;
    const { container = '', id, image = '', name: own = '', namespace = '', pod = '' } = of;
    const labels = Object.entries({ container, id, image, name: own, namespace, pod });
    if (more !== undefined) labels.push([...more]);
    labels.sort(([a], [b]) => (a < b ? -1 : 1));
    const samples = this.#samples.get(name) ?? [];
    this.#samples.set(name, samples);
    samples.push({ name, labels, value, ...(at !== undefined && { at }) });
  }

  cpuAndMemory(of: Subject, { cpu, memory }: { cpu?: CpuUsage | undefined; memory?: MemoryUsage | undefined }): void {
    const nanoseconds = cpu?.usageCoreNanoSeconds;
    const seconds = nanoseconds === undefined ? undefined : nanoseconds / 1e9;
    this.add('container_cpu_usage_seconds_total', of, seconds, cpu?.at, ['cpu', 'total']);
    this.add('container_memory_usage_bytes', of, memory?.usageBytes, memory?.at);
    this.add('container_memory_working_set_bytes', of, memory?.workingSetBytes, memory?.at);
    this.add('container_memory_rss', of, memory?.rssBytes, memory?.at);
  }

  network(of: Subject, usage: NetworkUsage | undefined): void {
    for (const each of usage?.interfaces ?? []) {
      const add = (name: keyof typeof help, value: number) =>
        this.add(name, of, value, usage?.at, ['interface', each.name]);
      add('container_network_receive_bytes_total', each.rxBytes);
      add('container_network_receive_packets_total', each.rxPackets);
      add('container_network_receive_errors_total', each.rxErrors);
      add('container_network_receive_packets_dropped_total', each.rxDropped);
      add('container_network_transmit_bytes_total', each.txBytes);
      add('container_network_transmit_packets_total', each.txPackets);
      add('container_network_transmit_errors_total', each.txErrors);
      add('container_network_transmit_packets_dropped_total', each.txDropped);
    }
  }

  families(): MetricFamily[] {
    return [...this.#samples].map(([name, samples]) => {
      return { name, help: help[name], type: name.endsWith('_total') ? 'counter' : 'gauge', samples };
    });
  }
}

function single(name: string, help: string, labels: readonly Label[], value: number): MetricFamily {
  return { name, help, type: 'gauge', samples: [{ name, labels, value }] };
}
