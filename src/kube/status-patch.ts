import type { KubeNode, NodeStatus, Pod, PodStatus } from '../core/objects.ts';
import { patchTypes } from './api.ts';
import type { KubeApi } from './api.ts';
import { strategicDiff } from './strategic-diff.ts';
import type { PatchSchema } from './strategic-diff.ts';

/** `patchStrategy` tags of `PodStatus` in k8s.io/api/core/v1/types.go. */
const podStatusSchema: PatchSchema = {
  conditions: { merge: 'type' },
  podIPs: 'replaceMerged',
  hostIPs: 'replaceMerged',
};

/** Of `NodeStatus`. Addresses merge by type, and two InternalIPs have the same: hence whole, as the kubelet does. */
const nodeStatusSchema: PatchSchema = {
  conditions: { merge: 'type' },
  addresses: 'replaceMerged',
};

/** Fields of a pod's status that others write and a node must leave as they are. */
const othersOfPod = ['nominatedNodeName', 'resourceClaimStatuses', 'extendedResourceClaimStatus'] as const;
/** `volumesAttached` is the attach-detach controller's. */
const othersOfNode = ['volumesAttached'] as const;

/**
 * The `status` of a strategic-merge patch that makes `previous` (as the API server last returned it) into `next`;
 * undefined when they are equal. `next` is whole: a condition or field that it lacks is removed, so conditions of
 * others must be in it.
 */
export function podStatusPatch(previous: PodStatus | undefined, next: PodStatus): Record<string, unknown> | undefined {
  return strategicDiff(omit(previous ?? {}, othersOfPod), omit(next, othersOfPod), podStatusSchema);
}

/** As {@link podStatusPatch}, for a Node. */
export function nodeStatusPatch(
  previous: NodeStatus | undefined,
  next: NodeStatus,
): Record<string, unknown> | undefined {
  return strategicDiff(omit(previous ?? {}, othersOfNode), omit(next, othersOfNode), nodeStatusSchema);
}

/**
 * Writes a pod's status if it differs from `previous`. The UID is a precondition: `Conflict` says that another pod
 * has taken the name, `NotFound` that there is none.
 *
 * @returns the pod as stored, whose status is the next `previous`; undefined when nothing was to be written
 */
export async function patchPodStatus(
  api: KubeApi,
  pod: { readonly namespace: string; readonly name: string; readonly uid: string },
  previous: PodStatus | undefined,
  next: PodStatus,
  signal?: AbortSignal,
): Promise<Pod | undefined> {
  const status = podStatusPatch(previous, next);
  if (status === undefined) return undefined;
  return api.request<Pod>({
    method: 'PATCH',
    path: `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/status`,
    contentType: patchTypes.strategicMerge,
    body: { metadata: { uid: pod.uid }, status },
    signal,
  });
}

/**
 * Writes a Node's status if it differs from `previous`; as {@link patchPodStatus}. A heartbeat: it does not wait
 * behind pods.
 */
export async function patchNodeStatus(
  api: KubeApi,
  node: { readonly name: string; readonly uid: string },
  previous: NodeStatus | undefined,
  next: NodeStatus,
  signal?: AbortSignal,
): Promise<KubeNode | undefined> {
  const status = nodeStatusPatch(previous, next);
  if (status === undefined) return undefined;
  return api.request<KubeNode>({
    method: 'PATCH',
    path: `/api/v1/nodes/${node.name}/status`,
    contentType: patchTypes.strategicMerge,
    body: { metadata: { uid: node.uid }, status },
    signal,
    urgent: true,
  });
}

function omit(status: object, keys: readonly string[]): object {
  return Object.fromEntries(Object.entries(status).filter(([key]) => !keys.includes(key)));
}
