/** A StatefulSet's pods and claims by ordinal. Follows pkg/controller/statefulset/stateful_set_utils.go. */
import type { Pod, PodSpec } from '../../core/objects.ts';
import { controllerReference } from './pod-control.ts';
import { revisionLabel } from './revision-history.ts';
import type { PersistentVolumeClaim, PodTemplate, StatefulSet } from './types.ts';

type ClaimTemplate = NonNullable<StatefulSet['spec']['volumeClaimTemplates']>[number];

/** The ordinal of a pod of this set, undefined when its name is not of the set's form. */
export function ordinalOf(set: StatefulSet, pod: Pod): number | undefined {
  const [, parent, ordinal] = /^(.*)-(\d+)$/.exec(pod.metadata.name) ?? [];
  return parent === set.metadata.name ? Number(ordinal) : undefined;
}

export function firstOrdinal({ spec }: StatefulSet): number {
  return spec.ordinals?.start ?? 0;
}

function claimName(template: ClaimTemplate, set: StatefulSet, ordinal: number): string {
  return `${template.metadata?.name ?? ''}-${set.metadata.name}-${ordinal}`;
}

/** The claims that the pod of an ordinal needs. */
export function claimsOf(set: StatefulSet, ordinal: number): object[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => ({
    kind: 'PersistentVolumeClaim',
    apiVersion: 'v1',
    metadata: {
      ...template.metadata,
      name: claimName(template, set, ordinal),
      namespace: set.metadata.namespace,
      labels: { ...template.metadata?.labels, ...set.spec.selector.matchLabels },
    },
    spec: template.spec,
  }));
}

/** The names of the claims of an ordinal. */
export function claimNames(set: StatefulSet, ordinal: number): string[] {
  return (set.spec.volumeClaimTemplates ?? []).map((template) => claimName(template, set, ordinal));
}

/** Who a claim belongs to by the retention policy: the set, its pod, or nobody. */
export function claimOwner(set: StatefulSet, pod: Pod | undefined, condemned: boolean, claim: PersistentVolumeClaim) {
  const policy = set.spec.persistentVolumeClaimRetentionPolicy;
  const ours = (claim.metadata.ownerReferences ?? []).filter(
    ({ uid }) => uid !== set.metadata.uid && uid !== pod?.metadata.uid,
  );
  const reference = (owner: StatefulSet | Pod) => {
    const { controller: _controller, blockOwnerDeletion: _block, ...rest } = controllerReference(owner);
    return rest;
  };
  if (policy?.whenScaled === 'Delete' && condemned && pod !== undefined) return [...ours, reference(pod)];
  if (policy?.whenDeleted === 'Delete')
    return [...ours, { ...reference(set), blockOwnerDeletion: true, controller: true }];
  return ours;
}

/** The pod of an ordinal as this revision of the template makes it. */
export function statefulPod(set: StatefulSet, template: PodTemplate, revision: string, ordinal: number): object {
  const name = `${set.metadata.name}-${ordinal}`;
  const claims = (set.spec.volumeClaimTemplates ?? []).map((claim) => ({
    name: claim.metadata?.name ?? '',
    persistentVolumeClaim: { claimName: claimName(claim, set, ordinal) },
  }));
  const spec = template.spec as PodSpec;
  const others = (spec.volumes ?? []).filter((volume) => !claims.some((claim) => claim.name === volume.name));
  return {
    metadata: {
      name,
      generateName: `${set.metadata.name}-`,
      labels: {
        ...template.metadata?.labels,
        'statefulset.kubernetes.io/pod-name': name,
        'apps.kubernetes.io/pod-index': String(ordinal),
        [revisionLabel]: revision,
      },
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
      ownerReferences: [controllerReference(set)],
    },
    spec: {
      ...spec,
      ...(claims.length + others.length > 0 && { volumes: [...claims, ...others] }),
      hostname: name,
      ...(set.spec.serviceName !== undefined && { subdomain: set.spec.serviceName }),
    },
  };
}
