/**
 * The chart, by real helm against a real API server, and its permissions, by running the daemon as the chart's own
 * account. Needs a control plane of its own, whose audit log says what was asked.
 *
 * `UPDATE_GOLDEN=1 npm run test:e2e -- chart` writes test/golden/chart/default.yaml anew.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { V1Deployment } from '@kubernetes/client-node';
import { Agent, fetch } from 'undici';

import type { ConfigMap, Container, KubeEvent, KubeNode, Pod, Wire } from '../../src/core/objects.ts';
import { neededPermissions } from '../../src/kube/permissions.ts';
import { auditOf, type Rule, unusedOf } from './chart-audit.ts';
import { chart, helm, type HelmOptions, type Manifest, manifests, only, tryHelm } from './chart-helm.ts';
import { asInChart, chartContainer } from './chart-pod.ts';
import { cluster } from './cluster.ts';
import { type ControlPlane, startControlPlane } from './control-plane/index.ts';
import { DaemonProcess, ScratchDirectory } from './daemon-process.ts';
import { eventually } from './eventually.ts';
import { kubectl, tryKubectl } from './kubectl.ts';
import { shimProcesses } from './leftovers.ts';
import { ObjectWatch } from './object-watch.ts';
import { isReady, sh, untilTerminated } from './test-node.ts';

const golden = fileURLToPath(new URL('../golden/chart/default.yaml', import.meta.url));
const release = 'laptop';
const namespace = 'anylet-system';
const nodeName = 'laptop-anylet';

const scratch = new ScratchDirectory();
afterAll(() => scratch.remove());

async function render(...args: readonly string[]): Promise<Manifest[]> {
  const text = await helm(['template', release, chart, '--namespace', namespace, ...args], { home: scratch.path });
  return manifests(text);
}

function set(...values: readonly string[]): string[] {
  return values.flatMap((value) => ['--set', value]);
}

describe('the templates', () => {
  it('pass a strict lint', async () => {
    const { code, stdout } = await tryHelm(['lint', '--strict', chart], { home: scratch.path });
    expect([code, stdout]).toEqual([0, expect.stringContaining('0 chart(s) failed')]);
  });

  it('render the defaults as in the golden file', async () => {
    const text = await helm(['template', release, chart, '--namespace', namespace], { home: scratch.path });
    if (process.env['UPDATE_GOLDEN']) await writeFile(golden, text);
    expect(text).toBe(await readFile(golden, 'utf8'));
  });

  it('take a digest before a tag, and a tag before the version of the chart', async () => {
    const image = async (...values: string[]) =>
      chartContainer(only(await render(...set(...values)), 'Deployment')).image;
    const digest = `sha256:${'0a'.repeat(32)}`;
    expect(await image('image.repository=example.test/anylet', `image.digest=${digest}`, 'image.tag=x')).toBe(
      `example.test/anylet@${digest}`,
    );
    expect(await image('image.tag=x')).toBe('anylet:x');
    expect(await image()).toBe('anylet:0.1.0');
  });

  it('bind an account of somebody else, which must be named', async () => {
    const objects = await render(...set('serviceAccount.create=false', 'serviceAccount.name=mine'));
    expect(objects.map(({ kind }) => kind)).not.toContain('ServiceAccount');
    for (const { subjects } of objects.filter(({ kind }) => kind.endsWith('Binding')))
      expect(subjects).toEqual([{ kind: 'ServiceAccount', name: 'mine', namespace }]);
    const { spec } = only<Wire<V1Deployment>>(objects, 'Deployment');
    expect(spec?.template.spec?.serviceAccountName).toBe('mine');

    const unnamed = await tryHelm(['template', release, chart, ...set('serviceAccount.create=false')], {
      home: scratch.path,
    });
    expect([unnamed.code, unnamed.stderr]).toEqual([1, expect.stringContaining('serviceAccount.name is needed')]);
  });

  it('leave the permissions to others', async () => {
    const kinds = (await render(...set('rbac.create=false'))).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['ConfigMap', 'Deployment', 'ServiceAccount']);
  });

  it('keep names within 63 characters', async () => {
    const objects = await render(...set(`fullnameOverride=${'long-'.repeat(20)}`));
    const name = 'long-'.repeat(13).slice(0, 63);
    expect(only(objects, 'Deployment').metadata.name).toBe(name);
    expect(only(objects, 'ClusterRole').metadata.name).toBe(`${namespace}:${name}`);
  });

  it('hand the configuration through, and restart the daemon when it changes', async () => {
    const plain = await render();
    const told = await render(...set('config.log.level=debug', 'config.node.labels.zone=a', 'config.provider.name=x'));
    const { data } = only<ConfigMap>(told, 'ConfigMap');
    expect(data?.['anylet.yaml']).toBe('log:\n  level: debug\nnode:\n  labels:\n    zone: a\nprovider:\n  name: x\n');
    const checksum = (objects: Manifest[]) =>
      only<Wire<V1Deployment>>(objects, 'Deployment').spec?.template.metadata?.annotations?.['checksum/config'];
    expect(checksum(told)).not.toBe(checksum(plain));
  });

  it.each([
    ['a value nobody knows', 'replicas=2', "additional properties 'replicas' not allowed"],
    ['a setting nobody knows', 'config.node.lables.a=b', "additional properties 'lables' not allowed"],
    ['a setting of a wrong type', 'config.pods.max=many', "at '/config/pods/max': got string, want integer"],
    ['a setting that is the chart’s', 'config.node.name=x', "at '/config/node/name': false schema"],
    ['a node name that cannot be', 'nodeName=Laptop', "at '/nodeName': 'Laptop' does not match pattern"],
    ['a port that cannot be', 'kubelet.port=70000', "at '/kubelet/port': maximum: got 70,000, want 65,535"],
    ['a digest that is none', 'image.digest=latest', "at '/image/digest': 'latest' does not match pattern"],
  ])('refuse %s', async (_, value, message) => {
    const { code, stderr } = await tryHelm(['template', release, chart, ...set(value)], { home: scratch.path });
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });
});

describe('the release', () => {
  const account = `system:serviceaccount:${namespace}:${nodeName}`;
  let controlPlane: ControlPlane;
  let admin: HelmOptions & { kubeconfig: string };
  let ports: { kubelet: number; healthz: number };
  let daemon: DaemonProcess | undefined;
  const watches: ObjectWatch<never>[] = [];

  beforeAll(async () => {
    controlPlane = await startControlPlane({ auditLog: true });
    admin = { home: scratch.path, kubeconfig: controlPlane.kubeconfigPath };
    ports = await freePorts();
    await kubectl(['create', 'namespace', namespace], admin);
    const restricted = 'pod-security.kubernetes.io/enforce=restricted';
    await kubectl(['label', 'namespace', namespace, restricted], admin);
  }, 120_000);
  afterAll(async () => {
    if (daemon?.isRunning === true) await daemon.stop('SIGKILL');
    await eventually(() => shimProcesses(scratch.path).length === 0, 'the shims to end');
    for (const watch of watches) watch.close();
    await controlPlane?.stop();
  });

  function watch<T extends KubeNode | Pod | KubeEvent>(path: string): ObjectWatch<T> {
    const made = new ObjectWatch<T>(path, admin.kubeconfig);
    watches.push(made as ObjectWatch<never>);
    return made;
  }

  async function read<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await kubectl(['get', ...args, '-o', 'json'], admin)) as T;
  }

  async function tokenOf(serviceAccount: string, within = namespace): Promise<string> {
    return (await kubectl(['create', 'token', serviceAccount, '--namespace', within], admin)).trim();
  }

  const inNamespace = ['--namespace', namespace];
  const values = () => set(`kubelet.port=${ports.kubelet}`, `kubelet.healthzPort=${ports.healthz}`);

  it('is taken by the API server as it stands', async () => {
    const text = await helm(['template', release, chart, ...inNamespace, ...values()], admin);
    await kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], { ...admin, input: text });
    await helm(['install', release, chart, ...inNamespace, ...values()], admin);
    const { status } = await read<{ status: object }>('deployment', nodeName, ...inNamespace);
    expect(status).not.toHaveProperty('conditions', expect.arrayContaining([{ type: 'ReplicaFailure' }]));
  });

  it('makes a pod that the restricted Pod Security Standard lets in', async () => {
    const pods = watch<Pod>(`/api/v1/namespaces/${namespace}/pods`);
    const pod = await pods.until(() => pods.all()[0], 'the pod of the Deployment');
    expect(pod.spec.serviceAccountName).toBe(nodeName);
    const refused = await tryKubectl([...inNamespace, 'run', 'unrestricted', '--image=none'], admin);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('violates PodSecurity "restricted')]);
  });

  it('is upgraded, and refuses wrong values then too', async () => {
    const before = await read<Wire<V1Deployment>>('deployment', nodeName, ...inNamespace);
    const upgrade = ['upgrade', release, chart, ...inNamespace, '--reuse-values'];
    await helm([...upgrade, ...set('config.log.level=debug')], admin);
    const after = await read<Wire<V1Deployment>>('deployment', nodeName, ...inNamespace);
    expect(after.metadata?.generation).toBe((before.metadata?.generation ?? 0) + 1);
    const wrong = await tryHelm([...upgrade, ...set('config.log.level=loud')], admin);
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining("at '/config/log/level'")]);
  });

  it('lets the daemon do all it does, by no permission that it does not use', async () => {
    const work = 'work';
    await kubectl(['create', 'namespace', work], admin);
    await kubectl(['wait', '--for=create', 'serviceaccount/default', 'configmap/kube-root-ca.crt', '-n', work], admin);
    const nodes = watch<KubeNode>(`/api/v1/nodes?fieldSelector=metadata.name=${nodeName}`);
    const pods = watch<Pod>(`/api/v1/namespaces/${work}/pods`);
    const events = watch<KubeEvent>(`/api/v1/namespaces/${work}/events`);

    const options = await asInChart(
      await read('deployment', nodeName, ...inNamespace),
      await read('configmap', nodeName, ...inNamespace),
      {
        podIP: cluster.nodeIP,
        kubeconfig: await controlPlane.serviceAccountKubeconfig(namespace, nodeName),
        scratch,
      },
    );
    daemon = new DaemonProcess(options);
    expect(await daemon.ready()).toBe(ports.kubelet);
    const node = await nodes.untilObject(nodeName, isReady, 'is Ready');
    expect(node.status?.daemonEndpoints?.kubeletEndpoint?.Port).toBe(ports.kubelet);

    const container = chartContainer(await read('deployment', nodeName, ...inNamespace));
    for (const url of probesOf(container, cluster.nodeIP)) {
      const response = await fetch(url);
      expect([url, response.status, await response.text()]).toEqual([url, 200, 'ok']);
    }

    await kubectl(['create', '-f', '-'], { ...admin, input: JSON.stringify(workload(work)) });
    await pods.untilObject('worker', isReady, 'is ready');
    const inWork = ['--namespace', work];
    const { stdout } = await tryKubectl([...inWork, 'logs', 'worker'], admin);
    expect(stdout.toString()).toBe('from-config from-secret system:serviceaccount:work:default\n');
    expect(await kubectl([...inWork, 'exec', 'worker', '--', 'echo', 'done'], admin)).toBe('done\n');
    const about = (pod: string, least: number) => (event: KubeEvent) =>
      event.involvedObject.name === pod && (event.count ?? 1) >= least;
    await events.until(() => events.all().some(about('worker', 1)), 'an event about the worker');
    await events.until(
      () => events.all().some(about('crasher', 2)),
      'an event about the crasher to come again',
      60_000,
    );

    // A caller with a token: whose it is and what they may, only the API server knows.
    await kubectl([...inWork, 'create', 'serviceaccount', 'caller'], admin);
    const token = await tokenOf('caller', work);
    const agent = new Agent({ connect: { rejectUnauthorized: false } });
    const call = async () => {
      const headers = { authorization: `Bearer ${token}` };
      const { status, body } = await fetch(`https://${cluster.nodeIP}:${ports.kubelet}/pods`, {
        headers,
        dispatcher: agent,
      });
      await body?.cancel();
      return status;
    };
    expect(await call()).toBe(403);
    await agent.close();

    // The Node exists now, and its lease: a restart finds both.
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    daemon = new DaemonProcess(options);
    await daemon.ready();
    await kubectl([...inWork, 'delete', 'pods', '--all', '--wait=false', '--grace-period=1'], admin);
    await pods.until(() => pods.all().length === 0, 'the pods are deleted');
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    expect(daemon.stderr).toBe('');

    const asked = await auditOf(controlPlane.auditLogPath!, account, 'anylet/');
    const refused = asked.filter(({ responseStatus }) => responseStatus?.code === 403 || responseStatus?.code === 401);
    expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).toEqual([]);
    const rules = await grantedBy(release);
    expect(unusedOf(rules, asked)).toEqual([]);
    // Nothing was lent to it by another role than those, and what every account may.
    const reasons = new Set(asked.map(({ annotations }) => annotations?.['authorization.k8s.io/reason'] ?? ''));
    const roles = [...reasons].map((reason) => /of (?:Cluster)?Role "([^"]+)"/.exec(reason)?.[1]);
    expect(new Set(roles)).toEqual(new Set([`${namespace}:${nodeName}`, 'system:basic-user']));
  }, 180_000);

  it('grants all that the daemon asks about at its start, in exactly those words', async () => {
    const rules = await grantedBy(release);
    const granted = neededPermissions(nodeName).filter(({ verb, group, resource, name }) =>
      rules.some(
        (rule) =>
          rule.apiGroups.includes(group) &&
          rule.resources.includes(resource) &&
          rule.verbs.includes(verb) &&
          (rule.resourceNames === undefined || (name !== undefined && rule.resourceNames.includes(name))),
      ),
    );
    expect(granted).toEqual(neededPermissions(nodeName));
  });

  describe('does not let its account', () => {
    const other = 'other';
    let kubeconfig: string;
    beforeAll(async () => {
      kubeconfig = await controlPlane.serviceAccountKubeconfig(namespace, nodeName);
      const objects = [
        { apiVersion: 'v1', kind: 'Node', metadata: { name: other } },
        {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { name: other, namespace: 'kube-node-lease' },
          spec: { holderIdentity: other },
        },
      ];
      const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      await kubectl(['create', '-f', '-'], { ...admin, input });
    });

    it.each([
      'list secrets',
      'watch secrets',
      'list configmaps',
      'create secrets',
      'create pods',
      'update pods',
      'patch pods',
      'get pods/exec',
      'create pods/exec',
      'create pods/binding',
      'create deployments.apps',
      `get nodes/${other}`,
      `patch nodes/${other}`,
      `delete nodes/${other}`,
      `delete nodes/${nodeName}`,
      `update nodes/${nodeName}`,
      'list nodes',
      'get nodes/proxy',
      'create clusterroles.rbac.authorization.k8s.io',
      'bind clusterroles.rbac.authorization.k8s.io',
      'escalate clusterroles.rbac.authorization.k8s.io',
      'create clusterrolebindings.rbac.authorization.k8s.io',
      'create certificatesigningrequests.certificates.k8s.io',
      'impersonate users',
      'delete events',
      'delete leases.coordination.k8s.io',
    ])('%s, says the API server', async (question) => {
      const [verb = '', what = ''] = question.split(' ');
      const [resource = '', name = ''] = what.split('/');
      const isSubresource = ['exec', 'binding', 'proxy'].includes(name);
      const args = [
        verb,
        isSubresource || name === '' ? resource : what,
        ...(isSubresource ? [`--subresource=${name}`] : []),
      ];
      const { stdout } = await tryKubectl(['auth', 'can-i', ...args, '--all-namespaces'], { kubeconfig });
      expect(stdout.toString()).toMatch(/^no\b/);
    });

    const anything = { apiGroups: ['*'], resources: ['*'], verbs: ['*'] };
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const roles = '/apis/rbac.authorization.k8s.io/v1';
    const notReady = { status: { conditions: [{ type: 'Ready', status: 'False' }] } };
    const container = { name: 'x', image: 'none' };
    it.each<[what: string, method: string, path: string, body: object | undefined]>([
      ['list the secrets of all', 'GET', '/api/v1/secrets', undefined],
      ['list the secrets of a namespace', 'GET', '/api/v1/namespaces/kube-system/secrets', undefined],
      [
        'create a pod',
        'POST',
        '/api/v1/namespaces/default/pods',
        { metadata: { name: 'x' }, spec: { containers: [container] } },
      ],
      ['list all nodes', 'GET', '/api/v1/nodes', undefined],
      ['read another node', 'GET', `/api/v1/nodes/${other}`, undefined],
      ['write another node', 'PUT', `/api/v1/nodes/${other}`, { metadata: { name: other } }],
      ['patch another node', 'PATCH', `/api/v1/nodes/${other}`, { spec: { unschedulable: true } }],
      ['patch the status of another node', 'PATCH', `/api/v1/nodes/${other}/status`, notReady],
      ['delete another node', 'DELETE', `/api/v1/nodes/${other}`, undefined],
      ['delete its own node', 'DELETE', `/api/v1/nodes/${nodeName}`, undefined],
      [
        'write another lease',
        'PUT',
        `${leases}/${other}`,
        { metadata: { name: other }, spec: { holderIdentity: nodeName } },
      ],
      ['create a cluster role', 'POST', `${roles}/clusterroles`, { metadata: { name: 'x' }, rules: [anything] }],
      ['widen its own', 'PATCH', `${roles}/clusterroles/${namespace}:${nodeName}`, { rules: [anything] }],
    ])('%s: the request is refused', async (_, method, path, body) => {
      const agent = new Agent({ connect: { ca: controlPlane.caPem } });
      const response = await fetch(controlPlane.server + path, {
        method,
        headers: {
          authorization: `Bearer ${await tokenOf(nodeName)}`,
          'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        dispatcher: agent,
      });
      const answer = await response.json();
      await agent.close();
      expect(answer).toMatchObject({
        kind: 'Status',
        code: 403,
        message: expect.stringContaining(`User "${account}" cannot`),
      });
    });
  });

  it('answers the probes before the cluster is there: alive, and not ready', async () => {
    const healthz = (await freePorts()).healthz;
    // A port that was free a moment ago: nobody listens.
    const server = `https://127.0.0.1:${(await freePorts()).kubelet}`;
    const kubeconfig = scratch.file('away.kubeconfig');
    await writeFile(kubeconfig, JSON.stringify(kubeconfigOf(server)));
    const options = {
      args: ['run', '--provider', 'simulated', '--node-name', 'away', '--state-dir', scratch.file('away')],
      env: { KUBECONFIG: kubeconfig, ANYLET_HEALTHZ_PORT: String(healthz) },
    };
    const away = new DaemonProcess(options);
    await away.untilSaid('API server not reached, will be retried');
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${healthz}${path}`);
      return [response.status, await response.text()];
    };
    expect(await ask('/healthz')).toEqual([200, 'ok']);
    expect(await ask('/readyz')).toEqual([503, 'node away is not Ready yet: the daemon is starting\n']);

    const second = new DaemonProcess({ ...options, args: [...options.args.slice(0, -1), scratch.file('second')] });
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.log.map(({ err }) => err)).toEqual([
      `healthz cannot listen on 127.0.0.1:${healthz}: the port is in use`,
    ]);
    expect(await away.stop()).toEqual({ code: 0, signal: null });
  });

  it('ends the start of an account without permissions by one message that names them all', async () => {
    await kubectl([...inNamespace, 'create', 'serviceaccount', 'nobody'], admin);
    const stateDir = scratch.file('nobody');
    const nobody = new DaemonProcess({
      args: [
        'run',
        '--node-name',
        'nobody',
        '--node-ip',
        cluster.nodeIP,
        '--listen-port',
        '0',
        '--state-dir',
        stateDir,
      ],
      env: { KUBECONFIG: await controlPlane.serviceAccountKubeconfig(namespace, 'nobody') },
    });
    expect(await nobody.exited).toEqual({ code: 1, signal: null });
    const errors = nobody.log.filter(({ level }) => level === 'error');
    expect(errors).toHaveLength(1);
    for (const { verb, resource } of neededPermissions('nobody'))
      expect(errors[0]?.['err']).toContain(`${verb} ${resource}`);
    const { code } = await tryKubectl(['get', 'node', 'nobody'], admin);
    expect(code).toBe(1);
  });

  it('goes without a trace, but for the Node', async () => {
    await helm(['uninstall', release, ...inNamespace, '--wait'], admin);
    const kinds = 'deployments,configmaps,serviceaccounts,roles,rolebindings,clusterroles,clusterrolebindings';
    const left = await kubectl(
      ['get', kinds, '-A', '-o', 'name', '-l', `app.kubernetes.io/instance=${release}`],
      admin,
    );
    expect(left).toBe('');
    expect(await kubectl(['get', 'node', nodeName, '-o', 'name'], admin)).toBe(`node/${nodeName}\n`);
  });

  /** The rules of the release's roles, as the API server has them. */
  async function grantedBy(instance: string): Promise<Rule[]> {
    const labelled = ['-A', '-l', `app.kubernetes.io/instance=${instance}`];
    const { items } = await read<{ items: { rules: Rule[] }[] }>('clusterroles,roles', ...labelled);
    return items.flatMap(({ rules }) => rules);
  }
});

/** A pod that needs a ConfigMap, a Secret and a token, and one whose events come again. */
function workload(namespace: string): object {
  const token = '"$CONTAINER_SANDBOX_MOUNT_POINT/var/run/tokens/token"';
  // The payload of a JWT, whose base64 lacks the padding.
  const subject = `cut -d. -f2 ${token} | sed 's/$/==/' | base64 -d 2>/dev/null | sed 's/.*"sub":"\\([^"]*\\)".*/\\1/'`;
  const script = `echo "$FROM_CONFIG $FROM_SECRET $(${subject})"; ${untilTerminated()}`;
  const placed = { nodeSelector: { type: 'virtual-kubelet' }, tolerations: [{ operator: 'Exists' }] };
  const object = (kind: string, name: string, rest: object) => ({
    apiVersion: 'v1',
    kind,
    metadata: { name, namespace },
    ...rest,
  });
  const items = [
    object('ConfigMap', 'settings', { data: { key: 'from-config' } }),
    object('Secret', 'secrets', { stringData: { key: 'from-secret' } }),
    object('Pod', 'worker', {
      spec: {
        ...placed,
        containers: [
          {
            name: 'main',
            image: 'none',
            command: sh(script),
            env: [
              { name: 'FROM_CONFIG', valueFrom: { configMapKeyRef: { name: 'settings', key: 'key' } } },
              { name: 'FROM_SECRET', valueFrom: { secretKeyRef: { name: 'secrets', key: 'key' } } },
            ],
            volumeMounts: [{ name: 'token', mountPath: '/var/run/tokens' }],
          },
        ],
        volumes: [
          { name: 'token', projected: { sources: [{ serviceAccountToken: { path: 'token', audience: 'test' } }] } },
        ],
      },
    }),
    object('Pod', 'crasher', {
      spec: { ...placed, containers: [{ name: 'main', image: 'none', command: ['false'] }] },
    }),
  ];
  return { apiVersion: 'v1', kind: 'List', items };
}

/** Where the kubelet would ask after the container. */
function probesOf({ ports = [], startupProbe, livenessProbe, readinessProbe }: Container, host: string): string[] {
  return [startupProbe, livenessProbe, readinessProbe].map((probe) => {
    const { port, path } = probe?.httpGet ?? {};
    const number = ports.find(({ name }) => name === port)?.containerPort;
    if (number === undefined) throw new Error(`the probe's port ${String(port)} is none of the container's`);
    return `http://${host}:${number}${path}`;
  });
}

function kubeconfigOf(server: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'x', cluster: { server } }],
    users: [{ name: 'x', user: { token: 'x' } }],
    contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
    'current-context': 'x',
  };
}

/** Two ports that were free a moment ago: the chart's must be known before the daemon starts. */
async function freePorts(): Promise<{ kubelet: number; healthz: number }> {
  const servers = [createServer(), createServer()];
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, cluster.nodeIP, () => resolve()));
    ports.push((server.address() as AddressInfo).port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const [kubelet = 0, healthz = 0] = ports;
  return { kubelet, healthz };
}
