import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { rfc3339Micro } from '../../../src/core/clock.ts';
import type { NodeHealth } from '../../../src/node/node-status.ts';
import { instanceAnnotation, VirtualNode, type VirtualNodeOptions } from '../../../src/node/virtual-node.ts';
import { FakeClock, MemoryLogger } from '../../../src/testing/index.ts';
import { MemoryApi } from '../../helpers/memory-api.ts';
import { pass, quiet } from '../../helpers/quiet.ts';
import { refusal } from '../kube/fake-api.ts';
import { description } from './description.ts';

describe('the virtual node', () => {
  let clock: FakeClock;
  let log: MemoryLogger;
  let api: MemoryApi;
  let health: NodeHealth;
  let events: string[];
  let nodes: VirtualNode[];

  beforeEach(() => {
    clock = new FakeClock();
    log = new MemoryLogger();
    api = new MemoryApi(clock);
    health = { problem: undefined };
    events = [];
    nodes = [];
  });
  afterEach(async () => {
    for (const node of nodes) await node.stop();
    await quiet();
    expect(clock.pending).toBe(0);
    expect(log.lines.filter((l) => l.level === 'error' && l.message === 'background task failed')).toEqual([]);
  });

  const create = (given: Partial<VirtualNodeOptions> = {}): VirtualNode => {
    const node = new VirtualNode({
      client: api,
      clock,
      log,
      description,
      taints: [{ key: 'virtual-kubelet.io/provider', value: 'process', effect: 'NoSchedule' }],
      labels: { zone: 'here' },
      instanceID: 'me',
      takeover: false,
      recreate: true,
      health: async () => health,
      event: (type, reason, message) => void events.push(`${type} ${reason}: ${message}`),
      ...given,
    });
    nodes.push(node);
    return node;
  };
  const register = async (node: VirtualNode) => {
    const registered = node.register(new AbortController().signal);
    await quiet();
    await registered;
    return node;
  };
  const live = async (given?: Partial<VirtualNodeOptions>) => {
    const node = await register(create(given));
    await node.ready();
    await quiet();
    return node;
  };
  const stored = () => api.get('nodes', 'n1');
  const lease = () => api.get('leases', 'n1', 'kube-node-lease');
  const ready = () =>
    (stored()?.status?.['conditions'] as { type: string; status: string; reason: string; message: string }[])?.find(
      (c) => c.type === 'Ready',
    );
  const writes = () => api.asked('PATCH', '/nodes/n1/status').length;
  /** Somebody else's Node, with a lease that was renewed so long ago. */
  const strangers = (renewedMsAgo: number | undefined, annotations: object = { [instanceAnnotation]: 'other' }) => {
    api.create('nodes', {
      metadata: { name: 'n1', annotations, labels: { kept: 'yes', zone: 'there' } },
      spec: { unschedulable: true },
      status: {},
    });
    if (renewedMsAgo === undefined) return;
    const renewTime = rfc3339Micro(clock.now() - renewedMsAgo);
    api.create('leases', {
      metadata: { name: 'n1', namespace: 'kube-node-lease' },
      spec: { holderIdentity: 'n1', leaseDurationSeconds: 40, renewTime },
    });
  };

  describe('is registered', () => {
    it('with its labels, taints and annotations, and not yet ready', async () => {
      const node = await register(create());
      expect(stored()).toMatchObject({
        metadata: {
          labels: {
            'kubernetes.io/hostname': 'n1',
            'kubernetes.io/os': 'linux',
            'kubernetes.io/arch': 'amd64',
            'beta.kubernetes.io/os': 'linux',
            'beta.kubernetes.io/arch': 'amd64',
            type: 'virtual-kubelet',
            'node.kubernetes.io/exclude-from-external-load-balancers': 'true',
            zone: 'here',
          },
          annotations: { [instanceAnnotation]: 'me', 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
        },
        spec: {
          providerID: 'anylet://n1',
          taints: [{ key: 'virtual-kubelet.io/provider', value: 'process', effect: 'NoSchedule' }],
        },
      });
      expect(ready()).toMatchObject({
        status: 'False',
        reason: 'KubeletNotReady',
        message: 'container runtime status check may not have completed yet',
      });
      expect(node.node.metadata?.uid).toBe(stored()?.metadata.uid);
      expect(events).toEqual(['Normal Starting: Starting kubelet.']);
    });

    it('with a lease that it owns and renews', async () => {
      await register(create());
      expect(lease()).toMatchObject({
        metadata: { ownerReferences: [{ kind: 'Node', name: 'n1', uid: stored()?.metadata.uid }] },
        spec: { holderIdentity: 'n1', leaseDurationSeconds: 40 },
      });
      const first = lease()?.spec?.['renewTime'];
      await pass(clock, 11_000);
      expect(lease()?.spec?.['renewTime']).not.toBe(first);
    });

    it('as soon as the API server answers, with one line that says what is wrong', async () => {
      api.before = () => {
        throw refusal(503, 'not yet');
      };
      let isRegistered = false;
      const registering = create()
        .register(new AbortController().signal)
        .then(() => (isRegistered = true));
      await pass(clock, 20_000, 500);
      expect(isRegistered).toBe(false);
      expect(log.lines.filter((l) => l.message === 'node registration failed, will be retried')).toHaveLength(1);
      api.before = () => {};
      await pass(clock, 20_000, 500);
      await registering;
      expect(stored()).toBeDefined();
    });

    it('not when whoever starts it gives up', async () => {
      strangers(0);
      const aborted = new AbortController();
      const registering = create().register(aborted.signal);
      await quiet();
      aborted.abort(new Error('enough'));
      await expect(registering).rejects.toThrow('enough');
    });
  });

  describe('that exists already', () => {
    it('is its own at once after a restart', async () => {
      await live();
      const { uid } = stored()?.metadata ?? {};
      await nodes[0]?.stop();
      await live();
      expect(stored()?.metadata.uid).toBe(uid);
      expect(api.asked('POST', '/nodes')).toHaveLength(1);
    });

    it('has its labels and annotations set right, those of others kept, and its spec left alone', async () => {
      strangers(undefined, { [instanceAnnotation]: 'me', kept: 'too' });
      await live({ labels: { zone: 'here', more: 'x' } });
      expect(stored()).toMatchObject({
        metadata: {
          labels: { kept: 'yes', zone: 'here', more: 'x' },
          annotations: { kept: 'too', [instanceAnnotation]: 'me' },
        },
        spec: { unschedulable: true },
      });
      expect(stored()?.spec).not.toHaveProperty('taints');
    });

    it('is taken when the lease of its owner has run out', async () => {
      strangers(10_000);
      const registering = create().register(new AbortController().signal);
      await pass(clock, 29_000, 500);
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'other' } });
      expect(log.lines.filter((l) => l.level === 'warn')).toMatchObject([
        { fields: { owner: 'other', leaseExpiresInSeconds: 30 } },
      ]);
      await pass(clock, 6_000, 500);
      await registering;
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'me' } });
    });

    it('is not taken while its owner renews its lease', async () => {
      strangers(0);
      create()
        .register(new AbortController().signal)
        .catch(() => {});
      for (let i = 0; i < 10; i++) {
        await pass(clock, 10_000, 1_000);
        api.change(
          'leases',
          'n1',
          (l) => (l.spec = { ...l.spec, renewTime: rfc3339Micro(clock.now()) }),
          'kube-node-lease',
        );
      }
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'other' } });
    });

    it.each([
      ['its owner has no lease', undefined, false],
      ['the operator says so', 0, true],
    ])('is taken at once when %s', async (_when, renewedMsAgo, takeover) => {
      strangers(renewedMsAgo);
      await register(create({ takeover }));
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'me' } });
    });

    it('is taken also when it was created between two looks', async () => {
      let isFirst = true;
      api.before = ({ method, path }) => {
        if (method !== 'POST' || path !== '/api/v1/nodes' || !isFirst) return;
        isFirst = false;
        strangers(undefined);
      };
      await register(create());
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'me' } });
    });
  });

  describe('reports', () => {
    it('that it is ready when it is told to be', async () => {
      await live();
      expect(ready()).toMatchObject({ status: 'True', reason: 'KubeletReady' });
      expect(events).toEqual([
        'Normal Starting: Starting kubelet.',
        'Normal NodeReady: Node n1 status is now: NodeReady',
      ]);
    });

    it('only what is new, and every five minutes', async () => {
      await live();
      const first = writes();
      await pass(clock, 295_000, 5_000);
      expect(writes()).toBe(first);
      await pass(clock, 10_000, 5_000);
      expect(writes()).toBe(first + 1);
    });

    it('what is wrong with its provider, and that it is over', async () => {
      await live();
      health = { problem: 'containerd.sock: connect: no such file or directory' };
      await pass(clock, 10_000);
      expect(ready()).toMatchObject({
        status: 'False',
        reason: 'KubeletNotReady',
        message: 'containerd.sock: connect: no such file or directory',
      });
      health = { problem: undefined };
      await pass(clock, 10_000);
      expect(ready()).toMatchObject({ status: 'True' });
      expect(events.slice(1)).toEqual([
        'Normal NodeReady: Node n1 status is now: NodeReady',
        'Normal NodeNotReady: Node n1 status is now: NodeNotReady',
        'Normal NodeReady: Node n1 status is now: NodeReady',
      ]);
    });

    it('that the machine was booted again', async () => {
      await live();
      await nodes[0]?.stop();
      await live({ description: { ...description, machine: { ...description.machine, bootID: 'boot-2' } } });
      expect(events).toContain('Warning Rebooted: Node n1 has been rebooted, boot id: boot-2');
    });

    it('again that it is ready, when the node controller has given it up', async () => {
      await live();
      api.change('nodes', 'n1', (n) => {
        const conditions = (n.status?.['conditions'] ?? []) as { type: string }[];
        n.status = {
          ...n.status,
          conditions: conditions.map((c) =>
            c.type === 'Ready' ? { ...c, status: 'Unknown', reason: 'NodeStatusUnknown' } : c,
          ),
        };
      });
      await pass(clock, 10_000);
      expect(ready()).toMatchObject({ status: 'True', reason: 'KubeletReady' });
    });

    it('its addresses as they are, two of one type', async () => {
      await live();
      expect(stored()?.status?.['addresses']).toEqual([
        { type: 'InternalIP', address: '192.0.2.1' },
        { type: 'InternalIP', address: 'fd00::1' },
        { type: 'Hostname', address: 'n1' },
      ]);
    });

    it('once more what the API server did not take', async () => {
      await live();
      api.before = ({ method }) => {
        if (method === 'PATCH') throw refusal(500);
      };
      health = { problem: 'x' };
      await pass(clock, 20_000);
      expect(ready()).toMatchObject({ status: 'True' });
      api.before = () => {};
      await pass(clock, 10_000);
      expect(ready()).toMatchObject({ status: 'False' });
    });

    it('nothing of its spec, ever', async () => {
      await live();
      api.change('nodes', 'n1', (n) => (n.spec = { ...n.spec, unschedulable: true, taints: [] }));
      health = { problem: 'x' };
      await pass(clock, 400_000, 5_000);
      expect(stored()?.spec).toEqual({ providerID: 'anylet://n1', unschedulable: true, taints: [] });
      expect(api.asked('PATCH', '/nodes/').every((r) => !('spec' in (r.body as object)))).toBe(true);
    });

    it('that its loop comes round', async () => {
      const node = await live();
      await pass(clock, 60_000, 5_000);
      await expect(node.syncLoop()).resolves.toBeUndefined();
    });

    it('that its loop hangs', async () => {
      const node = await live({
        health: () => (clock.now() > Date.UTC(2026, 0, 1) ? new Promise(() => {}) : Promise.resolve(health)),
      });
      await pass(clock, 320_000, 5_000);
      await expect(node.syncLoop()).rejects.toThrow('sync Loop took longer than expected');
    });
  });

  describe('that is deleted', () => {
    it('is made anew, ready, with its lease', async () => {
      const node = await live();
      const before = stored()?.metadata.uid;
      api.remove('nodes', 'n1');
      await pass(clock, 1_000);
      expect(stored()?.metadata.uid).not.toBe(before);
      expect(ready()).toMatchObject({ status: 'True' });
      expect(node.node.metadata?.uid).toBe(stored()?.metadata.uid);
      await pass(clock, 11_000);
      expect(lease()).toMatchObject({ metadata: { ownerReferences: [{ uid: stored()?.metadata.uid }] } });
    });

    it('while nobody watched is made anew', async () => {
      await live();
      api.forget('nodes', 'n1');
      api.breakWatches();
      await pass(clock, 5_000);
      expect(stored()).toBeDefined();
      expect(ready()).toMatchObject({ status: 'True' });
    });

    it('stays so when it is told to, and its lease runs out', async () => {
      await live({ recreate: false });
      api.remove('nodes', 'n1');
      await quiet();
      const renewed = lease()?.spec?.['renewTime'];
      await pass(clock, 60_000, 1_000);
      expect(stored()).toBeUndefined();
      expect(lease()?.spec?.['renewTime']).toBe(renewed);
      expect(log.lines).toContainEqual(
        expect.objectContaining({ level: 'error', message: expect.stringContaining('node.recreate is off') }),
      );
    });

    it('and made anew by somebody else is taken back, though its own lease is still fresh', async () => {
      await live();
      api.before = ({ method, path }) => {
        if (method === 'POST' && path === '/api/v1/nodes') throw refusal(503);
      };
      api.remove('nodes', 'n1');
      await quiet();
      api.before = () => {};
      api.create('nodes', { metadata: { name: 'n1' }, spec: {}, status: {} });
      await pass(clock, 60_000, 500);
      expect(stored()?.metadata).toMatchObject({ annotations: { [instanceAnnotation]: 'me' } });
      expect(ready()).toMatchObject({ status: 'True' });
    });

    it('and made anew by somebody else, between two listings, is taken back', async () => {
      await live();
      api.forget('nodes', 'n1');
      api.create('nodes', { metadata: { name: 'n1' }, spec: {}, status: {} });
      api.breakWatches();
      await pass(clock, 60_000, 500);
      expect(stored()?.metadata).toMatchObject({
        annotations: { [instanceAnnotation]: 'me' },
        labels: { zone: 'here' },
      });
      expect(ready()).toMatchObject({ status: 'True' });
    });
  });

  it('leaves its Node and its lease where they are when it stops', async () => {
    const node = await live();
    await node.stop();
    await node.stop();
    expect(stored()).toBeDefined();
    expect(lease()).toBeDefined();
    expect(api.asked('DELETE')).toEqual([]);
  });
});
