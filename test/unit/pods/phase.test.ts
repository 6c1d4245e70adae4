import { describe, expect, it } from '@jest/globals';

import type { ContainerStatus, PodSpec } from '../../../src/core/objects.ts';
import { isOver, podPhase } from '../../../src/pods/phase.ts';
import { testPod } from '../../../src/testing/index.ts';
import { status } from './container-statuses.ts';

const { running, ended, waiting, backingOff } = status;

interface Row {
  readonly policy?: string;
  readonly regular: readonly (ContainerStatus | undefined)[];
  readonly init?: readonly ContainerStatus[];
  readonly sidecars?: readonly string[];
  readonly over?: boolean;
}

function podOf({ policy = 'Always', regular, init = [], sidecars = [] }: Row) {
  const initContainers = init.map(({ name }) => ({
    name,
    image: 'i',
    ...(sidecars.includes(name) && { restartPolicy: 'Always' }),
  }));
  const spec: Partial<PodSpec> = {
    restartPolicy: policy,
    containers: regular.map((s, i) => ({ name: s?.name ?? `unknown-${i}`, image: 'i' })),
    initContainers,
  };
  return testPod(spec);
}

const lists = ({ regular, init = [] }: Row) => ({ init, regular: regular.filter((s) => s !== undefined) });
const phase = (row: Row) => podPhase(podOf(row), lists(row), row.over ?? false);

describe('the phase of a pod', () => {
  it.each<[string, Row, string]>([
    ['nothing is known of a container', { regular: [undefined] }, 'Pending'],
    ['a container waits for the first time', { regular: [running('a'), waiting('b')] }, 'Pending'],
    ['all run', { regular: [running('a'), running('b')] }, 'Running'],
    ['one runs and one has ended', { regular: [running('a'), ended('b', 1)] }, 'Running'],
    ['one runs and nothing is known of another', { regular: [running('a'), undefined] }, 'Pending'],
    ['all crash-loop', { regular: [backingOff('a', 1)] }, 'Running'],
    ['one crash-loops and one waits for the first time', { regular: [backingOff('a', 1), waiting('b')] }, 'Pending'],
  ])('when %s', (_when, row, expected) => {
    expect(phase(row)).toBe(expected);
  });

  it.each<[string, readonly number[], string, string]>([
    ['Always', [0], 'Running', 'Succeeded'],
    ['Always', [1], 'Running', 'Failed'],
    ['OnFailure', [0, 0], 'Succeeded', 'Succeeded'],
    ['OnFailure', [0, 1], 'Running', 'Failed'],
    ['Never', [0, 0], 'Succeeded', 'Succeeded'],
    ['Never', [0, 1], 'Failed', 'Failed'],
  ])('under %s after exit codes %j is %s, and %s once nothing is started again', (policy, codes, live, over) => {
    const regular = codes.map((code, i) => ended(`c${i}`, code));
    expect(phase({ policy, regular })).toBe(live);
    expect(phase({ policy, regular, over: true })).toBe(over);
  });

  it('takes an end that waits to be started again for a failure when the pod is over', () => {
    expect(phase({ regular: [backingOff('a', 0)], over: true })).toBe('Failed');
  });

  describe('while it is initialised', () => {
    const rest = [waiting('c')];

    it.each<[string, Row, string]>([
      ['an init container runs', { init: [running('i')], regular: rest }, 'Pending'],
      ['an init container waits', { init: [waiting('i')], regular: rest }, 'Pending'],
      ['an init container failed under Always', { init: [ended('i', 1)], regular: rest }, 'Pending'],
      ['an init container crash-loops', { init: [backingOff('i', 1)], regular: rest }, 'Pending'],
      ['an init container failed under Never', { policy: 'Never', init: [ended('i', 1)], regular: rest }, 'Failed'],
      [
        'an init container failed under OnFailure',
        { policy: 'OnFailure', init: [ended('i', 1)], regular: rest },
        'Pending',
      ],
      ['all init containers succeeded', { init: [ended('i', 0)], regular: rest }, 'Pending'],
      ['an init container is run again beside the rest', { init: [running('i')], regular: [running('c')] }, 'Pending'],
      ['all is done', { init: [ended('i', 0)], regular: [running('c')] }, 'Running'],
    ])('when %s', (_when, row, expected) => {
      expect(phase(row)).toBe(expected);
    });
  });

  describe('with a sidecar', () => {
    const sidecars = ['s'];
    it.each<[string, Row, string]>([
      [
        'it has not started',
        { sidecars, init: [running('s', { started: false })], regular: [waiting('c')] },
        'Pending',
      ],
      ['it runs and the rest waits', { sidecars, init: [running('s')], regular: [waiting('c')] }, 'Pending'],
      ['it runs beside the rest', { sidecars, init: [running('s')], regular: [running('c')] }, 'Running'],
      [
        'it is started again beside the rest',
        { sidecars, init: [running('s', { started: false })], regular: [running('c')] },
        'Running',
      ],
      ['it crash-loops beside the rest', { sidecars, init: [backingOff('s', 1)], regular: [running('c')] }, 'Running'],
      [
        'it runs and the rest has ended',
        { policy: 'Never', sidecars, init: [running('s')], regular: [ended('c', 0)] },
        'Running',
      ],
      [
        'it has ended after the rest, with whatever code',
        { policy: 'Never', sidecars, init: [ended('s', 5)], regular: [ended('c', 0)] },
        'Succeeded',
      ],
    ])('when %s', (_when, row, expected) => {
      expect(phase(row)).toBe(expected);
    });

    it('is over when only sidecars are left', () => {
      const row: Row = { policy: 'Never', sidecars, init: [running('s')], regular: [ended('c', 0)] };
      expect(isOver(podOf(row), lists(row))).toBe(true);
    });
  });

  it.each<[string, Row, boolean]>([
    ['a container runs', { policy: 'Never', regular: [running('a')] }, false],
    ['a container will be started again', { regular: [ended('a', 0)] }, false],
    ['all have ended for good', { policy: 'Never', regular: [ended('a', 0), ended('b', 1)] }, true],
    [
      'an init container has failed for good',
      { policy: 'Never', init: [ended('i', 1)], regular: [waiting('c')] },
      true,
    ],
    ['an init container will be tried again', { init: [ended('i', 1)], regular: [waiting('c')] }, false],
  ])('is, when %s, over or not (%#)', (_when, row, expected) => {
    expect(isOver(podOf(row), lists(row))).toBe(expected);
  });
});
