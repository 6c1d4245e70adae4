import type { Container, Pod } from '../core/objects.ts';

/** Whether a container that ended with this exit code is to be started again. */
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';

/**
 * The decision after an exit: the first matching rule of the container, else the container's policy, else the pod's.
 * A pod that is being deleted restarts nothing.
 *
 * Follows pkg/kubelet/container/helpers.go `ShouldContainerBeRestarted` and pkg/api/v1/pod `ContainerShouldRestart`.
 */
export function shouldRestart(pod: Pod, container: Container, exitCode: number, isInit: boolean): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return policyAllowsRestart(pod, container, exitCode, isInit);
}

/** The same of a pod that nobody deletes: what its phase goes by. */
export function policyAllowsRestart(pod: Pod, container: Container, exitCode: number, isInit: boolean): boolean {
  if (container.restartPolicy !== undefined) {
    for (const rule of container.restartPolicyRules ?? []) {
      const values = rule.exitCodes?.values ?? [];
      const matches = rule.exitCodes?.operator === 'NotIn' ? !values.includes(exitCode) : values.includes(exitCode);
      if (matches && rule.action === 'Restart') return true;
    }
    return allows(container.restartPolicy as RestartPolicy, exitCode);
  }
  const policy = (pod.spec.restartPolicy ?? 'Always') as RestartPolicy;
  // An init container that succeeded is done, whatever the pod's policy.
  if (isInit) return exitCode !== 0 && policy !== 'Never';
  return allows(policy, exitCode);
}

function allows(policy: RestartPolicy, exitCode: number): boolean {
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}
