import type { Container, ContainerStatus, Pod } from '../core/objects.ts';
import { isSidecar } from '../podspec/containers.ts';
import { policyAllowsRestart } from '../podspec/restart-policy.ts';

export type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

export interface StatusLists {
  readonly init: readonly ContainerStatus[];
  readonly regular: readonly ContainerStatus[];
}

/** How far a pod's containers have come, counted. */
interface Tally {
  unknown: number;
  running: number;
  waiting: number;
  stopped: number;
  succeeded: number;
  restartable: number;
}

/**
 * A pod's phase from its container statuses. `ended` means that nothing of the pod will be started again, so that an
 * `Always` pod that is deleted ends as its exit codes say.
 *
 * Follows pkg/kubelet/kubelet_pods.go `getPhase`.
 */
export function podPhase(pod: Pod, statuses: StatusLists, ended: boolean): Phase {
  return phaseOf(pod, statuses, ended, statuses.init);
}

/**
 * Whether all that a pod is for has ended for good. Its sidecars may still run: they are then to be stopped.
 */
export function isOver(pod: Pod, statuses: StatusLists): boolean {
  const phase = phaseOf(pod, statuses, false, []);
  return phase === 'Succeeded' || phase === 'Failed';
}

function phaseOf(pod: Pod, statuses: StatusLists, ended: boolean, runningInits: readonly ContainerStatus[]): Phase {
  const init = initProgress(pod, statuses.init);
  if (init === 'failed') return 'Failed';

  const tally: Tally = { unknown: 0, running: 0, waiting: 0, stopped: 0, succeeded: 0, restartable: 0 };
  for (const container of pod.spec.containers) {
    count(
      tally,
      pod,
      container,
      statuses.regular.find((s) => s.name === container.name),
    );
  }
  const begun = tally.running + tally.stopped > 0;
  if (init === 'pending' || (init === 'pendingSidecar' && !begun) || tally.waiting > 0) return 'Pending';
  // A sidecar that runs keeps the pod running, but does not stand for a regular container.
  tally.running += (pod.spec.initContainers ?? []).filter(
    (c) => isSidecar(c) && runningInits.some((s) => s.name === c.name && s.state?.running !== undefined),
  ).length;
  if (tally.running > 0 && tally.unknown === 0) return 'Running';
  if (tally.running === 0 && tally.stopped > 0 && tally.unknown === 0) {
    if (!ended && tally.restartable > 0) return 'Running';
    return tally.stopped === tally.succeeded ? 'Succeeded' : 'Failed';
  }
  return 'Pending';
}

function count(tally: Tally, pod: Pod, container: Container, status: ContainerStatus | undefined): void {
  const ended =
    status?.state?.terminated ?? (status?.state?.waiting === undefined ? undefined : status.lastState?.terminated);
  if (status?.state?.running !== undefined) tally.running++;
  else if (ended !== undefined) {
    tally.stopped++;
    if (status?.state?.terminated?.exitCode === 0) tally.succeeded++;
    // What waits after an end waits to be started again.
    if (status?.state?.waiting !== undefined || policyAllowsRestart(pod, container, ended.exitCode, false))
      tally.restartable++;
  } else if (status?.state?.waiting !== undefined) tally.waiting++;
  else tally.unknown++;
}

type InitProgress = 'done' | 'pending' | 'pendingSidecar' | 'failed';

function initProgress(pod: Pod, statuses: readonly ContainerStatus[]): InitProgress {
  let progress: InitProgress = 'done';
  for (const container of pod.spec.initContainers ?? []) {
    const status = statuses.find((s) => s.name === container.name);
    if (isSidecar(container)) {
      const terminated = status?.state?.terminated !== undefined;
      if (!terminated && status?.started !== true && progress === 'done') progress = 'pendingSidecar';
      continue;
    }
    const ended =
      status?.state?.terminated ?? (status?.state?.waiting === undefined ? undefined : status.lastState?.terminated);
    if (ended === undefined) progress = 'pending';
    else if (ended.exitCode !== 0) {
      if (!policyAllowsRestart(pod, container, ended.exitCode, true)) return 'failed';
      progress = 'pending';
    }
  }
  return progress;
}
