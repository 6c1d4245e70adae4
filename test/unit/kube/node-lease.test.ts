import { afterEach, describe, expect, it } from '@jest/globals';

import { unavailable } from '../../../src/core/errors.ts';
import type { Lease } from '../../../src/core/objects.ts';
import { NodeLease } from '../../../src/kube/node-lease.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock } from './manual-clock.ts';
import { RecordingLogger } from './recording-logger.ts';

/** A server with one lease and optimistic locking. */
class LeaseServer extends FakeApi {
  lease: Lease | undefined;
  #version = 0;

  constructor() {
    super();
    this.answer = ({ method, body }) => {
      if (method === 'GET') {
        if (this.lease === undefined) throw refusal(404);
        return this.lease;
      }
      const sent = body as Lease;
      if (method === 'POST' && this.lease !== undefined) throw refusal(409);
      if (method === 'PUT' && this.lease === undefined) throw refusal(404);
      if (method === 'PUT' && sent.metadata?.resourceVersion !== this.lease?.metadata?.resourceVersion)
        throw refusal(409);
      return this.store(sent);
    };
  }

  store(lease: Lease): Lease {
    this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++this.#version) } };
    return this.lease;
  }

  methods(): string[] {
    return this.requests.map(({ method }) => method);
  }
}

let lease: NodeLease | undefined;

function setUp(api: FakeApi, onForeignHolder?: (holder: string) => void) {
  const clock = new ManualClock();
  const log = new RecordingLogger();
  lease = new NodeLease(api, {
    nodeName: 'n1',
    holderIdentity: 'n1',
    clock,
    log,
    ...(onForeignHolder && { onForeignHolder }),
  });
  return { clock, log, lease };
}

describe('the node lease', () => {
  afterEach(async () => {
    await lease?.stop();
  });

  it('is created as the kubelet creates it, away from the lane of pods', async () => {
    const api = new LeaseServer();
    const { lease, clock } = setUp(api);
    lease.start('node-uid');
    await clock.advance(0);
    expect(api.requests[1]).toMatchObject({
      method: 'POST',
      path: '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases',
      urgent: true,
      timeoutMs: 10_000,
    });
    expect(api.requests[1]?.body).toEqual({
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: 'n1',
        namespace: 'kube-node-lease',
        ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n1', uid: 'node-uid' }],
      },
      spec: { holderIdentity: 'n1', leaseDurationSeconds: 40, renewTime: '2026-01-02T03:04:05.000000Z' },
    });
    expect(lease.expired).toBe(false);
  });

  it('is renewed every ten seconds by an update of what was last seen', async () => {
    const api = new LeaseServer();
    const { lease, clock } = setUp(api);
    lease.start('node-uid');
    await clock.advance(52_100);
    expect(api.methods()).toEqual(['GET', 'POST', 'PUT', 'PUT', 'PUT', 'PUT', 'PUT']);
    expect(lease.renewedAtMs).toBeGreaterThan(clock.now() - 10_500);
  });

  it('is read again when another write came between', async () => {
    const api = new LeaseServer();
    const { lease, clock } = setUp(api);
    lease.start('node-uid');
    await clock.advance(1000);
    api.store({ ...api.lease, metadata: { ...api.lease?.metadata, annotations: { by: 'somebody' } } });
    await clock.advance(10_400);
    expect(api.methods()).toEqual(['GET', 'POST', 'PUT', 'GET', 'PUT']);
    expect(api.lease).toMatchObject({ metadata: { annotations: { by: 'somebody' } }, spec: { holderIdentity: 'n1' } });
  });

  it('is created anew, with its new owner, when the garbage collector took it', async () => {
    const api = new LeaseServer();
    const { lease, clock } = setUp(api);
    lease.start('node-uid');
    await clock.advance(1000);
    api.lease = undefined;
    lease.start('new-node-uid');
    await clock.advance(10_400);
    expect(api.lease).toMatchObject({ metadata: { ownerReferences: [{ uid: 'new-node-uid' }] } });
  });

  it('outlives an API server that is away, with one warning, and says that it expired', async () => {
    const api = new LeaseServer();
    const { lease, clock, log } = setUp(api);
    lease.start('node-uid');
    await clock.advance(1000);
    const { answer } = api;
    api.answer = () => {
      throw unavailable('away');
    };
    await clock.advance(120_000);
    expect(lease.expired).toBe(true);
    expect(log.at('warn')).toHaveLength(1);
    api.answer = answer;
    await clock.advance(20_000);
    expect(lease.expired).toBe(false);
    expect(log.at('info')).toHaveLength(1);
  });

  it('tells once when another daemon writes it', async () => {
    const api = new LeaseServer();
    const holders: string[] = [];
    const { lease, clock } = setUp(api, (holder) => holders.push(holder));
    lease.start('node-uid');
    for (let i = 0; i < 3; i++) {
      await clock.advance(11_000);
      api.store({ ...api.lease, spec: { ...api.lease?.spec, holderIdentity: 'stranger' } });
    }
    await clock.advance(11_000);
    expect(holders).toEqual(['stranger']);
  });

  it('can be read before it is held', async () => {
    const api = new LeaseServer();
    const { lease } = setUp(api);
    await expect(lease.read()).resolves.toBeUndefined();
    api.store({ spec: { holderIdentity: 'other' } });
    await expect(lease.read()).resolves.toMatchObject({ spec: { holderIdentity: 'other' } });
    api.answer = () => {
      throw unavailable('away');
    };
    await expect(lease.read()).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('stops, twice if asked, and leaves no timer', async () => {
    const api = new LeaseServer();
    const { lease, clock } = setUp(api);
    lease.start('node-uid');
    await clock.advance(1000);
    await lease.stop();
    await lease.stop();
    const asked = api.requests.length;
    await clock.advance(60_000);
    expect(api.requests).toHaveLength(asked);
    expect(clock.waiting).toBe(0);
  });
});
