import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

import { writeKubeconfig } from './cluster.ts';
import { toolchain } from './control-plane/index.ts';
import type { ScratchDirectory } from './daemon-process.ts';
import { eventually } from './eventually.ts';
import { kubectl, tryKubectl } from './kubectl.ts';

const namespace = 'kube-system';
const account = 'metrics-server';
const group = 'metrics.k8s.io';

/**
 * A real metrics-server as a process of this machine, with the rights and the credentials that its own manifests
 * give it, behind the API server's aggregation.
 */
export class MetricsServer {
  readonly #scratch: ScratchDirectory;
  #process: ChildProcess | undefined;

  constructor(scratch: ScratchDirectory) {
    this.#scratch = scratch;
  }

  get #log(): string {
    return this.#scratch.file('metrics-server.log');
  }

  /** Resolves when the API server answers for `metrics.k8s.io`. */
  async start(): Promise<void> {
    const program = await toolchain().then((tools) => tools.metricsServer());
    const port = await freePort();
    await kubectl(['apply', '-f', '-'], { input: JSON.stringify(objects(port)) });
    const token = (await kubectl(['create', 'token', account, '--namespace', namespace, '--duration', '1h'])).trim();
    const kubeconfig = await writeKubeconfig(this.#scratch.file('metrics-server.kubeconfig'), { token });
    const log = openSync(this.#log, 'a');
    this.#process = spawn(
      program,
      [
        ...['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
          (flag) => `--${flag}=${kubeconfig}`,
        ),
        '--bind-address=127.0.0.1',
        `--secure-port=${port}`,
        `--cert-dir=${this.#scratch.file('metrics-server-certificates')}`,
        // The node's certificate is its own.
        '--kubelet-insecure-tls',
        '--kubelet-preferred-address-types=InternalIP',
        '--kubelet-use-node-status-port',
        '--metric-resolution=10s',
        '--kubelet-request-timeout=5s',
      ],
      { stdio: ['ignore', log, log], env: { PATH: process.env['PATH'], HOME: process.env['HOME'] } },
    );
    await eventually(async () => {
      if (this.#process?.exitCode != null) throw new Error(`metrics-server ended:\n${this.log()}`);
      return (await tryKubectl(['get', '--raw', `/apis/${group}/v1beta1/nodes`])).code === 0;
    }, `metrics-server to answer`);
  }

  /** The end of what it wrote, for a failure's message. */
  log(): string {
    return readFileSync(this.#log, 'utf8').slice(-2_000);
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    await kubectl(['delete', '--ignore-not-found', '-f', '-'], { input: JSON.stringify(objects(0)) });
  }
}

/** As metrics-server's `manifests/base`, its Deployment aside; the Service leads to this machine. */
function objects(port: number): object {
  const rbac = 'rbac.authorization.k8s.io';
  const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
  const bound = (kind: string, name: string, to: { kind: string; name: string }, metadata: object = {}) => ({
    apiVersion: `${rbac}/v1`,
    kind,
    metadata: { name, ...metadata },
    roleRef: { apiGroup: rbac, ...to },
    subjects,
  });
  const items = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace } },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'system:metrics-server' },
      rules: [
        { apiGroups: [''], resources: ['nodes/metrics'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods', 'nodes'], verbs: ['get', 'list', 'watch'] },
      ],
    },
    bound('ClusterRoleBinding', 'system:metrics-server', { kind: 'ClusterRole', name: 'system:metrics-server' }),
    bound('ClusterRoleBinding', 'metrics-server:system:auth-delegator', {
      kind: 'ClusterRole',
      name: 'system:auth-delegator',
    }),
    bound(
      'RoleBinding',
      'metrics-server-auth-reader',
      { kind: 'Role', name: 'extension-apiserver-authentication-reader' },
      { namespace },
    ),
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: account, namespace },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `v1beta1.${group}` },
      spec: {
        group,
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        insecureSkipTLSVerify: true,
        service: { name: account, namespace, port: port || 443 },
      },
    },
  ];
  return { apiVersion: 'v1', kind: 'List', items };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
