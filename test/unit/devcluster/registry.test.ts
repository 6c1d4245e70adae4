import { beforeEach, describe, expect, it } from '@jest/globals';

import { codeOfApiError, inNamespace, pod, type TestCluster } from './test-registry.ts';

describe('deleting a pod', () => {
  let cluster: TestCluster;

  beforeEach(() => {
    cluster = inNamespace('default');
  });

  const bound = { nodeName: 'n', terminationGracePeriodSeconds: 30 };
  const seen = () =>
    cluster.changes.map(
      ({ type, object }) =>
        `${type} ${object.metadata.deletionGracePeriodSeconds ?? '-'} ${object.metadata.deletionTimestamp ?? '-'}`,
    );

  it('marks a bound pod with its own grace period and leaves it', () => {
    cluster.create(pod('p', bound));
    const marked = cluster.delete('p');
    expect(marked.metadata).toMatchObject({
      deletionGracePeriodSeconds: 30,
      deletionTimestamp: '2026-01-01T00:00:30Z',
      generation: 2,
    });
    expect(cluster.find('p')).toBeDefined();
    expect(seen()).toEqual(['ADDED - -', 'MODIFIED 30 2026-01-01T00:00:30Z']);
  });

  it.each([
    ['not bound', pod('p', { terminationGracePeriodSeconds: 30 }), {}],
    ['bound, with grace 0 asked for', pod('p', bound), { gracePeriodSeconds: 0 }],
    ['bound, with grace 0 in its spec', pod('p', { ...bound, terminationGracePeriodSeconds: 0 }), {}],
  ])('removes at once a pod that is %s', (_what, object, options) => {
    cluster.create(object);
    cluster.delete('p', options);
    expect(cluster.find('p')).toBeUndefined();
    expect(seen()).toEqual(['ADDED - -', 'MODIFIED 0 2026-01-01T00:00:00Z', 'DELETED 0 2026-01-01T00:00:00Z']);
  });

  it.each(['Succeeded', 'Failed'])('removes at once a pod that has %s', (phase) => {
    cluster.create(pod('p', bound));
    cluster.patch('p', { status: { phase } }, 'status');
    cluster.delete('p');
    expect(cluster.find('p')).toBeUndefined();
  });

  it('takes a negative grace period for one second', () => {
    cluster.create(pod('p', bound));
    expect(cluster.delete('p', { gracePeriodSeconds: -3 }).metadata.deletionGracePeriodSeconds).toBe(1);
  });

  it('lets a shorter grace follow, counted from the first request, and ignores a longer one', async () => {
    cluster.create(pod('p', bound));
    cluster.delete('p');
    await cluster.clock.advance(2000);
    expect(cluster.delete('p', { gracePeriodSeconds: 60 }).metadata.deletionGracePeriodSeconds).toBe(30);
    expect(cluster.delete('p').metadata.deletionGracePeriodSeconds).toBe(30);
    expect(cluster.delete('p', { gracePeriodSeconds: 10 }).metadata).toMatchObject({
      deletionGracePeriodSeconds: 10,
      deletionTimestamp: '2026-01-01T00:00:10Z',
      generation: 2,
    });
    await cluster.clock.advance(8000);
    // Five seconds have passed already: as short as it can be without being none.
    expect(cluster.delete('p', { gracePeriodSeconds: 5 }).metadata).toMatchObject({
      deletionGracePeriodSeconds: 1,
      deletionTimestamp: '2026-01-01T00:00:10Z',
    });
    cluster.delete('p', { gracePeriodSeconds: 0 });
    expect(cluster.find('p')).toBeUndefined();
  });

  it('keeps a pod with finalizers until the last of them is gone', () => {
    cluster.create(pod('p', {}, { finalizers: ['x.io/a', 'x.io/b'] }));
    expect(cluster.delete('p').metadata).toMatchObject({
      deletionGracePeriodSeconds: 0,
      finalizers: ['x.io/a', 'x.io/b'],
    });
    cluster.patch('p', { metadata: { finalizers: ['x.io/b'] } });
    expect(cluster.find('p')).toBeDefined();
    cluster.patch('p', { metadata: { finalizers: null } });
    expect(cluster.find('p')).toBeUndefined();
    expect(cluster.changes.at(-1)?.type).toBe('DELETED');
  });

  it('keeps a pod whose finalizers are gone before its grace period is', () => {
    cluster.create(pod('p', bound, { finalizers: ['x.io/a'] }));
    cluster.delete('p');
    cluster.patch('p', { metadata: { finalizers: null } });
    expect(cluster.find('p')).toBeDefined();
  });

  it('takes no new finalizers and no change of the deletion while it is deleted', () => {
    cluster.create(pod('p', bound));
    cluster.delete('p');
    expect(codeOfApiError(() => cluster.patch('p', { metadata: { finalizers: ['x.io/late'] } }))).toBe(422);
    cluster.patch('p', { metadata: { deletionTimestamp: null, deletionGracePeriodSeconds: 1 } });
    expect(cluster.find('p')?.metadata).toMatchObject({
      deletionGracePeriodSeconds: 30,
      deletionTimestamp: '2026-01-01T00:00:30Z',
    });
  });

  it('holds to the preconditions', () => {
    cluster.create(pod('p', bound));
    expect(codeOfApiError(() => cluster.delete('p', { preconditions: { uid: 'another' } }))).toBe(409);
    expect(codeOfApiError(() => cluster.delete('p', { preconditions: { resourceVersion: '1' } }))).toBe(409);
    const { uid, resourceVersion } = cluster.find('p')?.metadata ?? {};
    expect(
      cluster.delete('p', {
        gracePeriodSeconds: 0,
        preconditions: { ...(uid !== undefined && { uid }), ...(resourceVersion !== undefined && { resourceVersion }) },
      }).metadata.uid,
    ).toBe(uid);
  });

  it('changes nothing in a dry run', () => {
    cluster.create(pod('p', bound));
    expect(cluster.delete('p', { dryRun: true }).metadata.deletionGracePeriodSeconds).toBe(30);
    expect(cluster.find('p')?.metadata.deletionTimestamp).toBeUndefined();
  });
});

describe('writing an object', () => {
  let cluster: TestCluster;

  beforeEach(() => {
    cluster = inNamespace('default');
  });

  it('gives it an identity, a version and a generation', () => {
    const { metadata } = cluster.create(pod('p'));
    expect(metadata).toMatchObject({ namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z', generation: 1 });
    expect(metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(metadata.resourceVersion)).toBe(cluster.registry.store.version);
  });

  it('makes up a name from generateName', () => {
    const names = Array.from(
      { length: 20 },
      () => cluster.create(pod(undefined, {}, { generateName: 'web-' })).metadata.name,
    );
    expect(new Set(names).size).toBe(20);
    for (const name of names) expect(name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  });

  it('counts changes of the spec, not of the status or the labels', () => {
    cluster.create(pod('p'));
    cluster.patch('p', { status: { phase: 'Running' } }, 'status');
    cluster.patch('p', { metadata: { labels: { a: 'b' } } });
    expect(cluster.find('p')?.metadata.generation).toBe(1);
    cluster.patch('p', { spec: { activeDeadlineSeconds: 5 } });
    expect(cluster.find('p')?.metadata.generation).toBe(2);
  });

  it('keeps the status from writes to the object, and the rest from writes to the status', () => {
    cluster.create(pod('p'));
    cluster.patch('p', { status: { phase: 'Running' } });
    expect(cluster.find('p')?.['status']).toMatchObject({ phase: 'Pending' });
    cluster.patch(
      'p',
      {
        spec: { activeDeadlineSeconds: 5 },
        status: { phase: 'Running' },
        metadata: {
          annotations: { a: 'b' },
          ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'n', uid: 'u' }],
        },
      },
      'status',
    );
    const after = cluster.find('p');
    expect(after?.['status']).toMatchObject({ phase: 'Running' });
    expect(after?.['spec']).not.toHaveProperty('activeDeadlineSeconds');
    expect(after?.metadata.annotations).toEqual({ a: 'b' });
    expect(after?.metadata.ownerReferences).toBeUndefined();
  });

  it('gives a write that changes nothing no version and no event', () => {
    cluster.create(pod('p'));
    const { version } = cluster.registry.store;
    cluster.patch('p', { metadata: { labels: null } });
    cluster.patch('p', { status: { phase: 'Pending' } }, 'status');
    expect(cluster.registry.store.version).toBe(version);
    expect(cluster.changes).toHaveLength(1);
  });

  it('refuses a write based on an older version', () => {
    const { metadata } = cluster.create(pod('p'));
    cluster.patch('p', { metadata: { labels: { a: 'b' } } });
    expect(
      codeOfApiError(() =>
        cluster.patch('p', { metadata: { resourceVersion: metadata.resourceVersion, labels: { a: 'c' } } }),
      ),
    ).toBe(409);
  });

  it('never changes an object that it has handed out', () => {
    const before = cluster.create(pod('p'));
    const copy = structuredClone(before);
    cluster.patch('p', { metadata: { labels: { a: 'b' } }, spec: { activeDeadlineSeconds: 4 } });
    cluster.patch('p', { status: { conditions: [{ type: 'Ready', status: 'True' }] } }, 'status');
    expect(before).toEqual(copy);
  });

  it('mounts no token where the pod or its service account does not want one', () => {
    cluster.create(pod('p', { automountServiceAccountToken: false }));
    expect(cluster.find('p')?.['spec']).not.toHaveProperty('volumes');
    const path = '/var/run/secrets/kubernetes.io/serviceaccount';
    cluster.create(
      pod('q', {
        containers: [{ name: 'c', image: 'x', volumeMounts: [{ name: 'own', mountPath: path }] }],
        volumes: [{ name: 'own', emptyDir: {} }],
      }),
    );
    expect(cluster.find('q')?.['spec']).toMatchObject({ volumes: [{ name: 'own' }] });
  });
});
