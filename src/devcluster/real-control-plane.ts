import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { invalidInput, timedOut, unavailable } from '../core/errors.ts';
import { startChildProgram, type ChildProgram } from '../host/child-program.ts';
import { createCertificateAuthority, type KeyPair } from './auth/certificate-authority.ts';
import type { ControlPlane } from './control-plane.ts';
import { kubeconfigText } from './kubeconfig.ts';
import {
  apiServerFlags,
  controllerManagerFlags,
  etcdFlags,
  schedulerFlags,
  type Pki,
} from './real-control-plane-flags.ts';

export interface RealControlPlaneOptions {
  /** The folder that holds `etcd` and `kube-apiserver`; `kube-controller-manager` and `kube-scheduler` too, perhaps. */
  readonly programs: string;
  /** Keys, logs and etcd's data go here. etcd's data are taken up again when they are there. */
  readonly directory: string;
  /** Port of the API server; 0 picks a free one. */
  readonly port: number;
  /** The PATH that the programs get. */
  readonly path: string;
  readonly clock: Clock;
  /** Ends a start that still waits. */
  readonly signal: AbortSignal;
  /** Called with the name of what is started next. */
  readonly onStep?: (name: string) => void;
}

export interface RealControlPlane extends ControlPlane {
  /** Whether there is a kube-scheduler; without one nobody binds pods to nodes. */
  readonly schedules: boolean;
}

const startDeadlineMs = 120_000;
const pollMs = 50;
const serverNames = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
const kubernetesServiceIP = '10.96.0.1';

/**
 * Starts real Kubernetes programs on loopback, as `kubeadm` would; resolves when the API server is ready and, with a
 * controller manager, pods can be created in `default`. etcd is open to every user of this machine.
 *
 * @throws InvalidInput when the folder lacks a program; Unavailable with the end of a log when one ends
 */
export async function startRealControlPlane(options: RealControlPlaneOptions): Promise<RealControlPlane> {
  const { programs, directory, path, clock, signal, onStep } = options;
  const has = (program: string) => existsSync(join(programs, program));
  const missing = ['etcd', 'kube-apiserver'].filter((program) => !has(program));
  if (missing.length > 0) throw invalidInput(`--control-plane: ${programs} holds no ${missing.join(' and no ')}`);
  const schedules = has('kube-scheduler');
  const manages = has('kube-controller-manager');

  mkdirSync(join(directory, 'etcd'), { recursive: true, mode: 0o700 });
  const ca = await createCertificateAuthority('kubernetes', keptAuthority(directory));
  const [port, etcdPort, peerPort] = await freePorts(options.port);
  const url = `https://127.0.0.1:${port}`;
  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  const issue = (user: string, groups: readonly string[]) =>
    ca.issueClient({ commonName: user, organizations: groups });
  const kubeconfig = async (user = 'kubernetes-admin', groups: readonly string[] = ['system:masters']) =>
    kubeconfigText({ server: url, caPem: ca.certPem, user, ...(await issue(user, groups)) });
  const [serving, kubeletClient, admin] = await Promise.all([
    ca.issueServer({ commonName: 'kube-apiserver' }, serverNames, ['127.0.0.1', '::1', kubernetesServiceIP]),
    issue('kube-apiserver-kubelet-client', ['system:masters']),
    issue('kubernetes-admin', ['system:masters']),
  ]);
  const pki = writePki(directory, { ca: await ca.keys(), serving, kubeletClient });

  const running = new Map<string, ChildProgram>();
  const start = async (name: string, args: readonly string[]) => {
    onStep?.(name);
    const child = await startChildProgram({
      file: join(programs, name),
      args,
      env: { PATH: path },
      directory,
      logFile: join(directory, `${name}.log`),
    });
    running.set(name, child);
  };
  const ready = (what: string) =>
    untilTrue(what, () => answersOk(`${url}${what}`, ca.certPem, admin), { running, clock, signal });
  const stop = async () => {
    const end = async (name: string, deadlineMs: number) => running.get(name)?.stop(deadlineMs);
    // Those that talk to the API server first, for they would wait for it.
    await Promise.all(['kube-scheduler', 'kube-controller-manager'].map((name) => end(name, 1_000)));
    // It waits for its watchers to go, and has nothing to lose: etcd has it all.
    await end('kube-apiserver', 500);
    await end('etcd', 1_000);
  };

  try {
    await start('etcd', etcdFlags(join(directory, 'etcd'), etcdUrl, `http://127.0.0.1:${peerPort}`));
    await start('kube-apiserver', apiServerFlags({ port, etcdUrl, manages }, pki));
    await ready('/readyz');
    for (const [name, flags] of [
      ['kube-controller-manager', controllerManagerFlags],
      ['kube-scheduler', schedulerFlags],
    ] as const) {
      if (!has(name)) continue;
      const file = join(directory, `${name}.kubeconfig`);
      writeFileSync(file, await kubeconfig(`system:${name}`, []), { mode: 0o600 });
      await start(name, flags(file, pki));
    }
    if (manages) await ready('/api/v1/namespaces/default/serviceaccounts/default');
  } catch (error) {
    await stop();
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    url,
    caPem: ca.certPem,
    schedules,
    kubeconfig,
    clientCertificate: (user, groups = []) => issue(user, groups),
    stop: () => (stopped ??= stop()),
  };
}

/** The authority of an earlier start in this directory, whose certificates people may hold. */
function keptAuthority(directory: string): KeyPair | undefined {
  const [cert, key] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
  if (!existsSync(cert) || !existsSync(key)) return undefined;
  return { certPem: readFileSync(cert, 'utf8'), keyPem: readFileSync(key, 'utf8') };
}

function writePki(directory: string, pems: { ca: KeyPair; serving: KeyPair; kubeletClient: KeyPair }): Pki {
  const write = (name: string, text: string) => {
    const file = join(directory, name);
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const pair = (name: string, { certPem, keyPem }: KeyPair) => ({
    cert: write(`${name}.crt`, certPem),
    key: write(`${name}.key`, keyPem),
  });
  const tokenKey = join(directory, 'sa.key');
  const tokens = existsSync(tokenKey)
    ? createPrivateKey(readFileSync(tokenKey))
    : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  return {
    ca: pair('ca', pems.ca),
    serving: pair('apiserver', pems.serving),
    kubeletClient: pair('apiserver-kubelet-client', pems.kubeletClient),
    tokenKey: write('sa.key', tokens.export({ type: 'pkcs8', format: 'pem' }).toString()),
    tokenPublicKey: write('sa.pub', createPublicKey(tokens).export({ type: 'spki', format: 'pem' }).toString()),
  };
}

/** Different ports that are free now; the first is the one asked for, which may not be. */
async function freePorts(wanted: number): Promise<[number, number, number]> {
  const servers = [wanted, 0, 0].map((port) => ({ port, server: createServer() }));
  try {
    const ports = await Promise.all(
      servers.map(
        ({ port, server }) =>
          new Promise<number>((resolve, reject) => {
            server.once('error', reject);
            server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
          }),
      ),
    );
    return ports as [number, number, number];
  } finally {
    await Promise.all(servers.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  }
}

interface Waiting {
  readonly running: ReadonlyMap<string, ChildProgram>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Asks again and again until it is true, a program has ended, or the deadline has come. */
async function untilTrue(
  what: string,
  ask: () => Promise<boolean>,
  { running, clock, signal }: Waiting,
): Promise<void> {
  const deadline = clock.now() + startDeadlineMs;
  let failure: Error | undefined;
  for (const [name, child] of running) {
    void child.ended.then((how) => {
      failure ??= unavailable(`${name} ended (${how}):\n${child.logTail()}`);
    });
  }
  while (!(await ask())) {
    if (failure !== undefined) throw failure;
    if (clock.now() > deadline) throw timedOut(`the control plane has no ${what} after ${startDeadlineMs / 1000} s`);
    await clock.sleep(pollMs, signal);
  }
}

function answersOk(url: string, ca: string, { certPem, keyPem }: KeyPair): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request(url, { ca, cert: certPem, key: keyPem, agent: false, timeout: 5_000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    call.on('timeout', () => call.destroy());
    call.on('error', () => resolve(false));
    call.end();
  });
}
