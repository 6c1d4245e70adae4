import { rfc3339 } from '../core/clock.ts';
import type { Pod, PodCondition } from '../core/objects.ts';
import { isSidecar } from '../podspec/containers.ts';
import type { Phase, StatusLists } from './phase.ts';

/** A condition before its times are known. */
interface Verdict {
  readonly status: 'True' | 'False';
  readonly reason?: string;
  readonly message?: string;
}

export interface ConditionInput {
  readonly pod: Pod;
  readonly phase: Phase;
  readonly statuses: StatusLists;
  readonly sandboxReady: boolean;
  /** The conditions that the API server has: other owners' are kept, ours keep their times while they stand. */
  readonly previous: readonly PodCondition[];
  readonly observedGeneration: number | undefined;
  readonly now: number;
}

/** The conditions that a node owns; every other type is somebody else's. */
export const ownConditionTypes: ReadonlySet<string> = new Set([
  'PodReadyToStartContainers',
  'Initialized',
  'Ready',
  'ContainersReady',
  'PodScheduled',
]);

/**
 * All conditions of a pod, in the kubelet's order: other owners' first, then its own.
 * Follows pkg/kubelet/status/generate.go.
 */
export function podConditions(input: ConditionInput): PodCondition[] {
  const containersReady = containersReadyVerdict(input);
  const own: readonly (readonly [string, Verdict])[] = [
    ['PodReadyToStartContainers', { status: input.sandboxReady ? 'True' : 'False' }],
    ['Initialized', initializedVerdict(input)],
    ['Ready', readyVerdict(input, containersReady)],
    ['ContainersReady', containersReady],
    ['PodScheduled', { status: 'True' }],
  ];
  return [
    ...input.previous.filter((c) => !ownConditionTypes.has(c.type)),
    ...own.map(([type, verdict]) => dated(type, verdict, input)),
  ];
}

function dated(type: string, verdict: Verdict, { previous, observedGeneration, now }: ConditionInput): PodCondition {
  const before = previous.find((c) => c.type === type);
  const stands = before?.status === verdict.status && before.lastTransitionTime !== undefined;
  return {
    type,
    ...verdict,
    ...(observedGeneration === undefined ? {} : { observedGeneration }),
    lastProbeTime: null as unknown as string,
    lastTransitionTime: stands ? (before.lastTransitionTime as string) : rfc3339(now),
  };
}

function initializedVerdict({ pod, phase, statuses }: ConditionInput): Verdict {
  const inits = pod.spec.initContainers ?? [];
  const unknown: string[] = [];
  const incomplete: string[] = [];
  for (const container of inits) {
    const status = statuses.init.find((s) => s.name === container.name);
    if (status === undefined) unknown.push(container.name);
    else if (isSidecar(container) ? status.started !== true : !status.ready) incomplete.push(container.name);
  }
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'True', reason: 'PodCompleted' };
  const begun = statuses.regular.some(
    (s) => s.state?.running !== undefined || s.state?.terminated !== undefined || s.lastState?.terminated !== undefined,
  );
  if (begun) return { status: 'True' };
  const message = statusMessage(unknown, incomplete, 'incomplete');
  return message === undefined ? { status: 'True' } : { status: 'False', reason: 'ContainersNotInitialized', message };
}

function containersReadyVerdict({ pod, phase, statuses }: ConditionInput): Verdict {
  const unknown: string[] = [];
  const unready: string[] = [];
  const consider = (name: string, list: StatusLists['regular']) => {
    const status = list.find((s) => s.name === name);
    if (status === undefined) unknown.push(name);
    else if (!status.ready) unready.push(name);
  };
  for (const c of pod.spec.initContainers ?? []) if (isSidecar(c)) consider(c.name, statuses.init);
  for (const c of pod.spec.containers) consider(c.name, statuses.regular);
  if (phase === 'Succeeded' && unknown.length === 0) return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const message = statusMessage(unknown, unready, 'unready');
  return message === undefined ? { status: 'True' } : { status: 'False', reason: 'ContainersNotReady', message };
}

function readyVerdict({ pod, previous }: ConditionInput, containersReady: Verdict): Verdict {
  if (containersReady.status === 'False') return containersReady;
  const messages = (pod.spec.readinessGates ?? []).flatMap((gate) => {
    const condition = previous.find((c) => c.type === gate.conditionType);
    if (condition === undefined)
      return [`corresponding condition of pod readiness gate "${gate.conditionType}" does not exist.`];
    return condition.status === 'True'
      ? []
      : [`the status of pod readiness gate "${gate.conditionType}" is not "True", but ${condition.status}`];
  });
  return messages.length === 0
    ? { status: 'True' }
    : { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') };
}

function statusMessage(unknown: readonly string[], rest: readonly string[], word: string): string | undefined {
  const parts = [
    ...(unknown.length > 0 ? [`containers with unknown status: [${unknown.join(' ')}]`] : []),
    ...(rest.length > 0 ? [`containers with ${word} status: [${rest.join(' ')}]`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
