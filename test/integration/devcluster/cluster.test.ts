import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { startDevCluster } from '../../../src/devcluster/index.ts';
import type { KubeNode, Pod } from '../../../src/core/objects.ts';
import { certificateClient, readyNode, simplePod, useDevCluster, type ApiClient } from '../../helpers/dev-cluster.ts';

const pods = '/api/v1/namespaces/default/pods';

describe('a development cluster', () => {
  const cluster = useDevCluster();
  let api: ApiClient;

  beforeAll(async () => {
    api = await certificateClient(cluster());
  });
  afterAll(async () => {
    await api.close();
  });

  it('begins with what every cluster has', async () => {
    const { objects } = cluster();
    expect(objects.list('Namespace').map(({ metadata }) => metadata.name)).toEqual([
      'default',
      'kube-node-lease',
      'kube-public',
      'kube-system',
    ]);
    for (const namespace of ['default', 'kube-system']) {
      expect(objects.find({ kind: 'ServiceAccount', namespace, name: 'default' })).toBeDefined();
      expect(objects.get<{ data: unknown }>({ kind: 'ConfigMap', namespace, name: 'kube-root-ca.crt' }).data).toEqual({
        'ca.crt': cluster().caPem,
      });
    }
    expect(
      objects.get<{ data: unknown }>({
        kind: 'ConfigMap',
        namespace: 'kube-system',
        name: 'extension-apiserver-authentication',
      }).data,
    ).toEqual({ 'client-ca-file': cluster().caPem });
    const port = Number(new URL(cluster().url).port);
    expect(objects.get({ kind: 'Service', name: 'kubernetes' })).toMatchObject({
      spec: { clusterIP: '10.96.0.1', ports: [{ port: 443, targetPort: port }] },
    });
  });

  it('says what it serves', async () => {
    expect((await api('GET', '/apis')).body['groups']).toEqual(
      expect.arrayContaining([expect.objectContaining({ name: 'coordination.k8s.io' })]),
    );
    const core = (await api('GET', '/api/v1')).body['resources'] as { name: string; kind: string; verbs: string[] }[];
    expect(core.find(({ name }) => name === 'pods')).toMatchObject({
      kind: 'Pod',
      shortNames: ['po'],
      namespaced: true,
    });
    expect(core.find(({ name }) => name === 'pods/status')?.verbs).toEqual(['get', 'patch', 'update']);
    expect(core.find(({ name }) => name === 'pods/exec')?.verbs).toEqual(['create', 'get']);
    const { paths } = (await api('GET', '/openapi/v3/api/v1')).body as {
      paths: Record<string, Record<string, { parameters: { name: string }[] }>>;
    };
    expect(
      paths['/api/v1/namespaces/{namespace}/pods/{name}']?.['patch']?.parameters.map(({ name }) => name),
    ).toContain('fieldValidation');
  });

  describe('its scheduler', () => {
    it('binds a pod to a ready node whose taints it tolerates, and says so', async () => {
      const { objects } = cluster();
      objects.create({
        ...readyNode('tainted'),
        spec: { taints: [{ key: 'virtual-kubelet.io/provider', value: 'x', effect: 'NoSchedule' }] },
      });
      objects.create(simplePod('plain'));
      objects.create(
        simplePod('tolerant', { tolerations: [{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }] }),
      );
      const bound = await objects.until<Pod>(
        { kind: 'Pod', name: 'tolerant' },
        (pod) => pod?.spec.nodeName === 'tainted',
      );
      expect(bound?.status?.conditions).toEqual([expect.objectContaining({ type: 'PodScheduled', status: 'True' })]);
      const refused = await objects.until<Pod>(
        { kind: 'Pod', name: 'plain' },
        (pod) => pod?.status?.conditions?.[0]?.reason === 'Unschedulable',
      );
      expect(refused?.status?.conditions?.[0]?.message).toBe(
        '0/1 nodes are available: 1 node(s) had untolerated taint(s). no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
      );
      expect(objects.list('Event', { fieldSelector: 'involvedObject.name=tolerant' })).toEqual([
        expect.objectContaining({ reason: 'Scheduled', message: 'Successfully assigned default/tolerant to tainted' }),
      ]);
      objects.create(readyNode('open'));
      await objects.until<Pod>({ kind: 'Pod', name: 'plain' }, (pod) => pod?.spec.nodeName === 'open');
    });

    it('waits for the node to be ready and honours selector, affinity and room', async () => {
      const { objects } = cluster();
      objects.create(simplePod('choosy', { nodeSelector: { zone: 'z' } }));
      objects.create(
        simplePod('pinned', {
          affinity: {
            nodeAffinity: {
              requiredDuringSchedulingIgnoredDuringExecution: {
                nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['zoned'] }] }],
              },
            },
          },
        }),
      );
      const node = readyNode('zoned', 1, {
        allocatable: { pods: '1' },
        conditions: [{ type: 'Ready', status: 'False' }],
      });
      objects.create({ ...node, metadata: { name: 'zoned', labels: { zone: 'z' } } });
      await objects.until<Pod>(
        { kind: 'Pod', name: 'choosy' },
        (pod) => pod?.status?.conditions?.[0]?.message?.includes('node(s) had untolerated taint(s)') === true,
      );
      objects.patch(
        { kind: 'Node', name: 'zoned' },
        { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
        { subresource: 'status' },
      );
      const settled = await objects.until<KubeNode>(
        { kind: 'Node', name: 'zoned' },
        (it) => (it?.spec?.taints ?? []).length === 0,
      );
      expect(settled).toBeDefined();
      const both = () => ['choosy', 'pinned'].map((name) => objects.get<Pod>({ kind: 'Pod', name }));
      await objects.until(
        { kind: 'Pod', name: 'pinned' },
        () =>
          both().some((pod) => pod.spec.nodeName === 'zoned') &&
          both().some((pod) => pod.status?.conditions?.[0]?.message?.includes('Too many pods') === true),
      );
    });
  });

  it('taints a node until it is ready', async () => {
    const { objects } = cluster();
    const created = objects.create<KubeNode>({ ...readyNode('slow', 1, { conditions: [] }) });
    expect(created.spec?.taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
    objects.patch(
      { kind: 'Node', name: 'slow' },
      { status: { conditions: [{ type: 'Ready', status: 'True' }] } },
      { subresource: 'status' },
    );
    await objects.until<KubeNode>({ kind: 'Node', name: 'slow' }, (node) => node?.spec?.taints === undefined);
    objects.patch(
      { kind: 'Node', name: 'slow' },
      { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } },
      { subresource: 'status' },
    );
    await objects.until<KubeNode>(
      { kind: 'Node', name: 'slow' },
      (node) => node?.spec?.taints?.[0]?.key === 'node.kubernetes.io/not-ready',
    );
  });

  it('empties a namespace that is deleted, waiting for its bound pods', async () => {
    const { objects } = cluster();
    await api('POST', '/api/v1/namespaces', { metadata: { name: 'brief' } });
    objects.create({ ...simplePod('p', { nodeName: 'somewhere' }), metadata: { name: 'p', namespace: 'brief' } });
    const gone = await api('DELETE', '/api/v1/namespaces/brief');
    expect(gone.body).toMatchObject({ kind: 'Namespace', status: { phase: 'Terminating' } });
    await objects.until(
      { kind: 'Pod', namespace: 'brief', name: 'p' },
      (pod) => (pod as Pod | undefined)?.metadata.deletionTimestamp !== undefined,
    );
    expect(
      (await api('POST', '/api/v1/namespaces/brief/configmaps', { metadata: { name: 'late' } })).body,
    ).toMatchObject({
      code: 403,
      message:
        'configmaps "late" is forbidden: unable to create new content in namespace brief because it is being terminated',
    });
    objects.delete({ kind: 'Pod', namespace: 'brief', name: 'p' }, { gracePeriodSeconds: 0 });
    await objects.until({ kind: 'Namespace', name: 'brief' }, (namespace) => namespace === undefined);
    expect(objects.list('ServiceAccount', { namespace: 'brief' })).toEqual([]);
  });

  it('remembers requests and counts them by verb and pattern', async () => {
    const { traffic } = cluster();
    traffic.forget();
    await api('GET', `${pods}?labelSelector=x`);
    await api('PATCH', `${pods}/nope/status`, {}, 'application/merge-patch+json');
    await api('PATCH', `${pods}/other/status`, {}, 'application/merge-patch+json');
    expect(Object.fromEntries(traffic.counts())).toEqual({
      'list /api/v1/namespaces/{namespace}/pods': 1,
      'patch /api/v1/namespaces/{namespace}/pods/{name}/status': 2,
    });
    expect(traffic.requests({ verb: 'list' })).toEqual([
      expect.objectContaining({
        method: 'GET',
        path: pods,
        query: { labelSelector: 'x' },
        user: 'kubernetes-admin',
        status: 200,
      }),
    ]);
    expect(traffic.requests({ path: `${pods}/nope/*` })).toEqual([
      expect.objectContaining({ status: 404, contentType: 'application/merge-patch+json' }),
    ]);
  });

  it('fails the next requests as planned', async () => {
    const { traffic, objects } = cluster();
    traffic.fail(
      { verb: 'list', path: '/api/v1/namespaces/{namespace}/pods' },
      { status: 503, reason: 'ServiceUnavailable', retryAfterSeconds: 2 },
      2,
    );
    expect(await api('GET', pods)).toMatchObject({
      code: 503,
      headers: { 'retry-after': '2' },
      body: { kind: 'Status', reason: 'ServiceUnavailable' },
    });
    expect((await api('GET', pods)).code).toBe(503);
    expect((await api('GET', pods)).code).toBe(200);
    traffic.fail({ method: 'POST' }, { reset: 'before' }, 1);
    await expect(
      api('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'lost' } }),
    ).rejects.toThrow();
    expect(objects.find({ kind: 'ConfigMap', name: 'lost' })).toBeUndefined();
    traffic.fail({ method: 'POST' }, { reset: 'after' }, 1);
    await expect(
      api('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'done' } }),
    ).rejects.toThrow();
    expect(objects.find({ kind: 'ConfigMap', name: 'done' })).toBeDefined();
  });

  it('refuses a body that is too large and lives on', async () => {
    const { code, body } = await api('POST', '/api/v1/namespaces/default/configmaps', {
      metadata: { name: 'large' },
      data: { x: 'x'.repeat(4_000_000) },
    });
    expect({ code, reason: body.reason, message: body.message }).toEqual({
      code: 413,
      reason: 'RequestEntityTooLarge',
      message: 'Request entity too large: limit is 3145728',
    });
    expect((await api('GET', pods)).code).toBe(200);
  });

  it('stops with open watches, hanging requests and a second stop', async () => {
    const other = await startDevCluster();
    const client = await certificateClient(other);
    other.traffic.fail({ path: '/version' }, { hang: true }, 1);
    const hanging = client('GET', '/version').catch(() => 'cut');
    const watching = client('GET', '/api/v1/pods?watch=true').catch(() => 'cut');
    await client('GET', '/healthz');
    await other.stop();
    await other.stop();
    expect(await Promise.all([hanging, watching])).toEqual(['cut', 'cut']);
    await client.close();
  });
});
