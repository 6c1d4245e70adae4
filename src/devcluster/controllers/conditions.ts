/** A condition as most kinds have it. */
export interface StatusCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
}

export function findCondition<C extends StatusCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function withoutCondition<C extends StatusCondition>(conditions: readonly C[] | undefined, type: string): C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}

/**
 * The conditions with this one set at the end: unchanged when status and reason are what they were, with the old
 * transition time when the status is. The rule of SetDeploymentCondition, SetCondition (replica sets) and others.
 */
export function withCondition<C extends StatusCondition>(conditions: readonly C[] | undefined, condition: C): C[] {
  const before = findCondition(conditions, condition.type);
  if (before !== undefined && before.status === condition.status && (before.reason ?? '') === (condition.reason ?? ''))
    return [...(conditions ?? [])];
  const kept = before?.status === condition.status && before.lastTransitionTime !== undefined;
  return [
    ...withoutCondition(conditions, condition.type),
    kept ? { ...condition, lastTransitionTime: before.lastTransitionTime } : condition,
  ];
}
