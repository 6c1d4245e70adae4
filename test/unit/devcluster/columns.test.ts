import { describe, expect, it } from '@jest/globals';

import type { ApiObject } from '../../../src/devcluster/api-object.ts';
import { humanDuration } from '../../../src/devcluster/kinds/human-duration.ts';
import { podColumns } from '../../../src/devcluster/kinds/pod-columns.ts';

const nowMs = Date.UTC(2026, 0, 1, 1);
const shown = (pod: object) =>
  podColumns
    .slice(1, 4)
    .map((column) => column.cell({ metadata: { name: 'p' }, ...pod } as unknown as ApiObject, nowMs))
    .join(' ');
const spec = { containers: [{ name: 'a' }, { name: 'b' }] };
const running = (name: string, ready = true, restartCount = 0) => ({
  name,
  ready,
  restartCount,
  state: { running: {} },
  lastState: {},
});
const ended = (name: string, exitCode: number, reason?: string) => ({
  name,
  ready: false,
  restartCount: 0,
  state: { terminated: { exitCode, ...(reason && { reason }) } },
});

describe('how kubectl shows a pod', () => {
  it.each([
    ['new', { spec, status: { phase: 'Pending' } }, '0/2 Pending 0'],
    [
      'running',
      { spec, status: { phase: 'Running', containerStatuses: [running('a'), running('b', false)] } },
      '1/2 Running 0',
    ],
    [
      'gated',
      {
        spec,
        status: {
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
        },
      },
      '0/2 SchedulingGated 0',
    ],
    [
      'waiting',
      {
        spec,
        status: {
          phase: 'Pending',
          containerStatuses: [{ ...running('a'), state: { waiting: { reason: 'ImagePullBackOff' } } }, running('b')],
        },
      },
      '1/2 ImagePullBackOff 0',
    ],
    [
      'done',
      {
        spec,
        status: { phase: 'Succeeded', containerStatuses: [ended('a', 0, 'Completed'), ended('b', 0, 'Completed')] },
      },
      '0/2 Completed 0',
    ],
    [
      'failed',
      { spec, status: { phase: 'Failed', containerStatuses: [ended('a', 3), ended('b', 0, 'Completed')] } },
      '0/2 ExitCode:3 0',
    ],
    [
      'half done',
      {
        spec,
        status: {
          phase: 'Running',
          containerStatuses: [ended('a', 0, 'Completed'), running('b')],
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      },
      '1/2 Running 0',
    ],
    [
      'half done and not ready',
      { spec, status: { phase: 'Running', containerStatuses: [ended('a', 0, 'Completed'), running('b')] } },
      '1/2 NotReady 0',
    ],
    ['evicted', { spec, status: { phase: 'Failed', reason: 'Evicted' } }, '0/2 Evicted 0'],
    [
      'leaving',
      {
        spec,
        metadata: { name: 'p', deletionTimestamp: '2026-01-01T00:00:00Z' },
        status: { phase: 'Running', containerStatuses: [running('a'), running('b')] },
      },
      '2/2 Terminating 0',
    ],
    [
      'restarted',
      {
        spec,
        status: {
          phase: 'Running',
          containerStatuses: [
            {
              ...running('a', true, 3),
              lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:55:00Z' } },
            },
            running('b'),
          ],
        },
      },
      '2/2 Running 3 (5m ago)',
    ],
    [
      'initializing',
      {
        spec: { ...spec, initContainers: [{ name: 'i' }, { name: 'j' }] },
        status: {
          phase: 'Pending',
          initContainerStatuses: [ended('i', 0), { name: 'j', state: { waiting: { reason: 'PodInitializing' } } }],
        },
      },
      '0/2 Init:1/2 0',
    ],
    [
      'failing to initialize',
      {
        spec: { ...spec, initContainers: [{ name: 'i' }] },
        status: { phase: 'Pending', initContainerStatuses: [{ ...ended('i', 1, 'Error'), restartCount: 2 }] },
      },
      '0/2 Init:Error 2',
    ],
    [
      'with a sidecar',
      {
        spec: { ...spec, initContainers: [{ name: 's', restartPolicy: 'Always' }] },
        status: {
          phase: 'Running',
          initContainerStatuses: [{ ...running('s'), started: true }],
          containerStatuses: [running('a'), running('b')],
        },
      },
      '3/3 Running 0',
    ],
  ])('%s', (_what, pod, expected) => {
    expect(shown(pod)).toBe(expected);
  });
});

describe('an age', () => {
  it.each([
    [0, '0s'],
    [119, '119s'],
    [125, '2m5s'],
    [600, '10m'],
    [3 * 3600, '3h'],
    [3 * 3600 + 300, '3h5m'],
    [9 * 3600, '9h'],
    [50 * 3600, '2d2h'],
    [9 * 86_400, '9d'],
    [3 * 365 * 86_400 + 86_400, '3y1d'],
    [9 * 365 * 86_400, '9y'],
  ])('%i s', (seconds, expected) => {
    expect(humanDuration(seconds * 1000)).toBe(expected);
  });
});
