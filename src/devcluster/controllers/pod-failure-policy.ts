/** What a job's failure policy says about a failed pod. Follows pkg/controller/job/pod_failure_policy.go. */
import type { ContainerStatus, Pod } from '../../core/objects.ts';
import type { Job } from './types.ts';

type Policy = NonNullable<Job['spec']['podFailurePolicy']>;
type ExitCodes = NonNullable<Policy['rules'][number]['onExitCodes']>;

export interface FailureVerdict {
  /** The failure counts towards the back-off limit. */
  readonly counts: boolean;
  /** The whole job fails, with this message. */
  readonly failJob?: string;
}

export function matchFailurePolicy(policy: Policy | undefined, pod: Pod): FailureVerdict {
  const { namespace, name } = pod.metadata;
  for (const [index, rule] of (policy?.rules ?? []).entries()) {
    const container = rule.onExitCodes && matchingContainer(pod, rule.onExitCodes);
    const condition =
      rule.onExitCodes === undefined
        ? pod.status?.conditions?.find((has) =>
            rule.onPodConditions?.some(
              (wanted) => wanted.type === has.type && (wanted.status ?? 'True') === has.status,
            ),
          )
        : undefined;
    if (container === undefined && condition === undefined) continue;
    if (rule.action === 'Ignore') return { counts: false };
    if (rule.action !== 'FailJob') return { counts: true };
    const what =
      container === undefined
        ? `Pod ${namespace}/${name} has condition ${condition?.type}`
        : `Container ${container.name} for pod ${namespace}/${name} failed with exit code ${container.state?.terminated?.exitCode}`;
    return { counts: true, failJob: `${what} matching FailJob rule at index ${index}` };
  }
  return { counts: true };
}

function matchingContainer(
  { status }: Pod,
  { containerName, operator, values }: ExitCodes,
): ContainerStatus | undefined {
  return [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find(({ name, state }) => {
    const code = state?.terminated?.exitCode ?? 0;
    if (code === 0 || (containerName !== undefined && containerName !== name)) return false;
    return values.includes(code) === (operator === 'In');
  });
}
