import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

import { startDevCluster } from '../../../src/devcluster/index.ts';
import {
  certificateClient,
  readyNode,
  simplePod,
  tokenClient,
  useDevCluster,
  type ApiClient,
} from '../../helpers/dev-cluster.ts';

const pods = '/api/v1/namespaces/default/pods';

describe('who may do what', () => {
  const cluster = useDevCluster({
    http: true,
    scheduler: false,
    tokens: { letmein: { name: 'tom', groups: ['readers'] } },
    grants: [
      {
        to: 'readers',
        verbs: ['get', 'list'],
        apiGroups: [''],
        resources: ['pods', 'pods/log'],
        namespaces: ['default'],
      },
      { to: 'system:serviceaccount:default:reader', verbs: ['list'], apiGroups: [''], resources: ['configmaps'] },
    ],
  });

  async function as<T>(client: ApiClient | Promise<ApiClient>, fn: (api: ApiClient) => Promise<T>): Promise<T> {
    const api = await client;
    try {
      return await fn(api);
    } finally {
      await api.close();
    }
  }

  it('takes the user and groups from a client certificate', async () => {
    const { body } = await as(certificateClient(cluster(), 'eve', ['g1', 'g2']), (api) =>
      api('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}),
    );
    expect(body).toMatchObject({
      status: { userInfo: { username: 'eve', groups: ['g1', 'g2', 'system:authenticated'] } },
    });
  });

  it('takes a static token and one that it issued, until it is revoked', async () => {
    expect((await as(tokenClient(cluster(), 'letmein'), (api) => api('GET', pods))).code).toBe(200);
    const token = cluster().issueToken('root', ['system:masters']);
    await as(tokenClient(cluster(), token), async (api) => {
      expect((await api('GET', '/api/v1/secrets')).code).toBe(200);
      cluster().revokeToken(token);
      expect(await api('GET', '/api/v1/secrets')).toMatchObject({
        code: 401,
        body: { kind: 'Status', reason: 'Unauthorized', message: 'Unauthorized', code: 401 },
      });
    });
  });

  it('takes who has no credentials for a stranger, refuses wrong ones, and shows its health and version', async () => {
    expect((await as(tokenClient(cluster()), (api) => api('GET', pods))).body).toMatchObject({
      code: 403,
      message:
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
    });
    expect((await as(tokenClient(cluster(), 'wrong'), (api) => api('GET', '/healthz'))).code).toBe(401);
    await as(tokenClient(cluster()), async (api) => {
      expect((await api('GET', '/healthz')).body.message).toBe('ok');
      expect((await api('GET', '/readyz')).code).toBe(200);
      expect((await api('GET', '/version')).body).toMatchObject({ gitVersion: 'v1.36.3+anylet', minor: '36' });
      expect((await api('GET', '/api')).code).toBe(403);
    });
  });

  it('refuses a certificate of another authority', async () => {
    const other = await startDevCluster({ scheduler: false });
    try {
      const { url, caPem } = cluster();
      const stranger = certificateClient({
        url,
        caPem,
        clientCertificate: (user, groups) => other.clientCertificate(user, groups),
      });
      expect((await as(stranger, (api) => api('GET', pods))).code).toBe(401);
    } finally {
      await other.stop();
    }
  });

  it('says in the API server’s words what is forbidden', async () => {
    await as(tokenClient(cluster(), 'letmein'), async (api) => {
      expect((await api('GET', `${pods}/x`)).code).toBe(404);
      expect((await api('POST', pods, simplePod('x'))).body).toMatchObject({
        code: 403,
        reason: 'Forbidden',
        message:
          'pods is forbidden: User "tom" cannot create resource "pods" in API group "" in the namespace "default"',
      });
      expect((await api('GET', '/api/v1/nodes/n')).body.message).toBe(
        'nodes "n" is forbidden: User "tom" cannot get resource "nodes" in API group "" at the cluster scope',
      );
      expect((await api('PATCH', `${pods}/x/status`, {}, 'application/merge-patch+json')).body.message).toBe(
        'pods "x" is forbidden: User "tom" cannot patch resource "pods/status" in API group "" in the namespace "default"',
      );
      expect((await api('GET', '/api/v1/namespaces/kube-system/pods')).code).toBe(403);
      expect((await api('GET', '/metrics')).body.message).toBe('forbidden: User "tom" cannot get path "/metrics"');
    });
  });

  it('serves tokens, but no certificates, without TLS', async () => {
    const url = cluster().httpUrl as string;
    expect((await as(tokenClient(cluster(), 'letmein', url), (api) => api('GET', pods))).code).toBe(200);
    expect((await as(tokenClient(cluster(), undefined, url), (api) => api('GET', pods))).code).toBe(403);
  });

  it('knows a service account by a token bound to its pod, until the pod is gone', async () => {
    const { objects } = cluster();
    objects.create({ kind: 'ServiceAccount', metadata: { name: 'reader' } });
    objects.create(readyNode('token-node'));
    const pod = objects.create<{ metadata: { uid: string } }>(
      simplePod('holder', { serviceAccountName: 'reader', nodeName: 'token-node' }),
    );
    const asked = await as(certificateClient(cluster()), (api) =>
      api('POST', '/api/v1/namespaces/default/serviceaccounts/reader/token', {
        spec: {
          expirationSeconds: 3607,
          boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'holder', uid: pod.metadata.uid },
        },
      }),
    );
    expect(asked.code).toBe(201);
    const { token } = asked.body['status'] as { token: string };
    await as(tokenClient(cluster(), token), async (api) => {
      expect((await api('GET', '/api/v1/namespaces/default/configmaps')).code).toBe(200);
      expect((await api('GET', '/api/v1/secrets')).code).toBe(403);
      const review = await as(certificateClient(cluster()), (admin) =>
        admin('POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token } }),
      );
      expect(review.body).toMatchObject({
        status: {
          authenticated: true,
          audiences: ['https://kubernetes.default.svc.cluster.local'],
          user: {
            username: 'system:serviceaccount:default:reader',
            groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
            extra: {
              'authentication.kubernetes.io/pod-name': ['holder'],
              'authentication.kubernetes.io/pod-uid': [pod.metadata.uid],
              'authentication.kubernetes.io/node-name': ['token-node'],
            },
          },
        },
      });
      objects.delete({ kind: 'Pod', name: 'holder' }, { gracePeriodSeconds: 0 });
      expect((await api('GET', '/api/v1/namespaces/default/configmaps')).code).toBe(401);
    });
  });

  it('confines a node to itself and to what its pods refer to', async () => {
    const { objects } = cluster();
    for (const name of ['mine', 'other']) objects.create({ kind: 'Secret', metadata: { name } });
    objects.create(readyNode('confined'));
    objects.create(
      simplePod('on-confined', { nodeName: 'confined', volumes: [{ name: 'v', secret: { secretName: 'mine' } }] }),
    );
    await as(certificateClient(cluster(), 'system:node:confined', ['system:nodes']), async (api) => {
      const codes = async (...requests: [string, string, unknown?, string?][]) =>
        Promise.all(requests.map(async (request) => (await api(...request)).code));
      expect(
        await codes(
          ['GET', '/api/v1/nodes/confined'],
          ['GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dconfined'],
          ['GET', `${pods}/on-confined`],
          ['GET', '/api/v1/namespaces/default/secrets/mine'],
          ['GET', '/api/v1/namespaces/default/configmaps/kube-root-ca.crt'],
          ['GET', '/api/v1/services'],
          ['PATCH', '/api/v1/nodes/confined/status', { status: {} }, 'application/strategic-merge-patch+json'],
          ['PATCH', `${pods}/on-confined/status`, { status: {} }, 'application/strategic-merge-patch+json'],
        ),
      ).toEqual([200, 200, 200, 200, 200, 200, 200, 200]);
      expect(
        await codes(
          ['GET', '/api/v1/nodes'],
          ['GET', '/api/v1/nodes/token-node'],
          ['GET', '/api/v1/pods'],
          ['GET', '/api/v1/namespaces/default/secrets/other'],
          ['GET', '/api/v1/namespaces/default/secrets'],
          ['GET', '/apis/coordination.k8s.io/v1/namespaces/default/leases/confined'],
          ['PATCH', `${pods}/on-confined`, {}, 'application/merge-patch+json'],
        ),
      ).toEqual([403, 403, 403, 403, 403, 403, 403]);
      expect((await api('GET', '/api/v1/nodes')).body.message).toBe(
        'nodes is forbidden: User "system:node:confined" cannot list resource "nodes" in API group "" at the cluster scope: node \'confined\' cannot read all nodes, only its own Node object',
      );
    });
  });

  it('answers reviews by the same rules', async () => {
    await as(certificateClient(cluster()), async (api) => {
      const review = async (spec: object) =>
        (await api('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { spec })).body['status'];
      expect(
        await review({
          user: 'tom',
          groups: ['readers'],
          resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default', name: 'x' },
        }),
      ).toMatchObject({ allowed: true });
      expect(
        await review({
          user: 'tom',
          groups: ['readers'],
          resourceAttributes: { verb: 'delete', resource: 'pods', namespace: 'default' },
        }),
      ).toEqual({ allowed: false });
      expect(
        await review({
          user: 'kube-apiserver-kubelet-client',
          resourceAttributes: { verb: 'create', resource: 'nodes', subresource: 'proxy', name: 'n' },
        }),
      ).toEqual({
        allowed: true,
        reason:
          'RBAC: allowed by ClusterRoleBinding "kube-apiserver-kubelet-client" of ClusterRole "system:kubelet-api-admin" to User "kube-apiserver-kubelet-client"',
      });
    });
    const self = await as(tokenClient(cluster(), 'letmein'), (api) =>
      api('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
        spec: { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } },
      }),
    );
    expect(self.body['status']).toMatchObject({ allowed: true });
  });

  it('writes a kubeconfig that holds everything', async () => {
    const config = parse(await cluster().kubeconfig('ann', ['g'])) as {
      clusters: { cluster: Record<string, string> }[];
      users: { user: Record<string, string> }[];
    };
    expect(config.clusters[0]?.cluster['server']).toBe(cluster().url);
    expect(Buffer.from(config.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64').toString()).toBe(
      cluster().caPem,
    );
    expect(Object.keys(config.users[0]?.user ?? {})).toEqual(['client-certificate-data', 'client-key-data']);
  });
});
