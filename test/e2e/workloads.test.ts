import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import { beforeAll, describe, expect, it } from '@jest/globals';

import type { ContainerStateTerminated, ContainerStatus, Pod } from '../../src/core/objects.ts';
import { cluster } from './cluster.ts';
import { isReady, sh, testNode, untilTerminated } from './test-node.ts';

const node = testNode('workloads', { env: { SECRET_OF_THE_DAEMON: 'must not be seen' } });

const never = { restartPolicy: 'Never' } as const;
const volumes = [{ name: 'work', emptyDir: {} }];
const volumeMounts = [{ name: 'work', mountPath: '/work' }];
const work = '$CONTAINER_SANDBOX_MOUNT_POINT/work';

const containerOf = (pod: Pod | undefined, name = 'main'): ContainerStatus | undefined =>
  [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])].find(
    (c) => c.name === name,
  );
const podsOf = (app: string) => node.pods.all().filter(({ metadata }) => metadata.labels?.['app'] === app);

/** What takes long begins first; each is looked at by the test of its name. */
beforeAll(async () => {
  const missing = (name: string) => [
    { name: 'WORD', valueFrom: { [`${name}KeyRef`]: { name: `late-${name.toLowerCase()}`, key: 'word' } } },
  ];
  await node.apply(
    node.pod('crash-loop', { command: sh('echo I crash; exit 3') }),
    node.pod('late-configmap', { command: sh('echo $WORD'), env: missing('configMap') }, never),
    node.pod('late-secret', { command: sh('echo $WORD'), env: missing('secret') }, never),
    node.pod(
      'late-envfrom',
      { command: sh('echo $word'), envFrom: [{ configMapRef: { name: 'late-configmap' } }] },
      never,
    ),
  );
});

describe('a Deployment', () => {
  const deployment = (replicas: number, version: string) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web', version } },
        spec: node.podSpec({ command: sh(`echo version ${version}; ${untilTerminated()}`) }),
      },
    },
  });
  const ready = (version: string, count: number) =>
    node.pods.until(() => {
      const all = podsOf('web');
      const right = all.filter((pod) => pod.metadata.labels?.['version'] === version && isReady(pod));
      return right.length === count && all.length === count;
    }, `${count} pods of version ${version}`);

  it('becomes Available with three replicas', async () => {
    await node.apply(deployment(3, 'one'));
    await node.kubectl(['wait', '--for=condition=Available', 'deployment/web', '--timeout=30s']);
    await ready('one', 3);
    for (const pod of podsOf('web')) {
      expect(pod.spec.nodeName).toBe(node.name);
      expect(pod.status).toMatchObject({ phase: 'Running', hostIP: cluster.nodeIP, podIP: cluster.nodeIP });
    }
    expect(await node.kubectl(['get', 'deployment', 'web', '--no-headers'])).toMatch(/^web\s+3\/3\s+3\s+3\s/);
  });

  it('is scaled up and down', async () => {
    await node.kubectl(['scale', 'deployment/web', '--replicas=5']);
    await ready('one', 5);
    await node.kubectl(['scale', 'deployment/web', '--replicas=2']);
    await ready('one', 2);
  });

  it('is updated pod by pod', async () => {
    await node.apply(deployment(2, 'two'));
    await node.kubectl(['rollout', 'status', 'deployment/web', '--timeout=30s']);
    await ready('two', 2);
    expect(await node.kubectl(['logs', 'deployment/web'])).toBe('version two\n');
  });

  it('is deleted with its pods', async () => {
    await node.kubectl(['delete', 'deployment', 'web']);
    await node.pods.until(() => podsOf('web').length === 0, 'no pod of the deployment');
  });
});

describe('a Job', () => {
  it('completes', async () => {
    const template = {
      metadata: { labels: { app: 'job' } },
      spec: node.podSpec({ command: sh('echo done $JOB_COMPLETION_INDEX') }, never),
    };
    const spec = { completions: 3, parallelism: 2, completionMode: 'Indexed', template };
    await node.apply({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'job' }, spec });
    await node.kubectl(['wait', '--for=condition=Complete', 'job/job', '--timeout=30s']);
    const logs = await node.kubectl(['logs', '--selector=app=job']);
    expect(logs.trim().split('\n').sort()).toEqual(['done 0', 'done 1', 'done 2']);
  });
});

describe('the containers of a pod', () => {
  it('end the pod as Failed with their exit code when they are never restarted', async () => {
    await node.apply(node.pod('fails', { command: sh('exit 7') }, never));
    const pod = await node.podPhase('fails', 'Failed');
    expect(containerOf(pod)).toMatchObject({
      restartCount: 0,
      ready: false,
      state: {
        terminated: { exitCode: 7, reason: 'Error', containerID: expect.stringMatching(/^process:\/\/[0-9a-f]{64}$/) },
      },
    });
    const row = await node.kubectl(['get', 'pod', 'fails', '--no-headers']);
    expect(row).toMatch(/^fails\s+0\/1\s+Error\s+0\s/);
  });

  it('are restarted on failure until they succeed', async () => {
    const command = sh(`echo run >> ${work}/runs; [ $(wc -l < ${work}/runs) -ge 2 ]`);
    await node.apply(node.pod('second-time', { command, volumeMounts }, { restartPolicy: 'OnFailure', volumes }));
    const pod = await node.podPhase('second-time', 'Succeeded');
    expect(containerOf(pod)).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 0, reason: 'Completed' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
  });

  it('begin when the init containers have succeeded one after the other', async () => {
    const init = (name: string, script: string) => ({ name, image: 'none', command: sh(script), volumeMounts });
    const initContainers = [
      init('first', `sleep 0.3; echo first >> ${work}/order`),
      init('second', `[ -e ${work}/failed ] || { touch ${work}/failed; exit 1; }; echo second >> ${work}/order`),
    ];
    const command = sh(`echo main >> ${work}/order; cat ${work}/order; ${untilTerminated()}`);
    await node.apply(node.pod('ordered', { command, volumeMounts }, { initContainers, volumes }));
    await node.pods.untilObject(
      'ordered',
      (pod) => containerOf(pod, 'first')?.state?.running,
      'runs its first container',
    );
    const before = node.pods.get('ordered');
    expect(before?.status?.conditions).toContainEqual(
      expect.objectContaining({ type: 'Initialized', status: 'False' }),
    );
    expect(containerOf(before)?.state).toEqual({ waiting: { reason: 'PodInitializing' } });

    const pod = await node.podReady('ordered');
    expect(await node.logs('ordered')).toBe('first\nsecond\nmain\n');
    expect(containerOf(pod, 'first')).toMatchObject({
      ready: true,
      restartCount: 0,
      state: { terminated: { exitCode: 0 } },
    });
    expect(containerOf(pod, 'second')).toMatchObject({
      ready: true,
      restartCount: 1,
      state: { terminated: { exitCode: 0 } },
    });
    expect(pod.status?.conditions).toContainEqual(expect.objectContaining({ type: 'Initialized', status: 'True' }));
    await node.kubectl(['delete', 'pod', 'ordered', '--wait=false']);
  });

  it('run side by side, and one that has ended leaves the others', async () => {
    const containers = [{ command: sh(untilTerminated()) }, { command: sh('exit 0') }];
    await node.apply(node.pod('pair', containers, never));
    const pod = await node.pods.untilObject(
      'pair',
      (it) => containerOf(it, 'c1')?.state?.terminated,
      'has one that ended',
    );
    expect(pod.status?.phase).toBe('Running');
    expect(containerOf(pod)).toMatchObject({ ready: true, state: { running: expect.anything() } });
    expect(pod.status?.conditions).toContainEqual(
      expect.objectContaining({
        type: 'Ready',
        status: 'False',
        reason: 'ContainersNotReady',
        message: 'containers with unready status: [c1]',
      }),
    );
    expect(await node.kubectl(['get', 'pod', 'pair', '--no-headers'])).toMatch(/^pair\s+1\/2\s+NotReady\s+0\s/);
    await node.kubectl(['delete', 'pod', 'pair', '--wait=false']);
  });

  it('that name no program, or one that is not there, say so and stop no other pod', async () => {
    await node.apply(node.pod('nameless', {}), node.pod('absent', { command: ['/no/such/program'] }));
    const nameless = await node.pods.untilObject(
      'nameless',
      (pod) => containerOf(pod)?.state?.waiting?.message,
      'says why',
    );
    expect(containerOf(nameless)?.state?.waiting).toEqual({
      reason: 'CreateContainerError',
      message: expect.stringMatching(/names no program/),
    });
    await node.event('nameless', 'Failed', /names no program/);
    const absent = await node.pods.untilObject(
      'absent',
      (pod) => containerOf(pod)?.state?.waiting?.message,
      'says why',
    );
    expect(containerOf(absent)?.state?.waiting?.message).toMatch(/no such file or directory/);
    await node.event('absent', 'Failed', /no such file or directory/);
    await node.kubectl(['delete', 'pod', 'nameless', 'absent', '--wait=false']);
  });
});

describe('the environment of a container', () => {
  it('is what the pod says, plus PATH, HOME and HOSTNAME, and nothing of the daemon', async () => {
    const data = { shared: 'from the map', 'with-dash': '1' };
    await node.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'keys' }, stringData: { password: 'p4ss' } },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'my-svc' },
        spec: { ports: [{ name: 'web', port: 8080 }] },
      },
    );
    const service = JSON.parse(await node.kubectl(['get', 'service', 'my-svc', '-o', 'json'])) as {
      spec: { clusterIP: string };
    };
    const { clusterIP } = service.spec;
    const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
    const resource = (name: string, divisor?: string) => ({
      valueFrom: { resourceFieldRef: { resource: name, ...(divisor === undefined ? {} : { divisor }) } },
    });
    const env = [
      { name: 'LITERAL', value: 'plain' },
      { name: 'COMPOSED', value: '$(LITERAL)-$(MAP_shared)-$$(LITERAL)-$(UNKNOWN)' },
      { name: 'FROM_MAP', valueFrom: { configMapKeyRef: { name: 'settings', key: 'shared' } } },
      { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'keys', key: 'password' } } },
      { name: 'OPTIONAL', valueFrom: { secretKeyRef: { name: 'nowhere', key: 'x', optional: true } } },
      { name: 'POD', ...field('metadata.name') },
      { name: 'NAMESPACE', ...field('metadata.namespace') },
      { name: 'UID', ...field('metadata.uid') },
      { name: 'LABEL', ...field("metadata.labels['app']") },
      { name: 'NODE', ...field('spec.nodeName') },
      { name: 'ACCOUNT', ...field('spec.serviceAccountName') },
      { name: 'POD_IP', ...field('status.podIP') },
      { name: 'HOST_IP', ...field('status.hostIP') },
      { name: 'CPU_LIMIT', ...resource('limits.cpu', '1m') },
      { name: 'MEMORY_REQUEST', ...resource('requests.memory', '1Mi') },
    ];
    const resources = { limits: { cpu: '250m' }, requests: { memory: '48Mi', cpu: '10m' } };
    const envFrom = [{ prefix: 'MAP_', configMapRef: { name: 'settings' } }, { secretRef: { name: 'keys' } }];
    await node.apply(node.pod('environment', { command: ['/usr/bin/env'], env, envFrom, resources }, never));
    const pod = await node.podPhase('environment', 'Succeeded');
    const lines = (await node.logs('environment')).trimEnd().split('\n');
    const seen = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );

    const {
      CONTAINER_SANDBOX_MOUNT_POINT: mountPoint,
      KUBERNETES_SERVICE_HOST: host,
      KUBERNETES_SERVICE_PORT: port,
      ...rest
    } = seen;
    expect(mountPoint).toMatch(/^\/.*\/mounts\/[0-9a-f]{64}$/);
    const own = Object.fromEntries(Object.entries(rest).filter(([name]) => !name.startsWith('KUBERNETES_')));
    expect(own).toEqual({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: expect.stringMatching(/^\//),
      HOSTNAME: 'environment',
      LITERAL: 'plain',
      COMPOSED: 'plain-from the map-$(LITERAL)-$(UNKNOWN)',
      FROM_MAP: 'from the map',
      FROM_SECRET: 'p4ss',
      POD: 'environment',
      NAMESPACE: node.namespace,
      UID: pod.metadata.uid,
      LABEL: 'environment',
      NODE: node.name,
      ACCOUNT: 'default',
      POD_IP: cluster.nodeIP,
      HOST_IP: cluster.nodeIP,
      CPU_LIMIT: '250',
      MEMORY_REQUEST: '48',
      MAP_shared: 'from the map',
      'MAP_with-dash': '1',
      password: 'p4ss',
      MY_SVC_SERVICE_HOST: clusterIP,
      MY_SVC_SERVICE_PORT: '8080',
      MY_SVC_SERVICE_PORT_WEB: '8080',
      MY_SVC_PORT: `tcp://${clusterIP}:8080`,
      MY_SVC_PORT_8080_TCP: `tcp://${clusterIP}:8080`,
      MY_SVC_PORT_8080_TCP_PROTO: 'tcp',
      MY_SVC_PORT_8080_TCP_PORT: '8080',
      MY_SVC_PORT_8080_TCP_ADDR: clusterIP,
    });
    const server = new URL(
      await node.kubectl(['config', 'view', '--minify', '-o', 'jsonpath={.clusters[0].cluster.server}']),
    );
    expect([host, port]).toEqual([server.hostname, server.port || '443']);
  });

  it('is what $(VAR) in command and args stands for, and the working directory is the given one', async () => {
    const container = {
      command: ['/bin/sh', '-c', 'pwd; echo "$0" "$@"', '$(WORD)'],
      args: ['$(WORD)s', '$$(WORD)', '$(NO_WORD)'],
      env: [{ name: 'WORD', value: 'duck' }],
      workingDir: '/usr',
    };
    await node.apply(node.pod('expanded', container, never));
    await node.podPhase('expanded', 'Succeeded');
    expect(await node.logs('expanded')).toBe('/usr\nduck ducks $(WORD) $(NO_WORD)\n');
  });

  it('leads an in-cluster client to the API server', async () => {
    const script = `
      import { readFileSync } from 'node:fs';
      import { get } from 'node:https';
      const { CONTAINER_SANDBOX_MOUNT_POINT: root, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
      const file = (name) => readFileSync(root + '/var/run/secrets/kubernetes.io/serviceaccount/' + name, 'utf8');
      const headers = { authorization: 'Bearer ' + file('token') };
      const path = '/apis/authorization.k8s.io/v1';
      get({ host, port, path, headers, ca: file('ca.crt') }, (res) => {
        console.log(res.statusCode, file('namespace'));
        res.resume();
      });`;
    const command = [process.execPath, '--input-type=module', '-e', script];
    await node.apply(node.pod('client', { command }, never));
    await node.podPhase('client', 'Succeeded');
    expect(await node.logs('client')).toBe(`200 ${node.namespace}\n`);
  });
});

describe('the user of a container', () => {
  it('is that of its security context', async () => {
    if (process.getuid?.() !== 0) return;
    const securityContext = { runAsUser: 12_345, runAsGroup: 23_456, fsGroup: 34_567 };
    const container = {
      command: sh('id -u; id -g; id -G; touch $CONTAINER_SANDBOX_MOUNT_POINT/work/mine && echo can write'),
      volumeMounts,
    };
    await node.apply(node.pod('somebody', container, { ...never, securityContext, volumes }));
    await node.podPhase('somebody', 'Succeeded', 5_000);
    expect(await node.logs('somebody')).toBe('12345\n23456\n23456 34567\ncan write\n');
  });

  it('cannot be root where that is forbidden', async () => {
    await node.apply(
      node.pod('no-root', { command: sh('true') }, { securityContext: { runAsNonRoot: true, runAsUser: 0 } }),
    );
    const pod = await node.pods.untilObject('no-root', (it) => containerOf(it)?.state?.waiting?.message, 'says why');
    expect(containerOf(pod)?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: expect.stringMatching(
        /^container has runAsNonRoot and image will run as root \(pod: "no-root_.*, container: main\)$/,
      ),
    });
    await node.kubectl(['delete', 'pod', 'no-root', '--wait=false']);
  });
});

describe('ports', () => {
  it('of the host are one pod’s only: the second fails admission', async () => {
    const ports = [{ containerPort: 9, hostPort: 40_123 }];
    const holder = node.pod('holder', { command: sh(untilTerminated()), ports }, { nodeName: node.name });
    await node.apply(holder);
    await node.podReady('holder');
    await node.apply(node.pod('late-comer', { command: sh('exit 0'), ports }, { nodeName: node.name }));
    const pod = await node.podPhase('late-comer', 'Failed');
    expect(pod.status).toMatchObject({
      reason: 'NodePorts',
      message: expect.stringMatching(/node\(s\) didn't have free ports for the requested pod ports/),
    });
    await node.event('late-comer', 'NodePorts');
    await node.kubectl(['delete', 'pod', 'holder', 'late-comer', '--wait=false']);
  });

  it('that another pod listens on are told in a Warning that names it', async () => {
    const containerPort = await freePort();
    const listen = `require('node:net').createServer().listen(${containerPort}, () => console.log('listening'))`;
    const container = { command: [process.execPath, '-e', listen], ports: [{ containerPort }] };
    await node.apply(node.pod('listens', container));
    await node.logged('listens', /listening/);
    await node.apply(node.pod('rival', container));
    const event = await node.event('rival', 'PortInUse');
    expect(event.type).toBe('Warning');
    expect(event.message).toContain(`Port ${containerPort} of container main is held by pod ${node.namespace}/listens`);
    await node.kubectl(['delete', 'pod', 'listens', 'rival', '--wait=false']);
  });
});

describe('a pod that refers to what does not exist', () => {
  it.each(['late-configmap', 'late-secret', 'late-envfrom'])('waits, and says for what: %s', async (name) => {
    const pod = await node.pods.untilObject(
      name,
      (it) => containerOf(it)?.state?.waiting?.message,
      'says why it waits',
    );
    const kind = name === 'late-secret' ? 'secret' : 'configmap';
    expect(containerOf(pod)?.state?.waiting).toEqual({
      reason: 'CreateContainerConfigError',
      message: `${kind} "late-${kind}" not found`,
    });
    expect(pod.status?.phase).toBe('Pending');
    await node.event(name, 'Failed', /not found/);
  });

  it('starts by itself when it appears', async () => {
    await node.apply(
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late-configmap' }, data: { word: 'mapped' } },
      { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'late-secret' }, stringData: { word: 'hidden' } },
    );
    await Promise.all(
      ['late-configmap', 'late-secret', 'late-envfrom'].map((name) => node.podPhase(name, 'Succeeded')),
    );
    expect(await node.logs('late-configmap')).toBe('mapped\n');
    expect(await node.logs('late-secret')).toBe('hidden\n');
    expect(await node.logs('late-envfrom')).toBe('mapped\n');
  });
});

describe('a container that crashes again and again', () => {
  it('is restarted at once, then after 10 s, then after 20 s, and shows CrashLoopBackOff', async () => {
    await node.pods.untilObject(
      'crash-loop',
      (pod) => (containerOf(pod)?.restartCount ?? 0) >= 3,
      'has restarted three times',
      60_000,
    );
    const states = node.pods.history('crash-loop').map((pod) => containerOf(pod));
    expect([...new Set(states.map((status) => status?.restartCount ?? 0))]).toEqual([0, 1, 2, 3]);

    const ends = new Map<string, ContainerStateTerminated>();
    for (const status of states) {
      for (const end of [status?.state?.terminated, status?.lastState?.terminated])
        if (end) ends.set(end.containerID!, end);
    }
    const [first, second, third] = [...ends.values()];
    expect([first, second, third].map((end) => [end?.exitCode, end?.reason])).toEqual(
      Array.from({ length: 3 }, () => [3, 'Error']),
    );
    const gap = (from: ContainerStateTerminated | undefined, to: { startedAt?: string } | undefined) =>
      (Date.parse(to!.startedAt!) - Date.parse(from!.finishedAt!)) / 1000;
    // Times have a second's resolution, and what is late is late by a part of the back-off.
    expect(gap(first, second)).toBeLessThanOrEqual(2);
    expect(gap(second, third)).toBeGreaterThanOrEqual(9);
    expect(gap(second, third)).toBeLessThanOrEqual(15);
    const fourth = states
      .map((status) => status?.restartCount === 3 && (status.state?.running ?? status.state?.terminated))
      .find(Boolean);
    const lastGap = gap(third, fourth || undefined);
    expect(lastGap).toBeGreaterThanOrEqual(19);
    expect(lastGap).toBeLessThanOrEqual(27);

    const waiting = states
      .map((status) => status?.state?.waiting)
      .filter((state) => state?.reason === 'CrashLoopBackOff');
    const uid = node.pods.get('crash-loop')?.metadata.uid;
    expect(waiting.map((state) => state?.message)).toEqual(
      expect.arrayContaining([
        `back-off 10s restarting failed container=main pod=crash-loop_${node.namespace}(${uid})`,
        `back-off 20s restarting failed container=main pod=crash-loop_${node.namespace}(${uid})`,
      ]),
    );
    const inBackOff = states.find((status) => status?.state?.waiting?.message?.startsWith('back-off 20s'));
    expect(inBackOff).toMatchObject({
      ready: false,
      restartCount: 2,
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
    });
    await node.event('crash-loop', 'BackOff', /Back-off restarting failed container main in pod/);
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
