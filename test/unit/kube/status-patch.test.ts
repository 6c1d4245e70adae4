import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { NodeStatus, PodStatus } from '../../../src/core/objects.ts';
import { withoutEmpty } from '../../../src/kube/strategic-diff.ts';
import { nodeStatusPatch, patchPodStatus, podStatusPatch } from '../../../src/kube/status-patch.ts';
import { FakeApi } from './fake-api.ts';
import { applyStrategicMerge } from './strategic-merge.ts';

const podMergeKeys = { conditions: 'type', podIPs: 'ip', hostIPs: 'ip' };
const nodeMergeKeys = { conditions: 'type', addresses: 'type' };

describe('a pod status patch', () => {
  it('is nothing when nothing changed', () => {
    const status: PodStatus = {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      podIPs: [{ ip: '10.0.0.1' }],
    };
    expect(podStatusPatch(status, structuredClone(status))).toBeUndefined();
  });

  it('is nothing when only what the server adds or leaves out differs', () => {
    const stored = {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastProbeTime: null }],
      containerStatuses: [
        {
          name: 'c',
          image: '',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { running: { startedAt: null } },
          lastState: {},
        },
      ],
    } as unknown as PodStatus;
    const ours = {
      phase: 'Running',
      message: '',
      initContainerStatuses: [],
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        { name: 'c', ready: false, restartCount: 0, state: { running: {} }, volumeMounts: [], allocatedResources: {} },
      ],
    } as unknown as PodStatus;
    expect(podStatusPatch(stored, ours)).toBeUndefined();
  });

  it('tells an empty running state from none', () => {
    const waiting = { containerStatuses: [{ name: 'c', state: {} }] } as unknown as PodStatus;
    const running = { containerStatuses: [{ name: 'c', state: { running: {} } }] } as unknown as PodStatus;
    expect(podStatusPatch(waiting, running)).toEqual({ containerStatuses: [{ name: 'c', state: { running: {} } }] });
  });

  it('sends of a condition its type and what changed, and deletes one that is gone', () => {
    const previous: PodStatus = {
      conditions: [
        { type: 'Ready', status: 'False', reason: 'ContainersNotReady', lastTransitionTime: '2026-01-01T00:00:00Z' },
        { type: 'Old', status: 'True' },
        { type: 'PodScheduled', status: 'True' },
      ],
    };
    const next: PodStatus = {
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:01Z' },
        { type: 'PodScheduled', status: 'True' },
      ],
    };
    expect(podStatusPatch(previous, next)).toEqual({
      conditions: [
        { type: 'Ready', status: 'True', reason: null, lastTransitionTime: '2026-01-01T00:00:01Z' },
        { $patch: 'delete', type: 'Old' },
      ],
    });
  });

  it('spells out the order only where a merge would give another', () => {
    const previous: PodStatus = { conditions: [{ type: 'PodScheduled', status: 'True' }] };
    const ready = { type: 'Ready', status: 'True' };
    expect(podStatusPatch(previous, { conditions: [{ type: 'PodScheduled', status: 'True' }, ready] })).toEqual({
      conditions: [ready],
    });
    expect(podStatusPatch(previous, { conditions: [ready, { type: 'PodScheduled', status: 'True' }] })).toEqual({
      '$setElementOrder/conditions': [{ type: 'Ready' }, { type: 'PodScheduled' }],
      conditions: [ready],
    });
  });

  it('replaces changed IP lists whole, and gives no directive where there was no list', () => {
    expect(podStatusPatch({ podIPs: [{ ip: '10.0.0.1' }] }, { podIPs: [{ ip: '10.0.0.2' }] })).toEqual({
      podIPs: [{ ip: '10.0.0.2' }, { $patch: 'replace' }],
    });
    expect(podStatusPatch({}, { hostIPs: [{ ip: '10.0.0.2' }] })).toEqual({ hostIPs: [{ ip: '10.0.0.2' }] });
  });

  it('removes scalars with null and sends container statuses whole', () => {
    const previous = {
      reason: 'Evicted',
      containerStatuses: [{ name: 'a' }, { name: 'b', ready: true }],
    } as unknown as PodStatus;
    const next = { containerStatuses: [{ name: 'a' }, { name: 'b', ready: false }] } as unknown as PodStatus;
    expect(podStatusPatch(previous, next)).toEqual({
      reason: null,
      containerStatuses: [{ name: 'a' }, { name: 'b', ready: false }],
    });
  });

  it('leaves alone what others write', () => {
    expect(podStatusPatch({ nominatedNodeName: 'n', resourceClaimStatuses: [{ name: 'r' }] }, {})).toBeUndefined();
  });

  it('makes any status into any other', () => {
    fc.assert(
      fc.property(podStatuses, podStatuses, (previous, next) => {
        const patch = podStatusPatch(previous, next);
        const stored = withoutEmpty(previous) as Record<string, unknown>;
        const applied = patch === undefined ? stored : applyStrategicMerge(stored, patch, podMergeKeys);
        expect(withoutEmpty(applied)).toEqual(withoutEmpty(next));
        expect(podStatusPatch(applied as PodStatus, next)).toBeUndefined();
      }),
    );
  });
});

describe('a node status patch', () => {
  it('replaces addresses whole, since two of one type would merge into one', () => {
    const addresses = [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'InternalIP', address: 'fd00::1' },
    ];
    expect(nodeStatusPatch({ addresses: [{ type: 'InternalIP', address: '10.0.0.1' }] }, { addresses })).toEqual({
      addresses: [...addresses, { $patch: 'replace' }],
    });
  });

  it('diffs capacity by resource and leaves volumesAttached alone', () => {
    const previous: NodeStatus = {
      capacity: { cpu: '2', memory: '1Gi', gone: '1' },
      volumesAttached: [{ name: 'v', devicePath: '/d' }],
    };
    expect(nodeStatusPatch(previous, { capacity: { cpu: '4', memory: '1Gi' } })).toEqual({
      capacity: { cpu: '4', gone: null },
    });
  });

  it('makes any status into any other', () => {
    fc.assert(
      fc.property(nodeStatuses, nodeStatuses, (previous, next) => {
        const patch = nodeStatusPatch(previous, next);
        const stored = withoutEmpty(previous) as Record<string, unknown>;
        const applied = patch === undefined ? stored : applyStrategicMerge(stored, patch, nodeMergeKeys);
        expect(withoutEmpty(applied)).toEqual(withoutEmpty(next));
      }),
    );
  });
});

describe('patchPodStatus', () => {
  const pod = { namespace: 'ns', name: 'p', uid: 'u1' };

  it('names the UID as precondition and returns what was stored', async () => {
    const api = new FakeApi();
    api.answer = () => ({ metadata: { uid: 'u1' }, status: { phase: 'Running' } });
    await expect(patchPodStatus(api, pod, { phase: 'Pending' }, { phase: 'Running' })).resolves.toMatchObject({
      status: { phase: 'Running' },
    });
    expect(api.requests).toMatchObject([
      {
        method: 'PATCH',
        path: '/api/v1/namespaces/ns/pods/p/status',
        contentType: 'application/strategic-merge-patch+json',
        body: { metadata: { uid: 'u1' }, status: { phase: 'Running' } },
      },
    ]);
  });

  it('writes nothing when the status is equal', async () => {
    const api = new FakeApi();
    await expect(patchPodStatus(api, pod, { phase: 'Running' }, { phase: 'Running' })).resolves.toBeUndefined();
    expect(api.requests).toEqual([]);
  });
});

function optional<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

const word = fc.constantFrom('', 'a', 'b', 'c');
const conditions = fc.uniqueArray(
  fc.record({
    type: fc.constantFrom('Ready', 'Initialized', 'PodScheduled', 'gate/x'),
    status: fc.constantFrom('True', 'False'),
    reason: optional(word),
    message: optional(word),
  }),
  { selector: ({ type }) => type },
);
const ips = fc.uniqueArray(fc.record({ ip: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1') }), {
  selector: ({ ip }) => ip,
});
const containers = fc.array(
  fc.record({
    name: fc.constantFrom('c', 'd'),
    ready: fc.boolean(),
    restartCount: fc.nat(3),
    state: fc.constantFrom({}, { running: {} }, { waiting: { reason: 'x' } }),
    lastState: optional(fc.constantFrom({}, { terminated: { exitCode: 0 } })),
  }),
  { maxLength: 3 },
);
const podStatuses = fc.record({
  phase: fc.constantFrom('Pending', 'Running'),
  reason: optional(word),
  message: optional(word),
  podIP: optional(word),
  conditions: optional(conditions),
  podIPs: optional(ips),
  hostIPs: optional(ips),
  containerStatuses: optional(containers),
  initContainerStatuses: optional(containers),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<PodStatus>;
const quantities = fc.dictionary(fc.constantFrom('cpu', 'memory', 'pods'), fc.constantFrom('1', '2'));
const nodeStatuses = fc.record({
  conditions: optional(conditions),
  addresses: optional(
    fc.array(fc.record({ type: fc.constantFrom('InternalIP', 'Hostname'), address: fc.constantFrom('a', 'b') }), {
      maxLength: 3,
    }),
  ),
  capacity: optional(quantities),
  images: optional(
    fc.array(fc.record({ names: fc.array(fc.constantFrom('i', 'j')), sizeBytes: fc.nat(5) }), { maxLength: 2 }),
  ),
  nodeInfo: optional(fc.record({ bootID: fc.constantFrom('x', 'y'), kubeProxyVersion: optional(word) })),
}) as fc.Arbitrary<unknown> as fc.Arbitrary<NodeStatus>;
