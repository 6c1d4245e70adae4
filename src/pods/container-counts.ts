import type { Pod } from '../core/objects.ts';
import type { PodMetrics } from '../metrics/kubelet-metrics.ts';
import type { ContainerReport, PodReport } from '../providers/contract.ts';

/** Reasons of containers that ended without having started; a kubelet counts them as errors. */
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
    const begun = begunOf(container);
    const end = endOf(container);
    const hasBegun = begun !== undefined && begun !== begunOf(known);
    const hasEnded = end?.id !== undefined && end.id !== endOf(known)?.id;
    if (!hasBegun && !hasEnded) continue;
    const type = { container_type: containerType(spec, container.name) };
    if (hasEnded && startErrors.has(end.reason)) {
      metrics.containerStartErrors.add({ ...type, code: end.reason });
      continue;
    }
    if (hasBegun) metrics.containersStarted.add(type);
    if (hasEnded) {
      metrics.containersTerminated.add({ ...type, exit_code: String(end.exitCode), reason: end.reason });
    }
  }
}

/** The newest instance that has run. */
function begunOf(container: ContainerReport | undefined): string | undefined {
  if (container === undefined) return undefined;
  return 'running' in container.state ? container.containerID : endOf(container)?.id;
}

/** The newest instance that has ended. */
function endOf({ state, lastState, containerID }: Partial<ContainerReport> = {}) {
  if (state !== undefined && 'terminated' in state) {
    const { exitCode, reason = '' } = state.terminated;
    return { id: state.terminated.containerID ?? containerID, exitCode, reason };
  }
  if (lastState === undefined) return undefined;
  const { exitCode, reason = '' } = lastState.terminated;
  return { id: lastState.terminated.containerID, exitCode, reason };
}

function containerType(spec: Pod['spec'] | undefined, name: string): string {
  if (spec?.initContainers?.some((c) => c.name === name) === true) return 'init_container';
  if (spec?.ephemeralContainers?.some((c) => c.name === name) === true) return 'ephemeral_container';
  return 'container';
}
