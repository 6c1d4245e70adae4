import { describe, expect, it } from '@jest/globals';

import { type NodeHealth, nodeStatus, sameNews } from '../../../src/node/node-status.ts';
import { description } from './description.ts';

const now = Date.UTC(2026, 0, 1);
const well: NodeHealth = { problem: undefined };
const said = (health: NodeHealth, previous = {}) =>
  (nodeStatus(description, health, previous, now).conditions ?? []).map(
    (c) => `${c.type}=${c.status} ${c.reason}: ${c.message}`,
  );

describe('the status of a node', () => {
  it('says what it is, what it has and where it listens', () => {
    expect(nodeStatus(description, well, {}, now)).toMatchObject({
      capacity: { cpu: '4', memory: '8Gi', pods: '110' },
      allocatable: { cpu: '4', memory: '8Gi', pods: '110' },
      addresses: [
        { type: 'InternalIP', address: '192.0.2.1' },
        { type: 'InternalIP', address: 'fd00::1' },
        { type: 'Hostname', address: 'n1' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      nodeInfo: {
        kubeletVersion: 'v1.36.3+anylet.0.1.0',
        containerRuntimeVersion: 'process://0.1.0',
        operatingSystem: 'linux',
        architecture: 'amd64',
        bootID: 'boot-1',
        kubeProxyVersion: '',
      },
      declaredFeatures: ['A', 'B'],
    });
  });

  it('has the kubelet’s conditions, Ready last', () => {
    expect(said(well)).toEqual([
      'MemoryPressure=False KubeletHasSufficientMemory: kubelet has sufficient memory available',
      'DiskPressure=False KubeletHasNoDiskPressure: kubelet has no disk pressure',
      'PIDPressure=False KubeletHasSufficientPID: kubelet has sufficient PID available',
      'Ready=True KubeletReady: kubelet is posting ready status',
    ]);
  });

  it('is not ready for the reason that the provider gives', () => {
    expect(said({ problem: 'socket is gone' }).at(-1)).toBe('Ready=False KubeletNotReady: socket is gone');
  });

  it('takes capacity and conditions from the provider', () => {
    const pressure = { type: 'DiskPressure', status: 'True', reason: 'KubeletHasDiskPressure', message: 'full' };
    const quota = { type: 'QuotaLeft', status: 'True', reason: 'Enough', message: '' };
    const health: NodeHealth = {
      problem: undefined,
      capacity: { cpu: '2', 'example.com/gpu': '1' },
      conditions: [pressure, quota],
    };
    expect(nodeStatus(description, health, {}, now)).toMatchObject({
      capacity: { cpu: '2', memory: '8Gi', 'example.com/gpu': '1' },
    });
    expect(said(health).map((c) => c.split(' ')[0])).toEqual([
      'MemoryPressure=False',
      'PIDPressure=False',
      'DiskPressure=True',
      'QuotaLeft=True',
      'Ready=True',
    ]);
  });

  it('keeps what others wrote', () => {
    const network = { type: 'NetworkUnavailable', status: 'False', reason: 'RouteCreated' };
    const volumesAttached = [{ name: 'v', devicePath: '/dev/x' }];
    const status = nodeStatus(description, well, { conditions: [network], volumesAttached }, now);
    expect(status.volumesAttached).toEqual(volumesAttached);
    expect(status.conditions).toContainEqual(network);
  });

  it('keeps the time of a transition while a status stands', () => {
    const first = nodeStatus(description, well, {}, now);
    const later = nodeStatus(description, { problem: 'x' }, first, now + 60_000);
    const times = (type: string) => later.conditions?.find((c) => c.type === type);
    expect(times('DiskPressure')).toMatchObject({
      lastHeartbeatTime: '2026-01-01T00:01:00Z',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    });
    expect(times('Ready')).toMatchObject({ lastTransitionTime: '2026-01-01T00:01:00Z' });
  });

  describe('is news', () => {
    const status = nodeStatus(description, well, {}, now);

    it('not for its heartbeats, the order of its keys, or what the API server leaves out', () => {
      expect(sameNews(status, nodeStatus(description, well, status, now + 10_000))).toBe(true);
      const { capacity = {}, conditions = [] } = status;
      const stored = {
        ...status,
        capacity: Object.fromEntries(Object.entries(capacity).toReversed()),
        conditions: conditions.toReversed(),
        volumesAttached: [],
      };
      expect(sameNews(stored, status)).toBe(true);
    });

    it.each<[string, NodeHealth]>([
      ['a condition', { problem: 'x' }],
      ['a capacity', { problem: undefined, capacity: { cpu: '5' } }],
    ])('for %s that changed', (_what, health) => {
      expect(sameNews(status, nodeStatus(description, health, status, now))).toBe(false);
    });
  });
});
