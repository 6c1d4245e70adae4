/** What a node's labels and taints have to say about a pod. Follows k8s.io/component-helpers/scheduling/corev1. */
import type { KubeNode, PodSpec, Taint, Toleration } from '../../core/objects.ts';
import { meets } from '../selectors.ts';

type SelectorTerm = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];

/** Follows v1.Toleration.ToleratesTaint in k8s.io/api/core/v1/toleration.go. */
export function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  switch (operator ?? 'Equal') {
    case 'Exists':
      return true;
    case 'Gt':
      return !!key && Number(taint.value) > Number(value);
    case 'Lt':
      return !!key && Number(taint.value) < Number(value);
    default:
      return !!key && (value ?? '') === (taint.value ?? '');
  }
}

/** The first taint of one of these effects that no toleration covers. */
export function untoleratedTaint(
  taints: readonly Taint[] | undefined,
  tolerations: readonly Toleration[] | undefined,
  effects: readonly string[],
): Taint | undefined {
  return taints?.find(
    (taint) => effects.includes(taint.effect) && !tolerations?.some((toleration) => tolerates(toleration, taint)),
  );
}

/** True when the pod's node selector and required node affinity allow the node. */
export function matchesNodeAffinity(spec: PodSpec, { metadata }: KubeNode): boolean {
  const labels = metadata?.labels ?? {};
  if (Object.entries(spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, metadata));
}

/** How much the preferred node affinity likes the node. */
export function preferredWeight(spec: PodSpec, { metadata }: KubeNode): number {
  const preferred = spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return preferred.reduce((sum, { weight, preference }) => sum + (matchesTerm(preference, metadata) ? weight : 0), 0);
}

/** A term without conditions matches nothing. */
function matchesTerm(
  { matchExpressions = [], matchFields = [] }: SelectorTerm,
  metadata: KubeNode['metadata'],
): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false;
  return (
    matchExpressions.every(({ key, operator, values = [] }) =>
      meets({ key, operator, values }, metadata?.labels?.[key]),
    ) &&
    matchFields.every(
      ({ key, operator, values = [] }) => key === 'metadata.name' && meets({ key, operator, values }, metadata?.name),
    )
  );
}
