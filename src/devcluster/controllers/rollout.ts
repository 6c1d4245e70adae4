/**
 * The arithmetic of a Deployment's rollout, apart from everything that happens. Follows
 * pkg/controller/deployment/util/deployment_util.go.
 */
import { scaledValue } from './int-or-percent.ts';
import type { Deployment, PodTemplate, ReplicaSet } from './types.ts';
import { canonicalJson } from './hash.ts';

export const hashLabel = 'pod-template-hash';
export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const revisionHistoryAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
const notCopied = [
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  revisionHistoryAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
];

export function replicasOf({ spec }: Deployment | ReplicaSet): number {
  return spec.replicas ?? 1;
}

export function sumOf(sets: readonly ReplicaSet[], count: (set: ReplicaSet) => number | undefined): number {
  return sets.reduce((sum, set) => sum + (count(set) ?? 0), 0);
}

export function isRollingUpdate({ spec }: Deployment): boolean {
  return (spec.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate';
}

/** How many pods may be too many and too few. Never both none, or nothing could move (ResolveFenceposts). */
export function fenceposts(
  maxSurge: number | string | undefined,
  maxUnavailable: number | string | undefined,
  desired: number,
): { surge: number; unavailable: number } {
  const surge = scaledValue(maxSurge ?? '25%', desired, 'up') ?? 0;
  const unavailable = scaledValue(maxUnavailable ?? '25%', desired, 'down') ?? 0;
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

export function maxSurge(deployment: Deployment): number {
  const rolling = deployment.spec.strategy?.rollingUpdate;
  if (!isRollingUpdate(deployment)) return 0;
  return fenceposts(rolling?.maxSurge, rolling?.maxUnavailable, replicasOf(deployment)).surge;
}

export function maxUnavailable(deployment: Deployment): number {
  const rolling = deployment.spec.strategy?.rollingUpdate;
  const replicas = replicasOf(deployment);
  if (!isRollingUpdate(deployment) || replicas === 0) return 0;
  return Math.min(replicas, fenceposts(rolling?.maxSurge, rolling?.maxUnavailable, replicas).unavailable);
}

/** How large the new replica set may be now. */
export function newSetReplicas(deployment: Deployment, all: readonly ReplicaSet[], current: number): number {
  const replicas = replicasOf(deployment);
  if (!isRollingUpdate(deployment)) return replicas;
  const room = replicas + maxSurge(deployment) - sumOf(all, replicasOf);
  return room <= 0 ? current : current + Math.min(room, replicas - current);
}

export function revisionOf({ metadata }: Deployment | ReplicaSet): number {
  return Number(metadata.annotations?.[revisionAnnotation] ?? 0) || 0;
}

/** True when both templates are the same but for their hash label (EqualIgnoreHash). */
export function equalTemplates(a: PodTemplate, b: PodTemplate): boolean {
  return canonicalJson(withoutHash(a)) === canonicalJson(withoutHash(b));
}

export function withoutHash(template: PodTemplate): PodTemplate {
  const { [hashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

/** The oldest of the replica sets with the Deployment's template. */
export function findNewSet(deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const { template } = deployment.spec;
  return byAge(sets).find((set) => set.spec.template !== undefined && equalTemplates(set.spec.template, template));
}

/** The oldest first. */
export function byAge(sets: readonly ReplicaSet[]): ReplicaSet[] {
  const age = ({ metadata }: ReplicaSet) => Date.parse(metadata.creationTimestamp ?? '') || 0;
  return [...sets].sort((a, b) => age(a) - age(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
}

/**
 * The annotations that the new replica set has: the Deployment's, its revision, the revisions that it had before and
 * the sizes that scaling goes by (SetNewReplicaSetAnnotations).
 */
export function newSetAnnotations(
  deployment: Deployment,
  set: ReplicaSet | undefined,
  revision: number,
): Record<string, string> {
  const before = set?.metadata.annotations ?? {};
  const annotations: Record<string, string> = { ...before };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {}))
    if (!notCopied.includes(key)) annotations[key] = value;
  const old = before[revisionAnnotation];
  if ((Number(old) || 0) < revision) {
    annotations[revisionAnnotation] = String(revision);
    if (old !== undefined) {
      const history = (before[revisionHistoryAnnotation] ?? '').split(',').filter((text) => text !== '');
      annotations[revisionHistoryAnnotation] = [...history, old].slice(-100).join(',');
    }
  }
  if (set === undefined) Object.assign(annotations, sizeAnnotations(deployment));
  return annotations;
}

export function sizeAnnotations(deployment: Deployment): Record<string, string> {
  const replicas = replicasOf(deployment);
  return { [desiredAnnotation]: String(replicas), [maxAnnotation]: String(replicas + maxSurge(deployment)) };
}

/** True when the Deployment was scaled since the sizes were noted on its active replica sets. */
export function isScalingEvent(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some((set) => {
    const desired = set.metadata.annotations?.[desiredAnnotation];
    return replicasOf(set) > 0 && desired !== undefined && Number(desired) !== replicasOf(deployment);
  });
}

/** The only active replica set, or the newest when none is; undefined when several are. */
export function activeOrLatest(newSet: ReplicaSet | undefined, old: readonly ReplicaSet[]): ReplicaSet | undefined {
  const all = newSet === undefined ? old : [...old, newSet];
  const active = all.filter((set) => replicasOf(set) > 0);
  if (active.length > 1) return undefined;
  return active[0] ?? newSet ?? byAge(old).at(-1);
}

/** True when the new replica set is all that the Deployment needs, and available. */
export function isSaturated(deployment: Deployment, set: ReplicaSet | undefined): boolean {
  const wanted = replicasOf(deployment);
  return (
    set !== undefined &&
    replicasOf(set) === wanted &&
    Number(set.metadata.annotations?.[desiredAnnotation]) === wanted &&
    (set.status?.availableReplicas ?? 0) === wanted
  );
}

/** The sizes of the active replica sets after scaling in the midst of a rollout: each keeps its share. */
export function proportionalSizes(deployment: Deployment, active: readonly ReplicaSet[]): Map<ReplicaSet, number> {
  const wanted = replicasOf(deployment);
  const allowed = wanted > 0 ? wanted + maxSurge(deployment) : 0;
  const toAdd = allowed - sumOf(active, replicasOf);
  const newestFirst = byAge(active).toReversed();
  // Of equally large ones the newer grow first, and the older shrink first.
  const order = (toAdd > 0 ? newestFirst : newestFirst.toReversed()).sort((a, b) => replicasOf(b) - replicasOf(a));
  const sizes = new Map<ReplicaSet, number>();
  let added = 0;
  for (const set of order) {
    const left = toAdd - added;
    const fraction = replicasOf(set) === 0 || left === 0 ? 0 : fractionOf(deployment, set);
    const share = left === 0 ? 0 : toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
    sizes.set(set, replicasOf(set) + share);
    added += share;
  }
  const [largest] = order;
  if (largest !== undefined) sizes.set(largest, Math.max(0, (sizes.get(largest) ?? 0) + toAdd - added));
  return sizes;
}

function fractionOf(deployment: Deployment, set: ReplicaSet): number {
  const size = replicasOf(set);
  const wanted = replicasOf(deployment);
  if (wanted === 0) return -size;
  const before = Number(set.metadata.annotations?.[maxAnnotation]) || (deployment.status?.replicas ?? 0);
  return before === 0 ? 0 : Math.round((size * (wanted + maxSurge(deployment))) / before) - size;
}

/** What of the old replica sets can go now without fewer pods being available than may be. */
export function scaleDownOld(
  deployment: Deployment,
  newSet: ReplicaSet,
  old: readonly ReplicaSet[],
): Map<ReplicaSet, number> {
  const sizes = new Map(byAge(old).map((set) => [set, replicasOf(set)]));
  const availableOf = (set: ReplicaSet) => set.status?.availableReplicas ?? 0;
  const minAvailable = replicasOf(deployment) - maxUnavailable(deployment);
  const unavailableNew = replicasOf(newSet) - availableOf(newSet);
  let most = sumOf([...old, newSet], replicasOf) - minAvailable - unavailableNew;
  if (most <= 0) return sizes;
  // Those that do not work go first: nobody misses them.
  for (const [set, size] of sizes) {
    const broken = Math.max(0, Math.min(most, size - availableOf(set)));
    sizes.set(set, size - broken);
    most -= broken;
  }
  let spare = sumOf([...old, newSet], availableOf) - minAvailable;
  for (const [set, size] of sizes) {
    const fewer = Math.max(0, Math.min(size, spare));
    sizes.set(set, size - fewer);
    spare -= fewer;
  }
  return sizes;
}
