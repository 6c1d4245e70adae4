import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CertificateAuthority, KeyPair } from './certificates.ts';
import { Component } from './component.ts';
import { apiServerFlags, controllerManagerFlags, etcdFlags, schedulerFlags } from './flags.ts';
import { kubeconfig } from './kubeconfig.ts';
import type { Credentials } from './kubeconfig.ts';
import { createPki } from './pki.ts';
import { toolchain } from './toolchain.ts';

const run = promisify(execFile);

const SERVICE_CLUSTER_IP_RANGE = '10.0.0.0/24';
const KUBERNETES_SERVICE_IP = '10.0.0.1';
const START_DEADLINE_MS = 120_000;
const POLL_MS = 50;

/** How a control plane is started. */
export interface ControlPlaneOptions {
  /** Where all its files go; kept at `stop()`. Default: a temporary directory that `stop()` removes. */
  dir?: string;
  /** Writes `audit.log`: who asked what, with the answer's code, without bodies. Default false. */
  auditLog?: boolean;
  /** After how long without a lease a node is Unknown. Default 50, as in Kubernetes. */
  nodeMonitorGracePeriodSeconds?: number;
  /** More flags for the API server, as `--feature-gates=…`; they win over ours. */
  apiServerArgs?: readonly string[];
}

/** A running Kubernetes control plane on loopback: etcd, API server, scheduler, controller manager. */
export interface ControlPlane {
  /** The API server's URL. */
  readonly server: string;
  readonly caPem: string;
  /** The cluster's certificate authority, for a kubelet's serving certificate and the like. */
  readonly ca: CertificateAuthority;
  /** Its files: keys, kubeconfigs, one `<component>.log` each. */
  readonly dir: string;
  readonly auditLogPath: string | undefined;
  /** A kubeconfig of group system:masters: its path and its text. */
  readonly kubeconfigPath: string;
  readonly adminKubeconfig: string;
  /** The path of a kubectl of the same version. */
  readonly kubectl: string;
  readonly kubernetesVersion: string;
  /** The processes, in the order of their start; each can be stopped and started again. */
  readonly components: {
    readonly etcd: Component;
    readonly apiServer: Component;
    readonly scheduler: Component;
    readonly controllerManager: Component;
  };
  /** Writes a kubeconfig with a client certificate for this user and these groups; resolves to its path. */
  kubeconfigFor(user: string, groups?: readonly string[]): Promise<string>;
  /** Writes a kubeconfig with a fresh token of an existing service account; resolves to its path. */
  serviceAccountKubeconfig(namespace: string, name: string): Promise<string>;
  /** Resolves when the API server answers ready, as after `components.apiServer.start()`. */
  ready(): Promise<void>;
  /** Ends all processes and removes the temporary directory. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a control plane and resolves when pods can be created: the API server
 * is ready and namespace `default` has its service account. Builds it first
 * when that has not been done on this machine. Its processes end with this one.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const tools = await toolchain();
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'anylet-control-plane-')));
  await mkdir(dir, { recursive: true });
  const [port, etcdClientPort, etcdPeerPort] = await freePorts();
  const server = `https://127.0.0.1:${port}`;
  const etcdUrl = `http://127.0.0.1:${etcdClientPort}`;
  const pki = await createPki(dir, ['127.0.0.1', KUBERNETES_SERVICE_IP]);
  const auditLogPath = options.auditLog ? join(dir, 'audit.log') : undefined;
  const auditPolicyPath = auditLogPath && (await writeAuditPolicy(dir));

  const writeKubeconfig = async (file: string, user: string, credentials: Credentials): Promise<string> => {
    const path = join(dir, `${file}.kubeconfig`);
    await writeFile(path, kubeconfig(server, pki.ca.certPem, user, credentials), { mode: 0o600 });
    return path;
  };
  const kubeconfigPath = await writeKubeconfig('admin', 'kubernetes-admin', pki.admin);
  const schedulerConfig = await writeKubeconfig('scheduler', 'system:kube-scheduler', pki.scheduler);
  const managerConfig = await writeKubeconfig(
    'controller-manager',
    'system:kube-controller-manager',
    pki.controllerManager,
  );

  const component = (name: string, args: readonly string[]): Component =>
    new Component({ name, binary: tools.controlPlane, args, logPath: join(dir, `${name}.log`) });
  const apiServerSettings = {
    port,
    etcdUrl,
    serviceClusterIpRange: SERVICE_CLUSTER_IP_RANGE,
    ...(auditPolicyPath && auditLogPath ? { auditPolicyPath, auditLogPath } : {}),
  };
  const gracePeriodSeconds = options.nodeMonitorGracePeriodSeconds ?? 50;
  const components = {
    etcd: component('etcd', etcdFlags(join(dir, 'etcd'), etcdUrl, `http://127.0.0.1:${etcdPeerPort}`)),
    apiServer: component('kube-apiserver', [
      ...apiServerFlags(apiServerSettings, pki),
      ...(options.apiServerArgs ?? []),
    ]),
    scheduler: component('kube-scheduler', schedulerFlags(schedulerConfig)),
    controllerManager: component(
      'kube-controller-manager',
      controllerManagerFlags(managerConfig, gracePeriodSeconds, pki),
    ),
  };

  const waitFor = (path: string): Promise<void> =>
    waitUntil(path, () => answersOk(`${server}${path}`, pki.ca.certPem, pki.admin), Object.values(components));
  const ready = (): Promise<void> => waitFor('/readyz');
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= stopAll(components, options.dir ? undefined : dir));

  try {
    await components.etcd.start();
    await components.apiServer.start();
    await ready();
    await components.scheduler.start();
    await components.controllerManager.start();
    await waitFor('/api/v1/namespaces/default/serviceaccounts/default');
  } catch (error) {
    await stop();
    throw error;
  }

  let written = 0;
  return {
    server,
    caPem: pki.ca.certPem,
    ca: pki.ca,
    dir,
    auditLogPath,
    kubeconfigPath,
    adminKubeconfig: kubeconfig(server, pki.ca.certPem, 'kubernetes-admin', pki.admin),
    kubectl: tools.kubectl,
    kubernetesVersion: tools.kubernetesVersion,
    components,
    kubeconfigFor: async (user, groups = []) => {
      const credentials = await pki.ca.issue({ commonName: user, organizations: groups, usage: 'client' });
      return writeKubeconfig(`user-${++written}`, user, credentials);
    },
    serviceAccountKubeconfig: async (namespace, name) => {
      const flags = ['--kubeconfig', kubeconfigPath, '--namespace', namespace, '--duration', '24h'];
      const { stdout } = await run(tools.kubectl, ['create', 'token', name, ...flags]);
      return writeKubeconfig(`user-${++written}`, `${namespace}/${name}`, { token: stdout.trim() });
    },
    ready,
    stop,
  };
}

async function stopAll(components: ControlPlane['components'], remove: string | undefined): Promise<void> {
  const { etcd, apiServer, scheduler, controllerManager } = components;
  await Promise.all([scheduler.stop(), controllerManager.stop()]);
  await apiServer.stop();
  await etcd.stop();
  if (remove) await rm(remove, { recursive: true, force: true });
}

async function writeAuditPolicy(dir: string): Promise<string> {
  const path = join(dir, 'audit-policy.json');
  const policy = {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata' }],
  };
  await writeFile(path, JSON.stringify(policy));
  return path;
}

/** Three different ports that were free a moment ago. */
async function freePorts(): Promise<[number, number, number]> {
  const servers = [createServer(), createServer(), createServer()] as const;
  const [a, b, c] = servers;
  const listen = (server: (typeof servers)[number]): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
    });
  const ports: [number, number, number] = [await listen(a), await listen(b), await listen(c)];
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Polls until `condition` holds; fails when a component that was started has ended, or at the deadline. */
async function waitUntil(
  what: string,
  condition: () => Promise<boolean>,
  components: readonly Component[],
): Promise<void> {
  const started = components.filter((component) => component.pid !== undefined);
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await condition())) {
    for (const component of started) await component.assertRunning();
    if (Date.now() > deadline) {
      const tails = started.map(async (component) => `--- ${component.logPath}\n${await component.logTail()}`);
      throw new Error(
        [`the control plane has no ${what} after ${START_DEADLINE_MS / 1000} s`, ...(await Promise.all(tails))].join(
          '\n',
        ),
      );
    }
    await delay(POLL_MS);
  }
}

function answersOk(url: string, ca: string, client: KeyPair): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(url, { ca, cert: client.certPem, key: client.keyPem, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on('error', () => resolve(false));
    call.end();
  });
}
