import { describe, expect, it } from '@jest/globals';

import type { ContainerStatus, Pod, PodStatus } from '../../../src/core/objects.ts';
import { PodRecords } from '../../../src/engine/records.ts';
import { podReport, type ReportView, type WaitingReason } from '../../../src/engine/report.ts';
import type { ContainerRecord, ContainerReport } from '../../../src/providers/contract.ts';
import { created, exited, podOf, recordOf, running, startError } from './records-of.ts';

const ref = { uid: 'uid', name: 'p', namespace: 'ns' };

function report(pod: Pod | undefined, records: readonly ContainerRecord[], given: Partial<ReportView> = {}) {
  const held = new PodRecords();
  for (const record of records) held.putContainer(record);
  return podReport({
    ref,
    pod,
    records: held,
    podIPs: ['10.0.0.9'],
    sandboxReady: true,
    lastStatus: undefined,
    waiting: () => undefined,
    isStarted: (record) => record.status.state === 'running',
    runtimeName: 'scripted',
    now: 5_000,
    ...given,
  });
}

const one = (...args: Parameters<typeof report>): ContainerReport => report(...args).containers[0] as ContainerReport;
const waitingFor =
  (reason: string, visibleAt = 0) =>
  (): WaitingReason => ({ reason, message: 'why', visibleAt });
const known = (given: Partial<ContainerStatus>): PodStatus => ({
  containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: false, restartCount: 0, ...given }],
});

describe('the report of a pod', () => {
  it('lists init, regular and ephemeral containers in the order of the spec', () => {
    const pod = podOf(['b', 'a'], ['i'], { ephemeralContainers: [{ name: 'e', image: 'i' }] });
    expect(report(pod, []).containers.map((c) => c.name)).toEqual(['i', 'b', 'a', 'e']);
  });

  it('says what it is about', () => {
    expect(report(podOf(['c'], [], {}, { generation: 7 }), [])).toMatchObject({
      ...ref,
      observedGeneration: 7,
      sandboxReady: true,
      podIPs: ['10.0.0.9'],
    });
  });

  it.each([
    [podOf(['c']), 'ContainerCreating'],
    [podOf(['c'], ['i']), 'PodInitializing'],
  ])('waits, before there is an instance, for the kubelet’s reason (%#)', (pod, reason) => {
    const c = report(pod, []).containers.at(-1);
    expect(c).toMatchObject({
      state: { waiting: { reason } },
      ready: false,
      started: false,
      restartCount: 0,
      image: 'i',
    });
    expect(c).not.toHaveProperty('lastState');
  });

  it('keeps silent about an instance that is created and not started', () => {
    const records = [recordOf('c', exited(1)), recordOf('c', created, { attempt: 1 })];
    expect(one(podOf(['c']), records)).toMatchObject({ state: { terminated: { exitCode: 1 } }, restartCount: 0 });
  });

  it('shows a container that runs, and how its predecessor ended', () => {
    const records = [recordOf('c', exited(1)), recordOf('c', running, { attempt: 1 })];
    expect(one(podOf(['c']), records)).toEqual({
      name: 'c',
      image: 'i',
      imageID: '',
      containerID: 'scripted://c-1',
      state: { running: { startedAt: '1970-01-01T00:00:01Z' } },
      lastState: {
        terminated: {
          exitCode: 1,
          reason: 'Error',
          startedAt: '1970-01-01T00:00:01Z',
          finishedAt: '1970-01-01T00:00:02Z',
          containerID: 'scripted://c-0',
        },
      },
      ready: true,
      started: true,
      restartCount: 1,
    });
  });

  it.each([
    ['init', podOf(['x'], ['c']), false, true],
    ['sidecar', podOf(['x'], [{ name: 'c', restartPolicy: 'Always' }]), true, true],
    ['regular', podOf(['c']), true, true],
    ['ephemeral', podOf(['x'], [], { ephemeralContainers: [{ name: 'c', image: 'i' }] }), false, false],
  ])('a running %s container is ready or started as its kind is', (_kind, pod, ready, started) => {
    const c = report(pod, [recordOf('c', running)]).containers.find(({ name }) => name === 'c');
    expect(c).toMatchObject({ ready, started });
  });

  it('is not ready before it has started', () => {
    expect(one(podOf(['c']), [recordOf('c', running)], { isStarted: () => false })).toMatchObject({
      ready: false,
      started: false,
    });
  });

  it('takes an init container that succeeded for ready, and one that failed not', () => {
    const pod = podOf(['x'], ['c']);
    expect(one(pod, [recordOf('c', exited(0))])).toMatchObject({ ready: true, started: false });
    expect(one(pod, [recordOf('c', exited(1))])).toMatchObject({ ready: false });
  });

  it('shows how an instance ended until its waiting reason is due, then moves that to lastState', () => {
    const records = [recordOf('c', exited(2)), recordOf('c', exited(3), { attempt: 1 })];
    const before = one(podOf(['c']), records, { waiting: waitingFor('CrashLoopBackOff', 5_001) });
    expect(before).toMatchObject({
      state: { terminated: { exitCode: 3 } },
      lastState: { terminated: { exitCode: 2 } },
    });
    const after = one(podOf(['c']), records, { waiting: waitingFor('CrashLoopBackOff', 5_000) });
    expect(after).toMatchObject({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'why' } },
      lastState: { terminated: { exitCode: 3 } },
      restartCount: 1,
    });
  });

  it('shows how it ended, not what it waits for, when it will not come back', () => {
    const waiting = waitingFor('RunContainerError');
    const never = podOf(['c'], [], { restartPolicy: 'Never' });
    expect(one(never, [recordOf('c', startError)], { waiting }).state).toMatchObject({
      terminated: { reason: 'StartError', exitCode: 128 },
    });
    const deleted = podOf(['c'], [], {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
    expect(one(deleted, [recordOf('c', exited(1))], { waiting }).state).toMatchObject({ terminated: { exitCode: 1 } });
  });

  it('says RunContainerError for a start that failed, before anybody has said so', () => {
    expect(one(podOf(['c']), [recordOf('c', startError)])).toMatchObject({
      state: { waiting: { reason: 'RunContainerError', message: 'exec: "/no": not found' } },
      lastState: { terminated: { reason: 'StartError', exitCode: 128, startedAt: '1970-01-01T00:00:00Z' } },
    });
  });

  it('shows the states as they are of a pod whose spec is not known yet', () => {
    expect(report(undefined, [recordOf('c', exited(1)), recordOf('d', running)]).containers).toMatchObject([
      { name: 'c', state: { terminated: { exitCode: 1 } } },
      { name: 'd', state: { running: {} } },
    ]);
  });

  describe('when the runtime has lost what the API server saw', () => {
    const lost = { reason: 'ContainerStatusUnknown', exitCode: 137 };

    it('says that a container that ran cannot be located, and counts a restart', () => {
      const lastStatus = known({ state: { running: {} }, containerID: 'scripted://c-9', restartCount: 3 });
      expect(one(podOf(['c']), [], { lastStatus })).toMatchObject({
        state: { waiting: { reason: 'ContainerCreating' } },
        lastState: {
          terminated: {
            ...lost,
            message: 'The container could not be located when the pod was deleted.  The container used to be Running',
            containerID: 'scripted://c-9',
          },
        },
        restartCount: 4,
        ready: false,
      });
    });

    it('counts none when the pod is being deleted', () => {
      const lastStatus = known({ state: { running: {} }, restartCount: 3 });
      const deleted = podOf(['c'], [], {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
      expect(one(deleted, [], { lastStatus })).toMatchObject({ restartCount: 3, lastState: { terminated: lost } });
    });

    it('keeps how a container had ended', () => {
      const end = { exitCode: 0, reason: 'Completed', containerID: 'scripted://i-9' };
      const lastStatus: PodStatus = {
        initContainerStatuses: [
          {
            name: 'i',
            image: 'i',
            imageID: '',
            ready: true,
            restartCount: 0,
            state: { terminated: end },
            containerID: 'scripted://i-9',
          },
        ],
      };
      expect(one(podOf(['c'], ['i']), [], { lastStatus })).toMatchObject({
        state: { terminated: end },
        ready: true,
        restartCount: 0,
        containerID: 'scripted://i-9',
      });
    });

    it('keeps what came before a container that waited', () => {
      const lastState = { terminated: { exitCode: 1, reason: 'Error' } };
      const lastStatus = known({ state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState, restartCount: 5 });
      expect(one(podOf(['c']), [], { lastStatus })).toMatchObject({
        state: { waiting: { reason: 'ContainerCreating' } },
        lastState,
        restartCount: 5,
      });
    });

    it('moves an end to lastState when the next start waits for something', () => {
      const lastStatus = known({ state: { terminated: { exitCode: 1 } } });
      expect(one(podOf(['c']), [], { lastStatus, waiting: waitingFor('CreateContainerConfigError') })).toMatchObject({
        state: { waiting: { reason: 'CreateContainerConfigError' } },
        lastState: { terminated: { exitCode: 1 } },
      });
    });
  });
});
