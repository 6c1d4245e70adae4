import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { KubeNode, Pod } from '../../../../src/core/objects.ts';
import type {
  EndpointSlice,
  PersistentVolume,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  ResourceQuota,
  StoredEndpoints,
} from '../../../../src/devcluster/controllers/types.ts';
import { startDevCluster, type DevCluster } from '../../../../src/devcluster/index.ts';
import { FakeClock } from '../../../../src/testing/fake-clock.ts';
import { simplePod } from '../../../helpers/dev-cluster.ts';
import { eventually, FakeKubelet } from './fake-kubelet.ts';

let cluster: DevCluster;
let kubelet: FakeKubelet;
let clock: FakeClock;
const labelled = (name: string, app: string, spec: object = {}) => simplePod(name, spec, { labels: { app } });
const pod = (name: string) => cluster.objects.find<Pod>({ kind: 'Pod', name });
const running = (name: string) => eventually(cluster, ['Pod'], () => pod(name)?.status?.phase === 'Running');

beforeAll(async () => {
  clock = new FakeClock(Date.now());
  cluster = await startDevCluster({ controllers: true, clock });
  kubelet = new FakeKubelet(cluster, 'node-a', ({ metadata }) =>
    metadata.labels?.['start'] === 'no' ? 'wait' : 'run',
  );
});
afterAll(async () => {
  kubelet.stop();
  await cluster.stop();
  expect(clock.pending).toBe(0);
});

describe('endpoints', () => {
  it('follow the ready pods that a Service selects', async () => {
    cluster.objects.create({
      kind: 'Service',
      metadata: { name: 'web', labels: { tier: 'front' } },
      spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'web' }] },
    });
    const endpoints = () => cluster.objects.find<StoredEndpoints>({ kind: 'Endpoints', name: 'web' });
    const slice = () =>
      cluster.objects.list<EndpointSlice>('EndpointSlice', { labelSelector: 'kubernetes.io/service-name=web' })[0];
    await eventually(cluster, ['Endpoints'], () => endpoints() !== undefined && endpoints()?.subsets === undefined);
    const containers = [{ name: 'c', image: 'x', ports: [{ name: 'web', containerPort: 8080 }] }];
    cluster.objects.create(labelled('web-1', 'web', { containers }));
    await eventually(
      cluster,
      ['Endpoints', 'EndpointSlice'],
      () => (endpoints()?.subsets ?? []).length === 1 && (slice()?.endpoints ?? []).length === 1,
    );
    const ip = pod('web-1')?.status?.podIP ?? '';
    const uid = pod('web-1')?.metadata.uid;
    const targetRef = { kind: 'Pod', namespace: 'default', name: 'web-1', uid };
    expect(endpoints()?.subsets).toEqual([
      { addresses: [{ ip, nodeName: 'node-a', targetRef }], ports: [{ name: 'http', port: 8080, protocol: 'TCP' }] },
    ]);
    expect(endpoints()?.metadata.labels).toEqual({
      tier: 'front',
      'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
    });
    expect(slice()).toMatchObject({
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: [ip],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: 'node-a',
          targetRef,
        },
      ],
      metadata: { ownerReferences: [{ kind: 'Service', name: 'web' }] },
    });
    cluster.objects.delete({ kind: 'Pod', name: 'web-1' });
    await eventually(
      cluster,
      ['Endpoints', 'EndpointSlice'],
      () => endpoints()?.subsets === undefined && (slice()?.endpoints ?? []).length === 0,
    );
    cluster.objects.delete({ kind: 'Service', name: 'web' });
    await eventually(cluster, ['Endpoints', 'EndpointSlice'], () => endpoints() === undefined && slice() === undefined);
  });
});

describe('volumes', () => {
  const volume = (name: string, storage: string) => ({
    kind: 'PersistentVolume',
    metadata: { name },
    spec: {
      capacity: { storage },
      accessModes: ['ReadWriteOnce'],
      hostPath: { path: '/tmp' },
      persistentVolumeReclaimPolicy: 'Retain',
    },
  });

  it('are bound to the claim that they fit best, hold its pod until then, and are released when it goes', async () => {
    cluster.objects.create(
      labelled('reader', 'reader', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'claim' } }] }),
    );
    await eventually(cluster, ['Pod'], () =>
      pod('reader')?.status?.conditions?.some(({ message }) =>
        message?.includes('persistentvolumeclaim "claim" not found'),
      ),
    );
    cluster.objects.create({
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'claim' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } } },
    });
    cluster.objects.create(volume('large', '10Gi'));
    await running('reader');
    const claim = () => cluster.objects.find<PersistentVolumeClaim>({ kind: 'PersistentVolumeClaim', name: 'claim' });
    expect(claim()).toMatchObject({
      spec: { volumeName: 'large' },
      status: { phase: 'Bound', capacity: { storage: '10Gi' } },
    });
    const bound = () => cluster.objects.get<PersistentVolume>({ kind: 'PersistentVolume', name: 'large' });
    expect(bound()).toMatchObject({
      status: { phase: 'Bound' },
      spec: { claimRef: { name: 'claim', uid: claim()?.metadata.uid } },
    });
    cluster.objects.delete({ kind: 'Pod', name: 'reader' });
    cluster.objects.delete({ kind: 'PersistentVolumeClaim', name: 'claim' });
    await eventually(cluster, ['PersistentVolume'], () => bound().status?.phase === 'Released');
  });
});

describe('a namespace', () => {
  it('gets its service account and its CA back, and goes with all that is in it', async () => {
    const namespace = 'busy';
    cluster.objects.create({ kind: 'Namespace', metadata: { name: namespace } });
    for (const key of [
      { kind: 'ServiceAccount', name: 'default' },
      { kind: 'ConfigMap', name: 'kube-root-ca.crt' },
    ]) {
      const { metadata } = cluster.objects.get({ ...key, namespace });
      cluster.objects.delete({ ...key, namespace });
      await eventually(cluster, [key.kind], () => {
        const back = cluster.objects.find({ ...key, namespace });
        return back !== undefined && back.metadata.uid !== metadata.uid;
      });
    }
    const labels = { app: 'busy' };
    const template = { metadata: { labels }, spec: simplePod('p').spec };
    cluster.objects.create({
      kind: 'Deployment',
      metadata: { name: 'd', namespace },
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
    });
    await eventually(
      cluster,
      ['Pod'],
      () =>
        cluster.objects.list<Pod>('Pod', { namespace }).filter(({ status }) => status?.phase === 'Running').length ===
        2,
    );
    cluster.objects.delete({ kind: 'Namespace', name: namespace });
    await eventually(
      cluster,
      ['Namespace'],
      () => cluster.objects.find({ kind: 'Namespace', name: namespace }) === undefined,
    );
    expect(cluster.objects.list('Pod', { namespace })).toEqual([]);
  });
});

describe('budgets and quotas', () => {
  it('say what a disruption budget allows', async () => {
    cluster.objects.create({
      kind: 'PodDisruptionBudget',
      metadata: { name: 'budget' },
      spec: { minAvailable: 1, selector: { matchLabels: { app: 'guarded' } } },
    });
    const status = () =>
      cluster.objects.get<PodDisruptionBudget>({ kind: 'PodDisruptionBudget', name: 'budget' }).status;
    for (const name of ['guarded-1', 'guarded-2']) cluster.objects.create(labelled(name, 'guarded'));
    await eventually(cluster, ['PodDisruptionBudget'], () => status()?.disruptionsAllowed === 1);
    expect(status()).toMatchObject({ currentHealthy: 2, desiredHealthy: 1, expectedPods: 2, observedGeneration: 1 });
    cluster.objects.delete({ kind: 'Pod', name: 'guarded-1' });
    await eventually(cluster, ['PodDisruptionBudget'], () => status()?.disruptionsAllowed === 0);
    expect(status()?.conditions).toMatchObject([
      { type: 'DisruptionAllowed', status: 'False', reason: 'InsufficientPods' },
    ]);
  });

  it('count what a quota limits', async () => {
    cluster.objects.create({ kind: 'Namespace', metadata: { name: 'small' } });
    const hard = { pods: '5', 'requests.cpu': '2', configmaps: '9', 'count/deployments.apps': '1' };
    cluster.objects.create({ kind: 'ResourceQuota', metadata: { name: 'quota', namespace: 'small' }, spec: { hard } });
    const resources = { requests: { cpu: '250m' } };
    cluster.objects.create(
      simplePod('counted', { containers: [{ name: 'c', image: 'x', resources }] }, { namespace: 'small' }),
    );
    const quota = () =>
      cluster.objects.get<ResourceQuota>({ kind: 'ResourceQuota', namespace: 'small', name: 'quota' });
    await eventually(cluster, ['ResourceQuota'], () => quota().status?.used?.['pods'] === '1');
    expect(quota().status).toEqual({
      hard,
      used: { pods: '1', 'requests.cpu': '250m', configmaps: '1', 'count/deployments.apps': '0' },
    });
  });
});

describe('a node', () => {
  const node = (name: string) => cluster.objects.get<KubeNode>({ kind: 'Node', name });

  it('that falls silent becomes unknown, loses its pods after what they tolerate, and gets them back never', async () => {
    const silent = new FakeKubelet(cluster, 'silent');
    const spec = {
      nodeName: 'silent',
      tolerations: [
        { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 },
      ],
    };
    cluster.objects.create(labelled('doomed', 'doomed', spec));
    await running('doomed');
    silent.stop();
    await clock.advance(51_000);
    await eventually(cluster, ['Node', 'Pod'], () =>
      node('silent').spec?.taints?.some(
        ({ key, effect }) => key === 'node.kubernetes.io/unreachable' && effect === 'NoExecute',
      ),
    );
    const ready = node('silent').status?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready).toMatchObject({
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
    });
    expect(pod('doomed')?.status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('False');
    expect(pod('doomed')?.metadata.deletionTimestamp).toBeUndefined();
    await clock.advance(61_000);
    await eventually(cluster, ['Pod'], () => pod('doomed')?.metadata.deletionTimestamp !== undefined);
    expect(pod('doomed')?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'DisruptionTarget', reason: 'DeletionByTaintManager' }),
    );
    cluster.objects.delete({ kind: 'Node', name: 'silent' });
    await clock.advance(41_000);
    await eventually(cluster, ['Pod'], () => pod('doomed') === undefined);
    // The other node was silent too, and is well again when it says so.
    kubelet.heartbeat(clock.now());
    await eventually(cluster, ['Node'], () => node('node-a').spec?.taints === undefined);
  });

  it('that is cordoned gets the taint for it', async () => {
    cluster.objects.patch({ kind: 'Node', name: 'node-a' }, { spec: { unschedulable: true } });
    await eventually(
      cluster,
      ['Node'],
      () => node('node-a').spec?.taints?.[0]?.key === 'node.kubernetes.io/unschedulable',
    );
    cluster.objects.patch({ kind: 'Node', name: 'node-a' }, { spec: { unschedulable: null } });
    await eventually(cluster, ['Node'], () => node('node-a').spec?.taints === undefined);
  });
});

describe('the scheduler', () => {
  const scheduled = (name: string) => pod(name)?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  const refused = (name: string) =>
    eventually(cluster, ['Pod'], () => (scheduled(name)?.status === 'False' ? scheduled(name)?.message : undefined));
  const asking = (cpu: string) => ({ containers: [{ name: 'c', image: 'x', resources: { requests: { cpu } } }] });

  it('does not place more requests on a node than it has, and tries again when there is room', async () => {
    cluster.objects.create(labelled('big', 'big', asking('1500m')));
    await running('big');
    cluster.objects.create(labelled('more', 'more', asking('1')));
    expect(await refused('more')).toBe(
      '0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
    );
    cluster.objects.delete({ kind: 'Pod', name: 'big' });
    await running('more');
    cluster.objects.delete({ kind: 'Pod', name: 'more' });
  });

  it('keeps pods apart that do not want to be together, and off taken ports', async () => {
    const affinity = {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'loner' } } },
        ],
      },
    };
    const ports = [{ containerPort: 80, hostPort: 8080 }];
    const containers = [{ name: 'c', image: 'x', ports }];
    cluster.objects.create(labelled('loner-1', 'loner', { affinity, containers }));
    await running('loner-1');
    cluster.objects.create(labelled('loner-2', 'loner', { affinity }));
    cluster.objects.create(labelled('plain', 'plain', { containers }));
    expect(await refused('loner-2')).toContain("1 node(s) didn't match pod anti-affinity rules");
    expect(await refused('plain')).toContain("1 node(s) didn't have free ports for the requested pod ports");
    const second = new FakeKubelet(cluster, 'node-b');
    await running('loner-2');
    expect(pod('loner-2')?.spec.nodeName).toBe('node-b');
    await running('plain');
    second.stop();
  });
});
