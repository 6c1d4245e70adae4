import { describe, expect, it } from '@jest/globals';

import type { ContainerStatus, PodCondition, PodSpec } from '../../../src/core/objects.ts';
import { type ConditionInput, podConditions } from '../../../src/pods/conditions.ts';
import { testPod } from '../../../src/testing/index.ts';
import { status } from './container-statuses.ts';

const { running, ended, waiting } = status;
const now = Date.UTC(2026, 0, 1);

function conditions(
  regular: readonly ContainerStatus[],
  init: readonly ContainerStatus[] = [],
  given: Partial<ConditionInput> = {},
  spec: Partial<PodSpec> = {},
) {
  const pod = testPod({
    containers: regular.map(({ name }) => ({ name, image: 'i' })),
    initContainers: init.map(({ name }) => ({
      name,
      image: 'i',
      ...(name.startsWith('s') && { restartPolicy: 'Always' }),
    })),
    ...spec,
  });
  return podConditions({
    pod,
    phase: 'Running',
    statuses: { init, regular },
    sandboxReady: true,
    previous: [],
    observedGeneration: 3,
    now,
    ...given,
  });
}

const said = (list: readonly PodCondition[], type: string) => {
  const found = list.find((c) => c.type === type);
  return [found?.status, found?.reason, found?.message].filter(Boolean).join(' ');
};

describe('the conditions of a pod', () => {
  it('come in the kubelet’s order, with their generation and times', () => {
    const list = conditions([running('c')]);
    expect(list.map((c) => `${c.type}=${c.status}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ]);
    expect(list[0]).toEqual({
      type: 'PodReadyToStartContainers',
      status: 'True',
      observedGeneration: 3,
      lastProbeTime: null,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
  });

  it('say whether there is a sandbox', () => {
    expect(said(conditions([waiting('c')], [], { sandboxReady: false }), 'PodReadyToStartContainers')).toBe('False');
  });

  it.each<[string, readonly ContainerStatus[], readonly ContainerStatus[], string]>([
    ['there is nothing to initialise', [waiting('c')], [], 'True'],
    [
      'init containers are left',
      [waiting('c')],
      [ended('i1', 0, { ready: true }), running('i2'), waiting('i3')].map((s) =>
        s.state?.running ? { ...s, ready: false } : s,
      ),
      'False ContainersNotInitialized containers with incomplete status: [i2 i3]',
    ],
    [
      'a sidecar has not started',
      [waiting('c')],
      [running('s1', { started: false })],
      'False ContainersNotInitialized containers with incomplete status: [s1]',
    ],
    ['all are done', [waiting('c')], [ended('i1', 0, { ready: true }), running('s1')], 'True'],
    ['a regular container has run, whatever init containers do', [running('c')], [ended('i1', 1)], 'True'],
    [
      'a regular container ran before',
      [waiting('c', { lastState: { terminated: { exitCode: 1 } } })],
      [waiting('i1')],
      'True',
    ],
  ])('say Initialized when %s', (_when, regular, init, expected) => {
    expect(said(conditions(regular, init), 'Initialized')).toBe(expected);
  });

  it.each<[string, readonly ContainerStatus[], readonly ContainerStatus[], Partial<ConditionInput>, string]>([
    ['all are ready', [running('a'), running('b')], [], {}, 'True'],
    [
      'some are not',
      [running('a', { ready: false }), running('b'), ended('d', 1)],
      [],
      {},
      'False ContainersNotReady containers with unready status: [a d]',
    ],
    [
      'a sidecar is not',
      [running('a')],
      [running('s1', { ready: false })],
      {},
      'False ContainersNotReady containers with unready status: [s1]',
    ],
    ['init containers are long done', [running('a')], [ended('i1', 0)], {}, 'True'],
    ['the pod succeeded', [ended('a', 0)], [], { phase: 'Succeeded' }, 'False PodCompleted'],
    ['the pod failed, though it runs', [running('a')], [], { phase: 'Failed' }, 'False PodFailed'],
  ])('say ContainersReady, and Ready alike, when %s', (_when, regular, init, given, expected) => {
    const list = conditions(regular, init, given);
    expect(said(list, 'ContainersReady')).toBe(expected);
    expect(said(list, 'Ready')).toBe(expected);
  });

  it('name containers whose status is unknown first', () => {
    const list = conditions(
      [running('a', { ready: false })],
      [],
      {},
      {
        containers: [
          { name: 'a', image: 'i' },
          { name: 'x', image: 'i' },
        ],
      },
    );
    expect(said(list, 'ContainersReady')).toBe(
      'False ContainersNotReady containers with unknown status: [x], containers with unready status: [a]',
    );
  });

  it('say that a pod which succeeded is initialised because it is complete', () => {
    expect(
      said(conditions([ended('a', 0)], [ended('i1', 0, { ready: true })], { phase: 'Succeeded' }), 'Initialized'),
    ).toBe('True PodCompleted');
  });

  describe('with readiness gates', () => {
    const readinessGates = [{ conditionType: 'example.com/a' }, { conditionType: 'example.com/b' }];
    const ready = (previous: readonly PodCondition[]) =>
      conditions([running('c')], [], { previous }, { readinessGates });

    it('are not Ready while a gate’s condition is missing or not True', () => {
      const list = ready([{ type: 'example.com/b', status: 'False' }]);
      expect(said(list, 'ContainersReady')).toBe('True');
      expect(said(list, 'Ready')).toBe(
        'False ReadinessGatesNotReady corresponding condition of pod readiness gate "example.com/a" does not exist., the status of pod readiness gate "example.com/b" is not "True", but False',
      );
    });

    it('are Ready when all gates are open', () => {
      expect(
        said(
          ready([
            { type: 'example.com/a', status: 'True' },
            { type: 'example.com/b', status: 'True' },
          ]),
          'Ready',
        ),
      ).toBe('True');
    });

    it('say first what the containers lack', () => {
      const list = conditions([running('c', { ready: false })], [], {}, { readinessGates });
      expect(said(list, 'Ready')).toBe('False ContainersNotReady containers with unready status: [c]');
    });
  });

  it('keep those of other owners as they are, before their own', () => {
    const foreign = {
      type: 'DisruptionTarget',
      status: 'True',
      reason: 'PreemptionByScheduler',
      lastTransitionTime: '2025-01-01T00:00:00Z',
    };
    expect(conditions([running('c')], [], { previous: [foreign] })[0]).toEqual(foreign);
  });

  it('keep the time of a transition while a status stands, and not when it changes', () => {
    const previous = [
      { type: 'Ready', status: 'True', lastTransitionTime: '2025-01-01T00:00:00Z' },
      { type: 'ContainersReady', status: 'False', lastTransitionTime: '2025-01-01T00:00:00Z' },
    ];
    const list = conditions([running('c')], [], { previous });
    expect(list.find((c) => c.type === 'Ready')?.lastTransitionTime).toBe('2025-01-01T00:00:00Z');
    expect(list.find((c) => c.type === 'ContainersReady')?.lastTransitionTime).toBe('2026-01-01T00:00:00Z');
  });
});
