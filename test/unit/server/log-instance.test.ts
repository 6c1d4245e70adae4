import { describe, expect, it } from '@jest/globals';

import type { ContainerStatus, Pod } from '../../../src/core/objects.ts';
import { Refusal } from '../../../src/server/refusal.ts';
import { logInstance } from '../../../src/server/routes/log-instance.ts';

const terminated = (containerID?: string) => ({
  terminated: { exitCode: 0, ...(containerID === undefined ? {} : { containerID }) },
});

function pod(status: Partial<ContainerStatus> | undefined, list = 'containerStatuses'): Pod {
  const full = { name: 'c', image: '', imageID: '', ready: false, restartCount: 0, ...status };
  return {
    metadata: { name: 'p', namespace: 'ns', uid: 'u' },
    spec: { containers: [{ name: 'c' }] },
    status: status === undefined ? {} : { [list]: [full] },
  };
}

function refusal(of: Pod, previous = false): unknown {
  try {
    return logInstance(of, 'c', previous);
  } catch (err) {
    return err instanceof Refusal ? [err.status, err.body] : err;
  }
}

describe('the instance that a log request is about', () => {
  it.each<[string, Partial<ContainerStatus>, string]>([
    [
      'the running one',
      { containerID: 't://now', state: { running: {} }, lastState: terminated('t://before') },
      't://now',
    ],
    ['the one that ended', { state: terminated('t://ended'), lastState: terminated('t://before') }, 't://ended'],
    [
      'the one before, when the next did not start',
      { state: terminated(), lastState: terminated('t://before') },
      't://before',
    ],
    [
      'the one before, while the next waits',
      { state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: terminated('t://before') },
      't://before',
    ],
  ])('%s', (_name, status, containerID) => {
    expect(logInstance(pod(status), 'c', false)).toBe(containerID);
  });

  it('is any running one when the status knows no ID', () => {
    expect(logInstance(pod({ state: { running: {} } }), 'c', false)).toBeUndefined();
  });

  it('is the previous one when that is asked for, whatever the state', () => {
    expect(logInstance(pod({ state: { running: {} }, lastState: terminated('t://before') }), 'c', true)).toBe(
      't://before',
    );
  });

  it.each(['initContainerStatuses', 'ephemeralContainerStatuses'])('is found among %s', (list) => {
    expect(logInstance(pod({ containerID: 't://now', state: { running: {} } }, list), 'c', false)).toBe('t://now');
  });

  const about = 'container "c" in pod "p"';
  it.each<[string, Partial<ContainerStatus> | undefined, boolean, string]>([
    ['no status', undefined, false, `${about} is not available`],
    ['no status, previous', undefined, true, `${about} is not available`],
    ['no previous one', { state: { running: {} } }, true, `previous terminated ${about} not found`],
    [
      'a previous one without ID',
      { state: { running: {} }, lastState: terminated() },
      true,
      `previous terminated ${about} not found`,
    ],
    ['ended without a trace', { state: terminated() }, false, `${about} is terminated`],
    [
      'waiting after one without ID',
      { state: { waiting: { reason: 'X' } }, lastState: terminated() },
      false,
      `${about} is terminated`,
    ],
    [
      'waiting for a pull that failed',
      { state: { waiting: { reason: 'ErrImagePull' } } },
      false,
      `${about} is waiting to start: image can't be pulled`,
    ],
    [
      'waiting for the next pull',
      { state: { waiting: { reason: 'ImagePullBackOff' } } },
      false,
      `${about} is waiting to start: trying and failing to pull image`,
    ],
    [
      'waiting',
      { state: { waiting: { reason: 'ContainerCreating' } } },
      false,
      `${about} is waiting to start: ContainerCreating`,
    ],
    ['no state at all', {}, false, `${about} is waiting to start - no logs yet`],
  ])('there is none: %s', (_name, status, previous, text) => {
    expect(refusal(pod(status), previous)).toEqual([400, text]);
  });
});
