/** What controllers ask of a pod. Follows pkg/api/v1/pod/util.go and pkg/controller/controller_utils.go. */
import type { Pod, PodCondition } from '../../core/objects.ts';

export function podCondition({ status }: Pod, type: string): PodCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

export function isPodReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

/** Ready for long enough. */
export function isPodAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return isPodReady(pod) && availableInMs(pod, minReadySeconds, nowMs) <= 0;
}

/** How long a ready pod needs to become available. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number {
  if (minReadySeconds === 0) return 0;
  const since = Date.parse(podCondition(pod, 'Ready')?.lastTransitionTime ?? '');
  return Number.isNaN(since) ? Number.POSITIVE_INFINITY : since + minReadySeconds * 1000 - nowMs;
}

export function isPodFinished({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

export function isPodTerminating({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined;
}

/** Neither finished nor being deleted: it counts as a replica. */
export function isPodActive(pod: Pod): boolean {
  return !isPodFinished(pod) && !isPodTerminating(pod);
}

const phaseOrder: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/**
 * The pods in the order in which they are deleted: those whose loss costs least come first (ActivePodsWithRanks).
 * `rankOf` is how many related pods run on the pod's node: where there are many, one more is lost first.
 */
export function inDeletionOrder(pods: readonly Pod[], rankOf: (pod: Pod) => number, nowMs: number): Pod[] {
  const restarts = ({ status }: Pod) =>
    Math.max(0, ...(status?.containerStatuses ?? []).map((container) => container.restartCount));
  const cost = ({ metadata }: Pod) =>
    Number(metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'] ?? 0) || 0;
  /** Ages are compared by their logarithm, so that equally old pods go in no foreseeable order. */
  const age = (since: string | undefined) => {
    const ms = nowMs - Date.parse(since ?? '');
    return Number.isNaN(ms) ? 0 : ms <= 0 ? 0 : Math.floor(Math.log2(ms)) + 1;
  };
  const readySince = (pod: Pod) => (isPodReady(pod) ? podCondition(pod, 'Ready')?.lastTransitionTime : undefined);
  const order = (a: Pod, b: Pod): number =>
    Number(Boolean(a.spec.nodeName)) - Number(Boolean(b.spec.nodeName)) ||
    (phaseOrder[a.status?.phase ?? ''] ?? 0) - (phaseOrder[b.status?.phase ?? ''] ?? 0) ||
    Number(isPodReady(a)) - Number(isPodReady(b)) ||
    cost(a) - cost(b) ||
    rankOf(b) - rankOf(a) ||
    (isPodReady(a) ? age(readySince(a)) - age(readySince(b)) : 0) ||
    restarts(b) - restarts(a) ||
    age(a.metadata.creationTimestamp) - age(b.metadata.creationTimestamp) ||
    (a.metadata.uid < b.metadata.uid ? -1 : 1);
  return [...pods].sort(order);
}
