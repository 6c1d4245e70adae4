import type { V1NodeSelectorRequirement, V1NodeSelectorTerm } from '@kubernetes/client-node';

import type { KubeNode, Pod } from '../core/objects.ts';

/**
 * `nodeSelector` and the required node affinity. Follows component-helpers/scheduling/corev1/nodeaffinity.
 */
export function matchesNode(pod: Pod, node: KubeNode): boolean {
  const labels = node.metadata?.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {})) {
    if (labels[key] !== value) return false;
  }
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms === undefined) return true;
  return terms.some((term) => matchesTerm(term, labels, node.metadata?.name ?? ''));
}

function matchesTerm(term: V1NodeSelectorTerm, labels: Readonly<Record<string, string>>, name: string): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  // An empty term selects nothing.
  if (expressions.length + fields.length === 0) return false;
  return (
    expressions.every((r) => matches(r, labels[r.key])) &&
    fields.every((r) => matches(r, r.key === 'metadata.name' ? name : undefined))
  );
}

function matches({ operator, values = [] }: V1NodeSelectorRequirement, actual: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return actual !== undefined && values.includes(actual);
    case 'NotIn':
      return actual === undefined || !values.includes(actual);
    case 'Exists':
      return actual !== undefined;
    case 'DoesNotExist':
      return actual === undefined;
    case 'Gt':
    case 'Lt': {
      const [have, want] = [integer(actual), integer(values[0])];
      if (have === undefined || want === undefined) return false;
      return operator === 'Gt' ? have > want : have < want;
    }
    default:
      return false;
  }
}

function integer(text: string | undefined): bigint | undefined {
  return text !== undefined && /^-?\d+$/.test(text) ? BigInt(text) : undefined;
}
