/** A Deployment's status and conditions. Follows calculateStatus and syncRolloutStatus in pkg/controller/deployment/{sync,progress}.go. */
import { rfc3339 } from '../../core/clock.ts';
import { findCondition, withoutCondition } from './conditions.ts';
import { maxUnavailable, replicasOf, sumOf } from './rollout.ts';
import type { Deployment, ReplicaSet } from './types.ts';

export type DeploymentStatus = NonNullable<Deployment['status']>;
export type DeploymentCondition = NonNullable<DeploymentStatus['conditions']>[number];

/** A very large deadline means none. */
export function hasDeadline({ spec }: Deployment): boolean {
  return spec.progressDeadlineSeconds !== undefined && spec.progressDeadlineSeconds !== 2 ** 31 - 1;
}

export function deploymentCondition(
  type: string,
  status: string,
  reason: string,
  message: string,
  nowMs: number,
): DeploymentCondition {
  const now = rfc3339(nowMs);
  return { type, status, lastUpdateTime: now, lastTransitionTime: now, reason, message };
}

/** The condition at the end of the others: as it was when status and reason are the same (SetDeploymentCondition). */
export function setCondition(
  conditions: readonly DeploymentCondition[] | undefined,
  condition: DeploymentCondition,
): DeploymentCondition[] {
  const before = findCondition(conditions, condition.type);
  if (before?.status === condition.status && before.reason === condition.reason) return [...(conditions ?? [])];
  return [
    ...withoutCondition(conditions, condition.type),
    before?.status === condition.status && before.lastTransitionTime !== undefined
      ? { ...condition, lastTransitionTime: before.lastTransitionTime }
      : condition,
  ];
}

/** The counts and the Available condition. `all` includes the new replica set. */
export function statusOf(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const wanted = replicasOf(deployment);
  const available = sumOf(all, (set) => set.status?.availableReplicas);
  const enough = available >= wanted - maxUnavailable(deployment);
  const { collisionCount, conditions } = deployment.status ?? {};
  return {
    ...(deployment.metadata.generation !== undefined && { observedGeneration: deployment.metadata.generation }),
    replicas: sumOf(all, (set) => set.status?.replicas),
    updatedReplicas: newSet?.status?.replicas ?? 0,
    readyReplicas: sumOf(all, (set) => set.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sumOf(all, replicasOf) - available),
    terminatingReplicas: sumOf(all, (set) => set.status?.terminatingReplicas),
    ...(collisionCount !== undefined && { collisionCount }),
    conditions: setCondition(
      conditions,
      enough
        ? deploymentCondition(
            'Available',
            'True',
            'MinimumReplicasAvailable',
            'Deployment has minimum availability.',
            nowMs,
          )
        : deploymentCondition(
            'Available',
            'False',
            'MinimumReplicasUnavailable',
            'Deployment does not have minimum availability.',
            nowMs,
          ),
    ),
  };
}

/** Every pod is of the new template, none is left of an old one, and the controller has seen the spec. */
export function isComplete(deployment: Deployment, status: DeploymentStatus | undefined): boolean {
  const wanted = replicasOf(deployment);
  return (
    (status?.updatedReplicas ?? 0) === wanted &&
    (status?.replicas ?? 0) === wanted &&
    (status?.availableReplicas ?? 0) === wanted &&
    (status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** The status with its Progressing and ReplicaFailure conditions. */
export function rolloutStatusOf(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newSet: ReplicaSet | undefined,
  nowMs: number,
): DeploymentStatus {
  const status = statusOf(deployment, all, newSet, nowMs);
  const before = findCondition(deployment.status?.conditions, 'Progressing');
  const subject =
    newSet === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${newSet.metadata.name}"`;
  const finishedBefore = status.replicas === status.updatedReplicas && before?.reason === 'NewReplicaSetAvailable';
  const progressing = (value: string, reason: string, what: string) =>
    deploymentCondition('Progressing', value, reason, `${subject} ${what}`, nowMs);
  let { conditions } = status;
  if (!hasDeadline(deployment)) conditions = withoutCondition(conditions, 'Progressing');
  else if (!finishedBefore) {
    if (isComplete(deployment, status))
      conditions = setCondition(
        conditions,
        progressing('True', 'NewReplicaSetAvailable', 'has successfully progressed.'),
      );
    else if (hasProgressed(deployment.status, status)) {
      // The same reason again is news: its update time is what the deadline counts from.
      const condition = progressing('True', 'ReplicaSetUpdated', 'is progressing.');
      const since = before?.status === 'True' ? before.lastTransitionTime : undefined;
      conditions = [
        ...withoutCondition(conditions, 'Progressing'),
        since === undefined ? condition : { ...condition, lastTransitionTime: since },
      ];
    } else if (hasTimedOut(deployment, before, nowMs))
      conditions = setCondition(
        conditions,
        progressing('False', 'ProgressDeadlineExceeded', 'has timed out progressing.'),
      );
  }
  const failure = [newSet, ...all]
    .flatMap((set) => set?.status?.conditions ?? [])
    .find(({ type }) => type === 'ReplicaFailure');
  if (failure === undefined) conditions = withoutCondition(conditions, 'ReplicaFailure');
  else {
    const { reason = '', message = '', lastTransitionTime = rfc3339(nowMs) } = failure;
    conditions = setCondition(conditions, {
      type: 'ReplicaFailure',
      status: failure.status,
      lastUpdateTime: lastTransitionTime,
      lastTransitionTime,
      reason,
      message,
    });
  }
  return { ...status, ...(conditions !== undefined && { conditions }) };
}

/** When the progress deadline has to be checked, in milliseconds from now; undefined when it need not be. */
export function deadlineInMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const condition = findCondition(status.conditions, 'Progressing');
  if (!hasDeadline(deployment) || condition === undefined) return undefined;
  if (isComplete(deployment, status) || condition.reason === 'ProgressDeadlineExceeded') return undefined;
  return deadlineOf(deployment, condition) - nowMs + 1000;
}

function deadlineOf({ spec }: Deployment, { lastUpdateTime }: DeploymentCondition): number {
  return Date.parse(lastUpdateTime ?? '') + (spec.progressDeadlineSeconds ?? 600) * 1000;
}

function hasProgressed(before: DeploymentStatus | undefined, now: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus | undefined) => (status?.replicas ?? 0) - (status?.updatedReplicas ?? 0);
  return (
    (now.updatedReplicas ?? 0) > (before?.updatedReplicas ?? 0) ||
    old(now) < old(before) ||
    (now.readyReplicas ?? 0) > (before?.readyReplicas ?? 0) ||
    (now.availableReplicas ?? 0) > (before?.availableReplicas ?? 0)
  );
}

function hasTimedOut(deployment: Deployment, condition: DeploymentCondition | undefined, nowMs: number): boolean {
  if (condition === undefined || condition.reason === 'NewReplicaSetAvailable') return false;
  return condition.reason === 'ProgressDeadlineExceeded' || deadlineOf(deployment, condition) < nowMs;
}
