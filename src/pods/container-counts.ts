import type { Pod } from '../core/objects.ts';
import type { PodMetrics } from '../metrics/kubelet-metrics.ts';
import type { ContainerReport, PodReport } from '../providers/contract.ts';

/** What a kubelet puts into `started_containers_errors_total` instead of a start. */
const startErrors = new Set(['StartError', 'ContainerCannotRun', 'RunContainerError', 'CreateContainerError']);

/** Counts the instances that began and ended between two reports on a pod. */
export function countContainers(
  metrics: PodMetrics,
  spec: Pod['spec'] | undefined,
  before: PodReport | undefined,
  after: PodReport,
): void {
  for (const container of after.containers) {
    const known = before?.containers.find(({ name }) => name === container.name);
    // Most reports change one container of a pod, if any.
    if (known?.state === container.state && known.lastState === container.lastState) continue;
    const type = containerType(spec, container.name);
    const end = endOf(container);
    const failed = startErrors.has(end?.reason ?? '');
    if (begunOf(container) !== undefined && begunOf(container) !== begunOf(known)) {
      if (failed && end?.containerID === begunOf(container)) {
        metrics.containerStartErrors.add({ container_type: type, code: end?.reason ?? '' });
      } else metrics.containersStarted.add({ container_type: type });
    }
    if (end?.containerID !== undefined && end.containerID !== endOf(known)?.containerID && !failed) {
      const { exitCode, reason = '' } = end;
      metrics.containersTerminated.add({ container_type: type, exit_code: String(exitCode), reason });
    }
  }
}

/** The newest instance that has run. */
function begunOf(container: ContainerReport | undefined): string | undefined {
  if (container === undefined) return undefined;
  return 'running' in container.state ? container.containerID : endOf(container)?.containerID;
}

function endOf(container: ContainerReport | undefined) {
  if (container === undefined) return undefined;
  return 'terminated' in container.state ? container.state.terminated : container.lastState?.terminated;
}

function containerType(spec: Pod['spec'] | undefined, name: string): string {
  if (spec?.initContainers?.some((c) => c.name === name) === true) return 'init_container';
  if (spec?.ephemeralContainers?.some((c) => c.name === name) === true) return 'ephemeral_container';
  return 'container';
}
