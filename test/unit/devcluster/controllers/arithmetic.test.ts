import { describe, expect, it } from '@jest/globals';

import type { KubeNode, Pod } from '../../../../src/core/objects.ts';
import {
  canonicalJson,
  fnv1,
  fnv1a,
  podTemplateHash,
  revisionHash,
  safeEncode,
} from '../../../../src/devcluster/controllers/hash.ts';
import { scaledValue } from '../../../../src/devcluster/controllers/int-or-percent.ts';
import { formatIndexes, parseIndexes, pendingIndexes } from '../../../../src/devcluster/controllers/job-indexes.ts';
import { taintsFor } from '../../../../src/devcluster/controllers/node-lifecycle.ts';
import { matchFailurePolicy } from '../../../../src/devcluster/controllers/pod-failure-policy.ts';
import { inDeletionOrder } from '../../../../src/devcluster/controllers/pod-state.ts';
import {
  fenceposts,
  newSetReplicas,
  proportionalSizes,
  scaleDownOld,
} from '../../../../src/devcluster/controllers/rollout.ts';
import { evictionTime } from '../../../../src/devcluster/controllers/taint-eviction.ts';
import type { Deployment, ReplicaSet } from '../../../../src/devcluster/controllers/types.ts';
import { tolerates } from '../../../../src/devcluster/scheduling/node-fit.ts';
import { podRequests } from '../../../../src/devcluster/scheduling/pod-resources.ts';

describe('hashes', () => {
  it('are FNV of 32 bits', () => {
    expect(fnv1a(Buffer.from('foobar'))).toBe(0xbf9cf968);
    expect(fnv1(Buffer.from('foobar'))).toBe(0x31f0b262);
  });

  it('are written in letters that make no words', () => {
    expect(safeEncode(123)).toBe('567');
    expect(safeEncode(0)).toBe('4');
    expect(safeEncode(4_294_967_295)).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
  });

  it('do not depend on the order of fields, but on the collision count', () => {
    const spec = { containers: [{ name: 'c', image: 'x' }] };
    const turned = { containers: [{ image: 'x', name: 'c' }] };
    expect(podTemplateHash({ spec }, undefined)).toBe(podTemplateHash({ spec: turned }, undefined));
    expect(podTemplateHash({ spec }, 1)).not.toBe(podTemplateHash({ spec }, undefined));
    expect(revisionHash('{}', 1)).not.toBe(revisionHash('{}', 0));
  });

  it('are of JSON as Go writes it', () => {
    expect(canonicalJson({ b: '<&>', a: [1, { d: 2, c: undefined }] })).toBe(
      '{"a":[1,{"d":2}],"b":"\\u003c\\u0026\\u003e"}',
    );
  });
});

describe('shares', () => {
  it('are rounded as asked', () => {
    expect(scaledValue('25%', 10, 'up')).toBe(3);
    expect(scaledValue('25%', 10, 'down')).toBe(2);
    expect(scaledValue(4, 10, 'up')).toBe(4);
    expect(scaledValue('many', 10, 'up')).toBeUndefined();
  });

  it('of a rollout are never both nothing', () => {
    expect(fenceposts('25%', '25%', 3)).toEqual({ surge: 1, unavailable: 0 });
    expect(fenceposts(0, '10%', 3)).toEqual({ surge: 0, unavailable: 1 });
  });
});

describe('a rollout', () => {
  const set = (name: string, replicas: number, available: number, max?: number) =>
    ({
      metadata: {
        name,
        uid: name,
        namespace: 'n',
        annotations: max === undefined ? {} : { 'deployment.kubernetes.io/max-replicas': String(max) },
      },
      spec: { replicas },
      status: { replicas, availableReplicas: available },
    }) as unknown as ReplicaSet;
  const deployment = (replicas: number, maxSurge: number, maxUnavailable: number) =>
    ({
      metadata: {},
      spec: { replicas, strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge, maxUnavailable } } },
    }) as unknown as Deployment;
  const sizes = (map: Map<ReplicaSet, number>) =>
    Object.fromEntries([...map].map(([{ metadata }, size]) => [metadata.name, size]));

  it('grows the new replica set as far as the surge allows', () => {
    expect(newSetReplicas(deployment(10, 3, 2), [set('old', 10, 10)], 0)).toBe(3);
    expect(newSetReplicas(deployment(10, 3, 2), [set('old', 8, 8), set('new', 3, 0)], 3)).toBe(5);
    expect(newSetReplicas(deployment(10, 3, 2), [set('old', 10, 10), set('new', 3, 0)], 3)).toBe(3);
  });

  it('shrinks old replica sets by what may be missed, those that do not work first', () => {
    expect(sizes(scaleDownOld(deployment(10, 3, 2), set('new', 3, 0), [set('old', 10, 10)]))).toEqual({ old: 8 });
    expect(sizes(scaleDownOld(deployment(10, 3, 2), set('new', 5, 0), [set('old', 8, 7)]))).toEqual({ old: 8 });
    expect(sizes(scaleDownOld(deployment(10, 3, 2), set('new', 3, 3), [set('a', 5, 0), set('b', 5, 5)]))).toEqual({
      a: 0,
      b: 5,
    });
  });

  it('is scaled in proportion while it is under way', () => {
    const active = [set('old', 8, 8, 13), set('new', 5, 0, 13)];
    const after = sizes(proportionalSizes(deployment(20, 3, 2), active));
    expect(after).toEqual({ old: 14, new: 9 });
    expect(sizes(proportionalSizes(deployment(0, 3, 2), active))).toEqual({ old: 0, new: 0 });
  });
});

describe('completion indexes', () => {
  it.each([
    ['0-3,5,7,8', [0, 1, 2, 3, 5, 7, 8]],
    ['', []],
    ['2', [2]],
  ])('%s is read and written', (text, indexes) => {
    expect([...parseIndexes(text, 10)]).toEqual(indexes);
    expect(formatIndexes(indexes)).toBe(text);
  });

  it('beyond the completions do not count', () => {
    expect([...parseIndexes('0-9', 3)]).toEqual([0, 1, 2]);
    expect(pendingIndexes(2, 5, new Set([0, 2]))).toEqual([1, 3]);
  });
});

describe('pods', () => {
  const pod = (name: string, fields: object = {}): Pod => ({
    metadata: { name, uid: name, namespace: 'n', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { nodeName: 'a', containers: [] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }],
    },
    ...fields,
  });

  it('are deleted in the order of what they are worth', () => {
    const cheap = pod('cheap', {
      metadata: {
        name: 'cheap',
        uid: 'cheap',
        namespace: 'n',
        annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-1' },
      },
    });
    const pods = [
      pod('good'),
      cheap,
      pod('broken', { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] } }),
      pod('pending', { status: { phase: 'Pending' } }),
      pod('unscheduled', { spec: { containers: [] }, status: { phase: 'Pending' } }),
    ];
    const order = inDeletionOrder(pods, () => 0, Date.parse('2026-01-02T00:00:00Z'));
    expect(order.map(({ metadata }) => metadata.name)).toEqual(['unscheduled', 'pending', 'broken', 'cheap', 'good']);
  });

  it('match a failure policy by exit code or condition', () => {
    const failed = pod('failed', {
      status: {
        containerStatuses: [{ name: 'c', state: { terminated: { exitCode: 42 } } }],
        conditions: [{ type: 'DisruptionTarget', status: 'True' }],
      },
    });
    const onExitCodes = (values: number[]) => ({ action: 'FailJob', onExitCodes: { operator: 'In', values } });
    expect(matchFailurePolicy({ rules: [onExitCodes([42])] }, failed).failJob).toBe(
      'Container c for pod n/failed failed with exit code 42 matching FailJob rule at index 0',
    );
    const disruption = { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] };
    expect(matchFailurePolicy({ rules: [onExitCodes([1]), disruption] }, failed)).toEqual({ counts: false });
    expect(matchFailurePolicy(undefined, failed)).toEqual({ counts: true });
  });

  it('leave a node with a taint after the least of what they tolerate', () => {
    const tolerating = (...tolerations: object[]) => pod('p', { spec: { containers: [], tolerations } });
    const taint = { key: 'k', effect: 'NoExecute', timeAdded: '2026-01-01T00:00:00Z' };
    const node = { spec: { taints: [taint] } } as unknown as KubeNode;
    const added = Date.parse(taint.timeAdded);
    expect(evictionTime(tolerating(), node, added + 5)).toBe(added + 5);
    expect(evictionTime(tolerating({ key: 'k', operator: 'Exists' }), node, added)).toBeUndefined();
    expect(evictionTime(tolerating({ key: 'k', operator: 'Exists', tolerationSeconds: 30 }), node, added)).toBe(
      added + 30_000,
    );
    expect(evictionTime(tolerating(), { spec: {} }, added)).toBeUndefined();
  });

  it('ask for what their containers need at any time, and their overhead', () => {
    const requests = (cpu: string) => ({ resources: { requests: { cpu } } });
    const total = podRequests({
      containers: [
        { name: 'a', ...requests('100m') },
        { name: 'b', ...requests('200m') },
      ],
      initContainers: [
        { name: 'side', restartPolicy: 'Always', ...requests('50m') },
        { name: 'init', ...requests('400m') },
      ],
      overhead: { cpu: '10m' },
    });
    expect(total.get('cpu')?.toString()).toBe('460m');
  });
});

describe('nodes', () => {
  const node = (conditions: object[], spec: object = {}) =>
    ({ metadata: { name: 'n' }, spec, status: { conditions } }) as unknown as KubeNode;

  it('have the taints that their conditions mean', () => {
    const keys = (of: KubeNode) => taintsFor(of).map(({ key, effect }) => `${key}:${effect}`);
    expect(keys(node([{ type: 'Ready', status: 'True' }]))).toEqual([]);
    expect(keys(node([{ type: 'Ready', status: 'Unknown' }]))).toEqual([
      'node.kubernetes.io/unreachable:NoSchedule',
      'node.kubernetes.io/unreachable:NoExecute',
    ]);
    expect(
      keys(
        node(
          [
            { type: 'Ready', status: 'True' },
            { type: 'DiskPressure', status: 'True' },
          ],
          { unschedulable: true },
        ),
      ),
    ).toEqual(['node.kubernetes.io/disk-pressure:NoSchedule', 'node.kubernetes.io/unschedulable:NoSchedule']);
  });

  it('are tolerated by key, value, effect and size', () => {
    const taint = { key: 'k', value: '5', effect: 'NoSchedule' };
    expect(tolerates({ operator: 'Exists' }, taint)).toBe(true);
    expect(tolerates({ key: 'k', value: '5' }, taint)).toBe(true);
    expect(tolerates({ key: 'k', value: '6' }, taint)).toBe(false);
    expect(tolerates({ key: 'k', operator: 'Exists', effect: 'NoExecute' }, taint)).toBe(false);
    expect(tolerates({ key: 'k', operator: 'Gt', value: '4' }, taint)).toBe(true);
  });
});
