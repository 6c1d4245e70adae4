import type { KubeNode, Pod } from '../core/objects.ts';
import { Quantity } from '../core/quantity.ts';
import { matchesNode } from './node-affinity.ts';
import { amountOf, hostPortsOf, type NodeUsage, requestsOf } from './usage.ts';

/** Why a pod is not taken; the kubelet's reasons and messages. */
export interface Rejection {
  readonly reason: string;
  readonly message: string;
}

export interface AdmissionInput {
  readonly pod: Pod;
  /** The node as the API server has it. */
  readonly node: KubeNode;
  /** What the pods that are on the node already take up. */
  readonly usage: NodeUsage;
}

/**
 * Whether this node can run a pod, asked once when the pod is first seen.
 *
 * Follows pkg/kubelet/lifecycle/predicate.go and pkg/kubelet/lifecycle/handlers.go: operating system first, then
 * resources, then the scheduler's own filters.
 */
export function admit(input: AdmissionInput): Rejection | undefined {
  return wrongOS(input) ?? notEnough(input) ?? wrongNode(input) ?? portTaken(input) ?? notTolerated(input);
}

function wrongOS({ pod, node }: AdmissionInput): Rejection | undefined {
  const nodeOS = node.metadata?.labels?.['kubernetes.io/os'];
  const selected = pod.spec.nodeSelector?.['kubernetes.io/os'];
  if (selected !== undefined && nodeOS !== undefined && selected !== nodeOS)
    return {
      reason: 'PodOSSelectorNodeLabelDoesNotMatch',
      message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
    };
  const wanted = pod.spec.os?.name;
  if (wanted !== undefined && nodeOS !== undefined && wanted !== nodeOS)
    return { reason: 'PodOSNotSupported', message: "Failed to admit pod as the OS field doesn't match node OS" };
  return undefined;
}

function notEnough({ pod, node, usage }: AdmissionInput): Rejection | undefined {
  const allocatable = node.status?.allocatable ?? {};
  const pods = allocatable['pods'];
  if (pods !== undefined && usage.pods + 1 > Number(pods))
    return insufficient('pods', 1n, BigInt(usage.pods), BigInt(pods));
  for (const [resource, requested] of requestsOf(pod)) {
    const text = allocatable[resource];
    // Extended resources that the node does not know are somebody else's business.
    if (text === undefined || requested === 0n) continue;
    const capacity = amountOf(resource, Quantity.parse(text));
    const used = usage.used(resource);
    if (requested + used > capacity) return insufficient(resource, requested, used, capacity);
  }
  return undefined;
}

function insufficient(resource: string, requested: bigint, used: bigint, capacity: bigint): Rejection {
  return {
    reason: `OutOf${resource}`,
    message: `Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  };
}

function wrongNode({ pod, node }: AdmissionInput): Rejection | undefined {
  return matchesNode(pod, node)
    ? undefined
    : {
        reason: 'NodeAffinity',
        message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
      };
}

function portTaken({ pod, usage }: AdmissionInput): Rejection | undefined {
  return hostPortsOf(pod).some((port) => usage.holds(port))
    ? {
        reason: 'NodePorts',
        message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
      }
    : undefined;
}

function notTolerated({ pod, node }: AdmissionInput): Rejection | undefined {
  const untolerated = (node.spec?.taints ?? []).some(
    (taint) =>
      taint.effect === 'NoExecute' &&
      !(pod.spec.tolerations ?? []).some(
        (t) =>
          (t.effect === undefined || t.effect === '' || t.effect === taint.effect) &&
          (t.key === undefined || t.key === '' || t.key === taint.key) &&
          (t.operator === 'Exists' || (t.value ?? '') === (taint.value ?? '')),
      ),
  );
  return untolerated
    ? {
        reason: 'TaintToleration',
        message: "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
      }
    : undefined;
}
