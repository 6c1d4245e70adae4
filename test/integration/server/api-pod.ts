import type { ContainerStatus, Pod } from '../../../src/core/objects.ts';

const status = (name: string, rest: Partial<ContainerStatus>): ContainerStatus => ({
  name,
  image: 'busybox',
  imageID: '',
  ready: false,
  restartCount: 0,
  ...rest,
});

/** A pod with an init container `i` that ended, a container `c` that runs, one with a terminal, and `w` that cannot be pulled. */
export function apiPod(): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'api', namespace: 'default', uid: 'uid-api' },
    spec: {
      initContainers: [{ name: 'i' }],
      containers: [{ name: 'c' }, { name: 'terminal', tty: true }, { name: 'w' }],
    },
    status: {
      phase: 'Running',
      podIP: '10.0.0.9',
      initContainerStatuses: [
        status('i', { state: { terminated: { exitCode: 0, containerID: 'fake://i' } }, containerID: 'fake://i' }),
      ],
      containerStatuses: [
        status('c', { state: { running: {} }, containerID: 'fake://c' }),
        status('terminal', { state: { running: {} }, containerID: 'fake://terminal' }),
        status('w', { state: { waiting: { reason: 'ImagePullBackOff' } } }),
      ],
    },
  };
}
