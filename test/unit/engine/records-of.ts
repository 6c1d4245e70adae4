import type { Container, Pod, PodSpec } from '../../../src/core/objects.ts';
import type { ContainerRecord, ContainerRuntimeStatus, SandboxRecord } from '../../../src/providers/contract.ts';
import { testPod } from '../../../src/testing/index.ts';

export const running: ContainerRuntimeStatus = { state: 'running', startedAt: 1_000 };
export const created: ContainerRuntimeStatus = { state: 'created' };
export const exited = (exitCode: number, finishedAt = 2_000, startedAt = 1_000): ContainerRuntimeStatus => ({
  state: 'exited',
  exitCode,
  startedAt,
  finishedAt,
  reason: exitCode === 0 ? 'Completed' : 'Error',
});
export const startError: ContainerRuntimeStatus = {
  state: 'exited',
  exitCode: 128,
  startedAt: 0,
  finishedAt: 2_000,
  reason: 'StartError',
  message: 'exec: "/no": not found',
};

/** A pod named `p` with containers of these names, or of these specs. */
export function podOf(
  containers: readonly (string | Partial<Container>)[],
  inits: readonly (string | Partial<Container>)[] = [],
  spec: Partial<PodSpec> = {},
  metadata: Partial<Pod['metadata']> = {},
): Pod {
  const named = (c: string | Partial<Container>): Container => ({
    image: 'i',
    ...(typeof c === 'string' ? { name: c } : { name: 'c', ...c }),
  });
  return testPod(
    { containers: containers.map(named), ...(inits.length > 0 && { initContainers: inits.map(named) }), ...spec },
    { name: 'p', namespace: 'ns', uid: 'uid', ...metadata },
  );
}

export function sandboxOf(state: SandboxRecord['state'] = 'ready', attempt = 0): SandboxRecord {
  const pod = { uid: 'uid', name: 'p', namespace: 'ns' };
  return { id: `s${attempt}`, pod, attempt, state, createdAt: attempt, podIPs: ['10.0.0.9'] };
}

export function recordOf(
  name: string,
  status: ContainerRuntimeStatus,
  given: Partial<ContainerRecord> = {},
): ContainerRecord {
  const attempt = given.attempt ?? 0;
  return {
    id: `${name}-${attempt}`,
    sandboxID: 's0',
    pod: { uid: 'uid', name: 'p', namespace: 'ns' },
    name,
    attempt,
    image: 'i',
    imageID: '',
    logPath: `/logs/${name}/${attempt}.log`,
    annotations: {},
    createdAt: attempt,
    status,
    ...given,
  };
}
