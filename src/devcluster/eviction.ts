/** Evictions: deletions that ask the pod's disruption budget first. Follows pkg/registry/core/pod/storage/eviction.go. */
import type { V1PodDisruptionBudget } from '@kubernetes/client-node';

import { rfc3339, type Clock } from '../core/clock.ts';
import type { Pod, PodCondition, Wire } from '../core/objects.ts';
import { ApiError, badRequest, forbidden } from './api-error.ts';
import type { User } from './auth/user.ts';
import { selectsLabels } from './controllers/label-selector.ts';
import { isJsonObject, type JsonObject } from './json.ts';
import { asPod } from './kinds/pod.ts';
import { kindNamed } from './kinds/table.ts';
import type { DeleteOptions, Registry } from './registry.ts';
import { decode } from './schema/decode.ts';

type Budget = Wire<V1PodDisruptionBudget> & { metadata: { name: string; generation?: number } };

export interface EvictionRequest {
  readonly namespace: string;
  readonly name: string;
  readonly body: JsonObject;
  readonly dryRun: boolean;
  readonly user: User;
  /** How the API server reads a DeleteOptions. */
  readonly deleteOptions: (body: JsonObject | undefined) => DeleteOptions;
}

/** Evicts a pod, or throws 429 when its budget does not allow that now. */
export function evictPod(registry: Registry, clock: Clock, request: EvictionRequest): void {
  const { namespace, name, user } = request;
  const pods = kindNamed('Pod');
  const { metadata, deleteOptions } = decode('Eviction', request.body).value;
  if (isJsonObject(metadata) && metadata['name'] !== undefined && metadata['name'] !== name)
    throw badRequest('name in URL does not match name in Eviction object');
  const asked = request.deleteOptions(isJsonObject(deleteOptions) ? deleteOptions : undefined);
  const dryRun = request.dryRun || asked.dryRun === true;
  const pod = asPod(registry.get(pods, namespace, name));
  if (!needsNoBudget(pod)) askBudget(registry, clock, pod, dryRun);
  if (!dryRun) markDisrupted(registry, clock, pod);
  registry.delete(pods, namespace, name, { ...asked, dryRun, user });
}

/** A pod that does no work, or no more, disturbs nobody. */
function needsNoBudget({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp !== undefined || ['Succeeded', 'Failed', 'Pending'].includes(status?.phase ?? 'Pending')
  );
}

function askBudget(registry: Registry, clock: Clock, pod: Pod, dryRun: boolean): void {
  const kind = kindNamed('PodDisruptionBudget');
  const { namespace, labels } = pod.metadata;
  const budgets = (registry.store.list(kind, namespace) as unknown as Budget[]).filter(({ spec }) =>
    selectsLabels(spec?.selector, labels),
  );
  if (budgets.length > 1)
    throw new ApiError(
      500,
      '',
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    );
  const [budget] = budgets;
  if (budget === undefined) return;
  const { name, generation = 0 } = budget.metadata;
  const {
    currentHealthy = 0,
    desiredHealthy = 0,
    disruptionsAllowed = 0,
    observedGeneration = 0,
    disruptedPods = {},
  } = budget.status ?? {};
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  if (!ready) {
    if (budget.spec?.unhealthyPodEvictionPolicy === 'AlwaysAllow') return;
    if (currentHealthy >= desiredHealthy && desiredHealthy > 0) return;
  }
  if (observedGeneration < generation)
    throw tooMany(`The disruption budget ${name} is still being processed by the server.`, 10);
  if (disruptionsAllowed < 0) throw forbidden(kind, name, 'pdb disruptions allowed is negative');
  if (disruptionsAllowed === 0)
    throw tooMany(
      `The disruption budget ${name} needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`,
    );
  if (dryRun) return;
  const status = {
    ...budget.status,
    disruptionsAllowed: disruptionsAllowed - 1,
    ...(disruptionsAllowed === 1 && { conditions: exhausted(budget, clock) }),
    disruptedPods: { ...disruptedPods, [pod.metadata.name]: rfc3339(clock.now()) },
  };
  registry.change(kind, namespace, name, 'status', (current) => ({
    ...current,
    status: status as unknown as JsonObject,
  }));
}

/** The budget's conditions once its last disruption is used. */
function exhausted({ metadata, status }: Budget, clock: Clock) {
  const type = 'DisruptionAllowed';
  const before = status?.conditions?.find((condition) => condition.type === type);
  const lastTransitionTime = before?.status === 'False' ? before.lastTransitionTime : rfc3339(clock.now());
  return [
    ...(status?.conditions ?? []).filter((condition) => condition.type !== type),
    {
      type,
      status: 'False',
      observedGeneration: metadata.generation,
      lastTransitionTime,
      reason: 'InsufficientPods',
      message: '',
    },
  ];
}

function tooMany(cause: string, retryAfterSeconds?: number): ApiError {
  return new ApiError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [{ reason: 'DisruptionBudget', message: cause }],
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

function markDisrupted(registry: Registry, clock: Clock, pod: Pod): void {
  const { namespace, name } = pod.metadata;
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'EvictionByEvictionAPI',
    message: 'Eviction API: evicting',
    lastProbeTime: null,
    lastTransitionTime: rfc3339(clock.now()),
  } as unknown as PodCondition;
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== condition.type);
  const conditions = [...others, condition] as unknown as JsonObject[];
  registry.change(kindNamed('Pod'), namespace, name, 'status', (current) => ({
    ...current,
    status: { ...(current['status'] as JsonObject), conditions },
  }));
}
