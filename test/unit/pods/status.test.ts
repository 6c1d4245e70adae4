import { describe, expect, it } from '@jest/globals';

import type { Pod, PodStatus } from '../../../src/core/objects.ts';
import { podStatus, rejectedStatus, type StatusInput } from '../../../src/pods/status.ts';
import type { ContainerReport, PodReport } from '../../../src/providers/contract.ts';
import { testPod } from '../../../src/testing/index.ts';
import { endedContainer, runningContainer } from '../../helpers/fake-provider.ts';

const now = Date.UTC(2026, 0, 1);
const reportOf = (containers: readonly ContainerReport[], given: Partial<PodReport> = {}): PodReport => ({
  uid: 'u',
  name: 'p',
  namespace: 'ns',
  sandboxReady: true,
  podIPs: ['10.0.0.9', 'fd00::9'],
  containers,
  ...given,
});

const compute = (pod: Pod, given: Partial<StatusInput> = {}) =>
  podStatus({
    pod,
    report: undefined,
    previous: pod.status ?? {},
    stage: 'syncing',
    failure: undefined,
    hostIPs: ['192.0.2.1', 'fd00::1'],
    now,
    ...given,
  });

const one = testPod(
  { containers: [{ name: 'c', image: 'i:1' }], restartPolicy: 'Never' },
  { name: 'p', uid: 'u', generation: 2 },
);
const previous: PodStatus = { phase: 'Running', qosClass: 'Burstable', startTime: '2025-12-31T00:00:00Z' };

describe('the status of a pod', () => {
  it('is whole before anything is known', () => {
    expect(compute(one, { previous: { phase: 'Pending', qosClass: 'BestEffort' } }).status).toMatchObject({
      phase: 'Pending',
      qosClass: 'BestEffort',
      observedGeneration: 2,
      startTime: '2026-01-01T00:00:00Z',
      hostIP: '192.0.2.1',
      hostIPs: [{ ip: '192.0.2.1' }, { ip: 'fd00::1' }],
      containerStatuses: [
        {
          name: 'c',
          image: 'i:1',
          imageID: '',
          state: { waiting: { reason: 'ContainerCreating' } },
          lastState: {},
          ready: false,
          started: false,
          restartCount: 0,
        },
      ],
    });
  });

  it('has the pod’s addresses, and keeps them when the provider does not say them any more', () => {
    const { status } = compute(one, { report: reportOf([runningContainer('c')]) });
    expect(status).toMatchObject({
      phase: 'Running',
      podIP: '10.0.0.9',
      podIPs: [{ ip: '10.0.0.9' }, { ip: 'fd00::9' }],
    });
    expect(compute(one, { previous: status, report: reportOf([], { podIPs: [] }) }).status).toMatchObject({
      podIP: '10.0.0.9',
    });
  });

  it('keeps when the pod was started, and what others wrote', () => {
    const others = { nominatedNodeName: 'n', resourceClaimStatuses: [{ name: 'r' }] };
    expect(compute(one, { previous: { ...previous, ...others } }).status).toMatchObject({
      startTime: '2025-12-31T00:00:00Z',
      ...others,
    });
  });

  it('lists regular and ephemeral containers by name, init containers as the spec does', () => {
    const pod = testPod({
      containers: [{ name: 'b' }, { name: 'a' }],
      initContainers: [{ name: 'z' }, { name: 'y' }],
      ephemeralContainers: [{ name: 'f' }, { name: 'e' }],
    });
    const { status } = compute(pod);
    const names = (list?: readonly { name: string }[]) => list?.map((c) => c.name).join('');
    expect([
      names(status.initContainerStatuses),
      names(status.containerStatuses),
      names(status.ephemeralContainerStatuses),
    ]).toEqual(['zy', 'ab', 'ef']);
  });

  it('shows where volumes are mounted', () => {
    const pod = testPod({
      containers: [
        {
          name: 'c',
          volumeMounts: [
            { name: 'v', mountPath: '/v' },
            { name: 'w', mountPath: '/w', readOnly: true },
          ],
        },
      ],
    });
    expect(compute(pod).status.containerStatuses?.[0]?.volumeMounts).toEqual([
      { name: 'v', mountPath: '/v' },
      { name: 'w', mountPath: '/w', readOnly: true, recursiveReadOnly: 'Disabled' },
    ]);
  });

  it('shows what the API server has until the provider has said something', () => {
    const known = { name: 'c', image: 'i:1', imageID: 'x', ready: true, restartCount: 3, state: { running: {} } };
    expect(compute(one, { previous: { ...previous, containerStatuses: [known] } }).status.containerStatuses).toEqual([
      known,
    ]);
  });

  it('shows why the framework waits, and what there was before', () => {
    const known = {
      name: 'c',
      image: 'i:1',
      imageID: 'x',
      ready: false,
      restartCount: 3,
      state: { terminated: { exitCode: 1 } },
    };
    const waiting = { reason: 'ProviderFailed', message: 'backend is down' };
    expect(
      compute(one, { previous: { ...previous, containerStatuses: [known] }, waiting }).status.containerStatuses,
    ).toMatchObject([{ state: { waiting }, lastState: { terminated: { exitCode: 1 } }, restartCount: 3 }]);
  });

  describe('of a pod that is over while something may still run', () => {
    it('keeps its phase and says already that it is not ready', () => {
      const { status, over } = compute(one, { previous, report: reportOf([endedContainer('c', 1)]) });
      expect(over).toBe(true);
      expect(status.phase).toBe('Running');
      expect(status.conditions?.find((c) => c.type === 'Ready')).toMatchObject({
        status: 'False',
        reason: 'PodFailed',
      });
    });

    it('keeps it also when the end has a reason of its own', () => {
      const failure = { reason: 'DeadlineExceeded', message: 'too long' };
      const { status, over } = compute(one, { previous, report: reportOf([runningContainer('c')]), failure });
      expect(over).toBe(true);
      expect(status).toMatchObject({ phase: 'Running' });
      expect(status).not.toHaveProperty('reason');
      expect(status.conditions?.find((c) => c.type === 'ContainersReady')).toMatchObject({
        status: 'False',
        reason: 'PodFailed',
      });
    });
  });

  describe('when nothing of the pod runs any more', () => {
    const last = (containers: readonly ContainerReport[], given: Partial<StatusInput> = {}, pod = one) =>
      compute(pod, { previous, stage: 'terminated', report: reportOf(containers, { sandboxReady: false }), ...given })
        .status;

    it.each([
      [0, 'Succeeded', 'PodCompleted'],
      [1, 'Failed', 'PodFailed'],
    ])('is, after exit code %d, %s', (code, phase, reason) => {
      const status = last([endedContainer('c', code)]);
      expect(status.phase).toBe(phase);
      expect(status.conditions?.find((c) => c.type === 'Ready')).toMatchObject({ status: 'False', reason });
      expect(status.conditions?.find((c) => c.type === 'PodReadyToStartContainers')).toMatchObject({ status: 'False' });
    });

    it('has the reason that ended it', () => {
      const failure = { reason: 'Evicted', message: 'The node was low on resource: memory.' };
      expect(last([endedContainer('c', 0)], { failure })).toMatchObject({ phase: 'Failed', ...failure });
    });

    it('gives a container without an end one, and is Failed', () => {
      expect(last([])).toMatchObject({
        phase: 'Failed',
        containerStatuses: [
          {
            state: {
              terminated: {
                reason: 'ContainerStatusUnknown',
                exitCode: 137,
                message: 'The container could not be located when the pod was terminated',
              },
            },
          },
        ],
      });
    });

    it('leaves waiting what never came behind an init container that failed', () => {
      const pod = testPod({
        containers: [{ name: 'c' }],
        initContainers: [{ name: 'i' }, { name: 'j' }],
        restartPolicy: 'Never',
      });
      const status = last([endedContainer('i', 1)], {}, pod);
      expect(status).toMatchObject({
        phase: 'Failed',
        initContainerStatuses: [{ state: { terminated: { exitCode: 1 } } }, { state: { waiting: {} } }],
        containerStatuses: [{ state: { waiting: {} } }],
      });
    });
  });

  describe('of a pod that is not taken', () => {
    it('is Failed with the reason, and has no containers', () => {
      const pod: Pod = { ...one, status: { phase: 'Pending', qosClass: 'BestEffort' } };
      expect(rejectedStatus(pod, 'OutOfcpu', "Node didn't have enough resource: cpu", now)).toEqual({
        phase: 'Failed',
        qosClass: 'BestEffort',
        reason: 'OutOfcpu',
        message: "Pod was rejected: Node didn't have enough resource: cpu",
        startTime: '2026-01-01T00:00:00Z',
        observedGeneration: 2,
      });
    });
  });
});
