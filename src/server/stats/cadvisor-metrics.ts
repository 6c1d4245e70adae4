import type { NetworkUsage } from '../../core/resource-usage.ts';
import type { Label, MetricFamily, Sample } from '../../metrics/exposition.ts';
import type { ContainerUsage, PodUsage } from '../../providers/contract.ts';
import { cpuSum, memorySum, type UsageReport } from './summary.ts';

/**
 * `/metrics/cadvisor`: those of cAdvisor's series that dashboards are made of, as far as the provider can tell them.
 * A container's series name it and its image; a pod's have neither; the node's, of cgroup `/`, have no pod. Follows
 * github.com/google/cadvisor/metrics/prometheus.go.
 */
export function cadvisorMetrics({ node, pods }: UsageReport, version: CadvisorVersion): MetricFamily[] {
  const families = new Families();
  const ofNode = labels({ id: '/' });
  addCpuAndMemory(families, ofNode, node);
  if (node.network !== undefined) addNetwork(families, { id: '/' }, node.network);
  families.add(startTime, ofNode, node.startedAt / 1000);
  for (const pod of pods) addPod(families, pod);
  families.add(['machine_cpu_cores', 'gauge', 'Number of logical CPU cores.'], version.machine, node.cpuCount);
  families.add(
    ['machine_memory_bytes', 'gauge', 'Amount of memory installed on the machine.'],
    version.machine,
    node.memoryBytes,
  );
  families.add(
    [
      'cadvisor_version_info',
      'gauge',
      "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
    ],
    version.info,
    1,
  );
  return families.all();
}

/** Labels of the series about the machine itself. */
export interface CadvisorVersion {
  readonly machine: readonly Label[];
  readonly info: readonly Label[];
}

/** Labels from what a Node says of itself. */
export function cadvisorVersion(info: {
  readonly bootID: string;
  readonly machineID: string;
  readonly systemUUID: string;
  readonly kernelVersion: string;
  readonly osImage: string;
}): CadvisorVersion {
  return {
    machine: [
      ['boot_id', info.bootID],
      ['machine_id', info.machineID],
      ['system_uuid', info.systemUUID],
    ],
    info: [
      ['cadvisorRevision', ''],
      ['cadvisorVersion', ''],
      ['dockerVersion', ''],
      ['kernelVersion', info.kernelVersion],
      ['osVersion', info.osImage],
    ],
  };
}

function addPod(families: Families, pod: PodUsage): void {
  const { namespace, name, uid } = pod;
  const id = `/kubepods/pod${uid}`;
  const of = { namespace, pod: name };
  const { containers } = pod;
  addCpuAndMemory(families, labels({ ...of, id }), {
    cpu: pod.cpu ?? cpuSum(containers),
    memory: pod.memory ?? memorySum(containers),
  });
  if (pod.network !== undefined) addNetwork(families, { ...of, id }, pod.network);
  for (const container of containers) {
    const bare = container.containerID.replace(/^[^:]*:\/\//, '');
    addContainer(
      families,
      { ...of, id: `${id}/${bare}`, name: bare, container: container.name, image: container.image },
      container,
    );
  }
}

function addContainer(families: Families, own: OwnLabels, container: ContainerUsage): void {
  const of = labels(own);
  addCpuAndMemory(families, of, container);
  families.add(startTime, of, container.startedAt / 1000);
  const seen = container.cpu?.at ?? container.memory?.at;
  families.add(
    ['container_last_seen', 'gauge', 'Last time a container was seen by the exporter'],
    of,
    seen && Math.floor(seen / 1000),
    seen,
  );
  families.add(
    ['container_memory_swap', 'gauge', 'Container swap usage in bytes.'],
    of,
    container.swap?.usageBytes,
    container.swap?.at,
  );
  families.add(
    ['container_processes', 'gauge', 'Number of processes running inside the container.'],
    of,
    container.processCount,
    seen,
  );
  families.add(
    ['container_threads', 'gauge', 'Number of threads running inside the container'],
    of,
    container.threadCount,
    seen,
  );
  families.add(
    ['container_fs_usage_bytes', 'gauge', 'Number of bytes that are consumed by the container on this filesystem.'],
    labels({ ...own, device: '' }),
    container.rootfs?.usedBytes,
    container.rootfs?.at,
  );
}

function addCpuAndMemory(
  families: Families,
  of: readonly Label[],
  { cpu, memory }: { readonly cpu?: UsageReport['node']['cpu']; readonly memory?: UsageReport['node']['memory'] },
): void {
  families.add(
    ['container_cpu_usage_seconds_total', 'counter', 'Cumulative cpu time consumed in seconds.'],
    [['container', ''], ...of].length > 0 ? withCpu(of) : of,
    cpu?.usageCoreNanoSeconds === undefined ? undefined : cpu.usageCoreNanoSeconds / 1e9,
    cpu?.at,
  );
  for (const [definition, value] of [
    [['container_memory_usage_bytes', 'gauge', 'Current memory usage in bytes, including all memory regardless of when it was accessed'], memory?.usageBytes],
    [['container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.'], memory?.workingSetBytes],
    [['container_memory_rss', 'gauge', 'Size of RSS in bytes.'], memory?.rssBytes],
  ] as const) {
    families.add(definition, of, value, memory?.at);
  }
}
