/** Required affinity and anti-affinity between pods. Follows pkg/scheduler/framework/plugins/interpodaffinity/filtering.go. */
import type { KubeNode, Pod, PodSpec } from '../../core/objects.ts';
import { selectsLabels } from '../controllers/label-selector.ts';
import type { Labels } from '../controllers/types.ts';

type Term = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];

/** A pod and the node that it is on. */
export interface PlacedPod {
  readonly pod: Pod;
  readonly node: KubeNode;
}

export function affinityTerms({ spec }: Pod): readonly Term[] {
  return spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

export function antiAffinityTerms({ spec }: Pod): readonly Term[] {
  return spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
}

/** Why pods on other nodes, or on this one, keep the pod away from it; undefined when they do not. */
export function affinityRefusal(
  pod: Pod,
  node: KubeNode,
  placed: readonly PlacedPod[],
  namespaceLabels: (namespace: string) => Labels | undefined,
): string | undefined {
  const zone = (of: KubeNode, key: string) => of.metadata?.labels?.[key];
  const sameZone = (term: Term, other: KubeNode) => {
    const here = zone(node, term.topologyKey);
    return here !== undefined && here === zone(other, term.topologyKey);
  };
  const matches = (term: Term, owner: Pod, other: Pod) => termSelects(term, owner, other, namespaceLabels);
  const wanted = affinityTerms(pod);
  const met = (term: Term) => placed.some((other) => sameZone(term, other.node) && matches(term, pod, other.pod));
  if (!wanted.every((term) => zone(node, term.topologyKey) !== undefined && met(term))) {
    // The first of a group that wants to be together has nobody to be with.
    const first =
      wanted.every((term) => zone(node, term.topologyKey) !== undefined && matches(term, pod, pod)) &&
      !wanted.some((term) => placed.some((other) => matches(term, pod, other.pod)));
    if (!first) return "node(s) didn't match pod affinity rules";
  }
  if (antiAffinityTerms(pod).some(met)) return "node(s) didn't match pod anti-affinity rules";
  const unwelcome = placed.some((other) =>
    antiAffinityTerms(other.pod).some((term) => sameZone(term, other.node) && matches(term, other.pod, pod)),
  );
  return unwelcome ? "node(s) didn't satisfy existing pods anti-affinity rules" : undefined;
}

function termSelects(
  { labelSelector, namespaces = [], namespaceSelector, matchLabelKeys = [], mismatchLabelKeys = [] }: Term,
  owner: Pod,
  other: Pod,
  namespaceLabels: (namespace: string) => Labels | undefined,
): boolean {
  const home = other.metadata.namespace;
  const own = namespaces.length === 0 && namespaceSelector === undefined;
  const inNamespace = own
    ? home === owner.metadata.namespace
    : namespaces.includes(home) || selectsLabels(namespaceSelector, namespaceLabels(home));
  const label = (of: Pod, key: string) => of.metadata.labels?.[key];
  return (
    inNamespace &&
    selectsLabels(labelSelector, other.metadata.labels) &&
    matchLabelKeys.every((key) => label(owner, key) === undefined || label(owner, key) === label(other, key)) &&
    mismatchLabelKeys.every((key) => label(owner, key) === undefined || label(owner, key) !== label(other, key))
  );
}
