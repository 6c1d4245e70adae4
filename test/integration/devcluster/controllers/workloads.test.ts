import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { Pod } from '../../../../src/core/objects.ts';
import type {
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
} from '../../../../src/devcluster/controllers/types.ts';
import { startDevCluster, type DevCluster } from '../../../../src/devcluster/index.ts';
import { eventually, FakeKubelet } from './fake-kubelet.ts';

let cluster: DevCluster;
let kubelet: FakeKubelet;
let unready = (_pod: Pod): boolean => false;
const namespace = 'default';

const template = (image = 'example.com/c:1', extra: object = {}) => ({
  metadata: { labels: { app: 'a' } },
  spec: { containers: [{ name: 'c', image }], terminationGracePeriodSeconds: 1, ...extra },
});
const workload = (kind: string, name: string, spec: object = {}) => ({
  kind,
  apiVersion: 'apps/v1',
  metadata: { name },
  spec: { replicas: 3, selector: { matchLabels: { app: 'a' } }, template: template(), ...spec },
});
const get = <T>(kind: string, name: string) => cluster.objects.find<T>({ kind, namespace, name });
const pods = () => cluster.objects.list<Pod>('Pod', { namespace });
const messages = (name: string) =>
  cluster.objects
    .list<{ involvedObject: { name: string }; reason: string; message: string; source: { component: string } }>('Event')
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ reason, message, source }) => `${source.component} ${reason}: ${message}`);

beforeAll(async () => {
  cluster = await startDevCluster({ controllers: true });
  kubelet = new FakeKubelet(cluster, 'node-a', (pod) => (unready(pod) ? 'wait' : 'run'));
});
afterEach(async () => {
  unready = () => false;
  for (const kind of ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'ReplicationController'])
    for (const { metadata } of cluster.objects.list(kind))
      cluster.objects.delete({ kind, namespace, name: metadata.name }, { propagationPolicy: 'Background' });
  for (const { metadata } of pods())
    cluster.objects.delete({ kind: 'Pod', namespace, name: metadata.name }, { gracePeriodSeconds: 0 });
  await eventually(
    cluster,
    ['Pod', 'ReplicaSet', 'ControllerRevision'],
    () =>
      pods().length + cluster.objects.list('ReplicaSet').length + cluster.objects.list('ControllerRevision').length ===
      0,
  );
});
afterAll(async () => {
  kubelet.stop();
  await cluster.stop();
});

describe('a Deployment', () => {
  const rolledOut = (name: string) =>
    eventually(cluster, ['Deployment'], () => {
      const deployment = get<Deployment>('Deployment', name);
      const { status, metadata } = deployment ?? {};
      const done =
        status?.observedGeneration === metadata?.generation &&
        status?.updatedReplicas === deployment?.spec.replicas &&
        status?.replicas === status?.updatedReplicas &&
        status?.availableReplicas === status?.replicas;
      return done && status?.conditions?.some(({ reason }) => reason === 'NewReplicaSetAvailable')
        ? deployment
        : undefined;
    });

  it('makes a replica set and says how far it is', async () => {
    cluster.objects.create(workload('Deployment', 'web'));
    const { status, metadata } = await rolledOut('web');
    expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('1');
    expect(status).toMatchObject({ replicas: 3, readyReplicas: 3, availableReplicas: 3, updatedReplicas: 3 });
    expect(status?.conditions?.map(({ type, status: value, reason }) => [type, value, reason])).toEqual([
      ['Available', 'True', 'MinimumReplicasAvailable'],
      ['Progressing', 'True', 'NewReplicaSetAvailable'],
    ]);
    const [set] = cluster.objects.list<ReplicaSet>('ReplicaSet');
    const hash = set?.metadata.labels?.['pod-template-hash'];
    expect(set?.metadata.name).toBe(`web-${hash}`);
    expect(set?.spec.selector).toEqual({ matchLabels: { app: 'a', 'pod-template-hash': hash } });
    expect(pods().every((pod) => pod.metadata.name.startsWith(`web-${hash}-`))).toBe(true);
    expect(messages('web')).toEqual([
      `deployment-controller ScalingReplicaSet: Scaled up replica set web-${hash} from 0 to 3`,
    ]);
    expect(messages(`web-${hash}`)).toHaveLength(3);
  });

  it('never has more or fewer pods than a rolling update may, and keeps the old revision', async () => {
    cluster.objects.create(
      workload('Deployment', 'roll', { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } } }),
    );
    await rolledOut('roll');
    const seen: [total: number, ready: number][] = [];
    const stop = cluster.objects.watch('Pod', () => {
      const alive = pods().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      seen.push([alive.length, alive.filter(({ status }) => status?.phase === 'Running').length]);
    });
    cluster.objects.patch({ kind: 'Deployment', name: 'roll' }, { spec: { template: template('example.com/c:2') } });
    const { metadata } = await rolledOut('roll');
    stop();
    expect(Math.max(...seen.map(([total]) => total))).toBe(4);
    expect(Math.min(...seen.map(([, ready]) => ready))).toBe(3);
    expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2');
    const sizes = cluster.objects
      .list<ReplicaSet>('ReplicaSet')
      .map(({ spec }) => spec.replicas ?? 0)
      .sort((a, b) => a - b);
    expect(sizes).toEqual([0, 3]);
    // Back to the first template: its replica set becomes the newest revision, as `rollout undo` does.
    cluster.objects.patch({ kind: 'Deployment', name: 'roll' }, { spec: { template: template() } });
    const undone = await rolledOut('roll');
    expect(undone.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('3');
    const current = cluster.objects.list<ReplicaSet>('ReplicaSet').find(({ spec }) => spec.replicas === 3);
    expect(current?.metadata.annotations?.['deployment.kubernetes.io/revision-history']).toBe('1');
  });

  it('starts no new pod of a Recreate rollout before the old ones are gone', async () => {
    cluster.objects.create(workload('Deployment', 'again', { strategy: { type: 'Recreate' } }));
    await rolledOut('again');
    const mixed: string[][] = [];
    const stop = cluster.objects.watch('Pod', () => {
      const images = [...new Set(pods().map(({ spec }) => spec.containers[0]?.image ?? ''))];
      if (images.length > 1) mixed.push(images);
    });
    cluster.objects.patch({ kind: 'Deployment', name: 'again' }, { spec: { template: template('example.com/c:2') } });
    await rolledOut('again');
    stop();
    expect(mixed).toEqual([]);
  });

  it('does not roll out while it is paused, but scales', async () => {
    cluster.objects.create(workload('Deployment', 'still'));
    await rolledOut('still');
    cluster.objects.patch(
      { kind: 'Deployment', name: 'still' },
      { spec: { paused: true, replicas: 5, template: template('example.com/c:2') } },
    );
    await eventually(
      cluster,
      ['Deployment'],
      () => get<Deployment>('Deployment', 'still')?.status?.readyReplicas === 5,
    );
    expect(cluster.objects.list('ReplicaSet')).toHaveLength(1);
    const reason = get<Deployment>('Deployment', 'still')?.status?.conditions?.find(
      ({ type }) => type === 'Progressing',
    )?.reason;
    expect(reason).toBe('DeploymentPaused');
    cluster.objects.patch({ kind: 'Deployment', name: 'still' }, { spec: { paused: false } });
    await rolledOut('still');
    expect(cluster.objects.list('ReplicaSet')).toHaveLength(2);
  });

  it('forgets revisions beyond its history limit', async () => {
    cluster.objects.create(workload('Deployment', 'brief', { replicas: 1, revisionHistoryLimit: 1 }));
    for (const version of [2, 3, 4]) {
      await rolledOut('brief');
      cluster.objects.patch(
        { kind: 'Deployment', name: 'brief' },
        { spec: { template: template(`example.com/c:${version}`) } },
      );
    }
    await rolledOut('brief');
    await eventually(cluster, ['ReplicaSet'], () => cluster.objects.list('ReplicaSet').length === 2);
  });
});

describe('a ReplicaSet', () => {
  it('replaces a pod that is deleted, adopts one that fits and releases one that does not any more', async () => {
    cluster.objects.create({ kind: 'Pod', metadata: { name: 'stray', labels: { app: 'a' } }, spec: template().spec });
    cluster.objects.create(workload('ReplicaSet', 'set'));
    await eventually(cluster, ['ReplicaSet'], () => get<ReplicaSet>('ReplicaSet', 'set')?.status?.readyReplicas === 3);
    expect(get<Pod>('Pod', 'stray')?.metadata.ownerReferences?.[0]).toMatchObject({
      kind: 'ReplicaSet',
      name: 'set',
      controller: true,
    });
    const made = pods().find(({ metadata }) => metadata.name !== 'stray')?.metadata.name ?? '';
    cluster.objects.delete({ kind: 'Pod', name: made });
    cluster.objects.patch({ kind: 'Pod', name: 'stray' }, { metadata: { labels: { app: 'other' } } });
    await eventually(cluster, ['ReplicaSet', 'Pod'], () => {
      const owned = pods().filter(({ metadata }) => metadata.ownerReferences !== undefined);
      return (
        get('Pod', made) === undefined &&
        owned.length === 3 &&
        get<ReplicaSet>('ReplicaSet', 'set')?.status?.readyReplicas === 3
      );
    });
    expect(get<Pod>('Pod', 'stray')?.metadata.ownerReferences).toBeUndefined();
  });

  it('deletes pods that do not run first', async () => {
    unready = (pod) =>
      pods().filter(({ status }) => status?.phase === 'Running').length >= 2 && pod.status?.phase === 'Pending';
    cluster.objects.create(workload('ReplicaSet', 'down'));
    await eventually(cluster, ['ReplicaSet'], () => get<ReplicaSet>('ReplicaSet', 'down')?.status?.readyReplicas === 2);
    cluster.objects.patch({ kind: 'ReplicaSet', name: 'down' }, { spec: { replicas: 2 } });
    await eventually(cluster, ['ReplicaSet', 'Pod'], () => pods().length === 2);
    expect(pods().map(({ status }) => status?.phase)).toEqual(['Running', 'Running']);
  });

  it('leaves its pods behind as orphans when it is told to', async () => {
    cluster.objects.create(workload('ReplicaSet', 'gone'));
    await eventually(cluster, ['ReplicaSet'], () => get<ReplicaSet>('ReplicaSet', 'gone')?.status?.readyReplicas === 3);
    cluster.objects.delete({ kind: 'ReplicaSet', name: 'gone' }, { propagationPolicy: 'Orphan' });
    await eventually(cluster, ['ReplicaSet', 'Pod'], () => get('ReplicaSet', 'gone') === undefined);
    expect(pods().map(({ metadata }) => metadata.ownerReferences)).toEqual([undefined, undefined, undefined]);
  });

  it('goes after its pods when it is deleted in the foreground', async () => {
    cluster.objects.create(workload('ReplicaSet', 'last'));
    await eventually(cluster, ['ReplicaSet'], () => get<ReplicaSet>('ReplicaSet', 'last')?.status?.readyReplicas === 3);
    const order: string[] = [];
    const stops = ['Pod', 'ReplicaSet'].map((kind) =>
      cluster.objects.watch(kind, ({ type }) => void (type === 'DELETED' && order.push(kind))),
    );
    cluster.objects.delete({ kind: 'ReplicaSet', name: 'last' }, { propagationPolicy: 'Foreground' });
    await eventually(cluster, ['ReplicaSet'], () => get('ReplicaSet', 'last') === undefined);
    for (const stop of stops) stop();
    expect(order).toEqual(['Pod', 'Pod', 'Pod', 'ReplicaSet']);
  });
});

describe('a ReplicationController', () => {
  it('keeps its pods by a plain selector', async () => {
    cluster.objects.create({
      kind: 'ReplicationController',
      metadata: { name: 'old' },
      spec: { replicas: 2, selector: { app: 'a' }, template: template() },
    });
    await eventually(
      cluster,
      ['ReplicationController'],
      () => get<ReplicaSet>('ReplicationController', 'old')?.status?.readyReplicas === 2,
    );
  });
});

describe('a StatefulSet', () => {
  const ready = (name: string, count: number) =>
    eventually(cluster, ['StatefulSet', 'Pod'], () => {
      const { status } = get<StatefulSet>('StatefulSet', name) ?? {};
      return status?.readyReplicas === count && status.replicas === count;
    });

  it('starts its pods one after the other, gives each an identity and a claim, and ends them in reverse', async () => {
    const order: string[] = [];
    const stop = cluster.objects.watch('Pod', ({ type, object }) => {
      if (type !== 'MODIFIED') order.push(`${type} ${object.metadata.name}`);
    });
    const claims = [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ];
    for (const i of [0, 1, 2])
      cluster.objects.create({
        kind: 'PersistentVolume',
        metadata: { name: `volume-${i}` },
        spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp' } },
      });
    cluster.objects.create(workload('StatefulSet', 'db', { serviceName: 'db', volumeClaimTemplates: claims }));
    await ready('db', 3);
    expect(order).toEqual(['ADDED db-0', 'ADDED db-1', 'ADDED db-2']);
    const pod = get<Pod>('Pod', 'db-1');
    expect(pod?.spec).toMatchObject({ hostname: 'db-1', subdomain: 'db' });
    expect(pod?.spec.volumes?.[0]).toEqual({ name: 'data', persistentVolumeClaim: { claimName: 'data-db-1' } });
    expect(pod?.metadata.labels).toMatchObject({
      'statefulset.kubernetes.io/pod-name': 'db-1',
      'apps.kubernetes.io/pod-index': '1',
    });
    expect(
      cluster.objects.get<{ status: { phase: string } }>({ kind: 'PersistentVolumeClaim', name: 'data-db-1' }).status
        .phase,
    ).toBe('Bound');
    order.length = 0;
    cluster.objects.patch({ kind: 'StatefulSet', name: 'db' }, { spec: { replicas: 1 } });
    await ready('db', 1);
    stop();
    expect(order).toEqual(['DELETED db-2', 'DELETED db-1']);
  });

  it('updates from the highest ordinal down to its partition', async () => {
    cluster.objects.create(workload('StatefulSet', 'part', { updateStrategy: { rollingUpdate: { partition: 1 } } }));
    await ready('part', 3);
    const before = get<StatefulSet>('StatefulSet', 'part')?.status?.currentRevision;
    cluster.objects.patch({ kind: 'StatefulSet', name: 'part' }, { spec: { template: template('example.com/c:2') } });
    await eventually(cluster, ['StatefulSet', 'Pod'], () => {
      const { status } = get<StatefulSet>('StatefulSet', 'part') ?? {};
      return status?.updatedReplicas === 2 && status.readyReplicas === 3;
    });
    expect(['part-0', 'part-1', 'part-2'].map((name) => get<Pod>('Pod', name)?.spec.containers[0]?.image)).toEqual([
      'example.com/c:1',
      'example.com/c:2',
      'example.com/c:2',
    ]);
    expect(get<StatefulSet>('StatefulSet', 'part')?.status).toMatchObject({
      currentRevision: before,
      currentReplicas: 1,
    });
    cluster.objects.patch(
      { kind: 'StatefulSet', name: 'part' },
      { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } },
    );
    await eventually(cluster, ['StatefulSet'], () => {
      const { status } = get<StatefulSet>('StatefulSet', 'part') ?? {};
      return status?.currentRevision === status?.updateRevision && status?.currentReplicas === 3;
    });
    expect(cluster.objects.list<ControllerRevision>('ControllerRevision')).toHaveLength(2);
  });

  it('starts all at once when it may', async () => {
    unready = () => true;
    cluster.objects.create(workload('StatefulSet', 'wide', { podManagementPolicy: 'Parallel' }));
    await eventually(cluster, ['Pod'], () => pods().length === 3);
  });
});

describe('a DaemonSet', () => {
  it('has a pod on every node that it tolerates, and replaces them by its strategy', async () => {
    const second = new FakeKubelet(cluster, 'node-b');
    cluster.objects.patch({ kind: 'Node', name: 'node-b' }, { metadata: { labels: { disk: 'fast' } } });
    const { replicas: _replicas, ...spec } = workload('DaemonSet', 'agent').spec;
    cluster.objects.create({ ...workload('DaemonSet', 'agent'), spec });
    const ready = (count: number) =>
      eventually(cluster, ['DaemonSet', 'Pod'], () => {
        const { status, metadata } = get<DaemonSet>('DaemonSet', 'agent') ?? {};
        return (
          status?.numberAvailable === count &&
          status.updatedNumberScheduled === count &&
          status.observedGeneration === metadata?.generation
        );
      });
    await ready(2);
    expect(
      pods()
        .map(({ spec: { nodeName } }) => nodeName ?? '')
        .sort((a, b) => a.localeCompare(b)),
    ).toEqual(['node-a', 'node-b']);
    expect(pods()[0]?.spec.tolerations).toContainEqual({
      key: 'node.kubernetes.io/unschedulable',
      operator: 'Exists',
      effect: 'NoSchedule',
    });
    cluster.objects.patch({ kind: 'DaemonSet', name: 'agent' }, { spec: { template: template('example.com/c:2') } });
    await eventually(
      cluster,
      ['Pod'],
      () =>
        pods().length === 2 && pods().every(({ spec: { containers } }) => containers[0]?.image === 'example.com/c:2'),
    );
    await ready(2);
    cluster.objects.patch(
      { kind: 'DaemonSet', name: 'agent' },
      { spec: { template: template('example.com/c:2', { nodeSelector: { disk: 'fast' } }) } },
    );
    await eventually(cluster, ['Pod'], () => pods().length === 1 && pods()[0]?.spec.nodeName === 'node-b');
    await ready(1);
    second.stop();
    cluster.objects.delete({ kind: 'DaemonSet', name: 'agent' }, { propagationPolicy: 'Background' });
    for (const { metadata } of pods())
      cluster.objects.delete({ kind: 'Pod', name: metadata.name }, { gracePeriodSeconds: 0 });
    cluster.objects.delete({ kind: 'Node', name: 'node-b' });
  });
});
