import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { Pod } from '../../../src/core/objects.ts';
import { openRemoteCommand } from '../../../src/streaming/index.ts';
import { accessOf, ask, processesWith, startDev, type Access, type DevProcess } from './dev-process.ts';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const pods = '/api/v1/namespaces/default/pods';
let folder: string;
let count = 0;
const started: DevProcess[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anylet-dev-'));
});
afterEach(async () => {
  for (const dev of started) dev.kill('SIGTERM');
  await Promise.all(started.splice(0).map(({ ended }) => ended));
});
afterAll(() => rm(folder, { recursive: true }));

const newStateDir = () => join(folder, `state-${++count}`);

function dev(stateDir: string, ...args: string[]): DevProcess {
  const started_ = startDev(['--state-dir', stateDir, ...args]);
  started.push(started_);
  return started_;
}

async function ready(stateDir: string, ...args: string[]): Promise<DevProcess & { access: Access }> {
  const running = dev(stateDir, ...args);
  await running.said('Ctrl-C stops');
  return { ...running, access: accessOf(join(stateDir, 'kubeconfig')) };
}

function shellPod(name: string, script: string) {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { containers: [{ name: 'c', image: 'none', command: ['sh', '-c', script] }] },
  };
}

/** Asks until the pod is so; the test's timeout ends it. */
async function podThat(access: Access, name: string, condition: (pod: Pod) => boolean): Promise<Pod> {
  for (;;) {
    const pod = JSON.parse(await ask(access, 'GET', `${pods}/${name}`)) as Pod;
    if (condition(pod)) return pod;
  }
}

const isRunning = ({ status }: Pod) => status?.phase === 'Running';

function answers(server: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(server).port), '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.unref();
  });
}

describe('anylet dev', () => {
  it('runs a plain pod on a node without taints, serves its logs and exec, and leaves nothing when it is interrupted', async () => {
    const stateDir = newStateDir();
    const { access, ...running } = await ready(stateDir);
    // It does not listen to a polite request, and has a child.
    await ask(access, 'POST', pods, shellPod('deaf', 'trap "" TERM; echo up; sleep 1000 & while :; do sleep 1; done'));
    await podThat(access, 'deaf', isRunning);
    expect(JSON.parse(await ask(access, 'GET', '/api/v1/nodes/dev'))).not.toHaveProperty('spec.taints');
    for (let log = ''; log !== 'up\n';) log = await ask(access, 'GET', `${pods}/deaf/log`);
    const url = new URL(`${access.server}${pods}/deaf/exec?command=echo&command=hi&stdout=true`);
    const exec = await openRemoteCommand(
      { url, tls: access.tls, transport: 'websocket' },
      { stdin: false, stdout: true, stderr: false, tty: false },
    );
    expect(await text(exec.stdout as Readable)).toBe('hi\n');
    expect(await exec.status).toMatchObject({ status: 'Success' });
    await exec.close();
    expect(processesWith(stateDir).length).toBeGreaterThan(1);

    running.kill('SIGINT');
    const { code, ms, stdout, stderr } = await running.ended;
    expect({ code, problems: stderr.split('\n').filter((line) => / (WARN|ERROR) /.test(line)) }).toEqual({
      code: 0,
      problems: [],
    });
    expect(ms).toBeLessThan(3_000);
    expect(processesWith(stateDir)).toEqual([]);
    expect(await answers(access.server)).toBe(false);
    expect(await readdir(folder)).not.toContain(stateDir.slice(folder.length + 1));
    expect(stdout.trimEnd().split('\n').length + stderr.trimEnd().split('\n').length).toBeLessThanOrEqual(12);
    expect(stdout).toContain(`export KUBECONFIG=${stateDir}/kubeconfig\n`);
    expect(stdout).toContain('Services do not route');
  });

  it('ends at once and in order when it is interrupted while it starts', async () => {
    const stateDir = newStateDir();
    const running = dev(stateDir);
    await running.said('starting');
    running.kill('SIGINT');
    expect(await running.ended).toMatchObject({ code: 0, stdout: '' });
    expect(processesWith(stateDir)).toEqual([]);
    expect(await readdir(folder)).not.toContain(stateDir.slice(folder.length + 1));
  });

  it('shows the whole thing without kubectl, and ends', async () => {
    const { code, stdout } = await dev(newStateDir(), '--demo').ended;
    expect(stdout.split('\n')).toEqual([
      '# a Kubernetes API in memory and node dev (process): loopback only, one user, to develop and test.',
      '$ kubectl create -f examples/demo.yaml',
      'pod/demo created',
      '$ kubectl wait --for=condition=Ready pod/demo',
      'pod/demo condition met',
      '$ kubectl logs -f demo',
      ...[1, 2, 3, 4].map((number) => `hello number ${number} from pod demo`),
      '^C',
      `$ kubectl exec demo -- sh -c 'echo "this is a shell in pod $POD on node $NODE"'`,
      'this is a shell in pod demo on node dev',
      '$ kubectl delete pod demo',
      'pod "demo" deleted from default namespace',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('goes on with what --keep left, and leaves that alone without --keep', async () => {
    const stateDir = newStateDir();
    const interrupted = async (running: DevProcess) => {
      running.kill('SIGINT');
      expect(await running.ended).toMatchObject({ code: 0 });
      expect(processesWith(stateDir)).toEqual([]);
    };
    const first = await ready(stateDir, '--keep');
    await ask(first.access, 'POST', pods, shellPod('p', 'sleep 1000'));
    const before = await podThat(first.access, 'p', isRunning);
    await interrupted(first);

    const empty = await ready(stateDir);
    expect(JSON.parse(await ask(empty.access, 'GET', pods))).toMatchObject({ items: [] });
    await interrupted(empty);

    const second = await ready(stateDir, '--keep');
    // As after a reboot: the same pod, its container started anew.
    const restarted = ({ status }: Pod) => status?.containerStatuses?.[0]?.restartCount === 1;
    const after = await podThat(second.access, 'p', restarted);
    expect(after.metadata.uid).toBe(before.metadata.uid);
    await interrupted(second);
  });

  it('puts any provider under the node', async () => {
    const { access } = await ready(newStateDir(), '--provider', join(checkout, 'examples/provider-hello/index.ts'));
    await ask(access, 'POST', pods, shellPod('p', 'true'));
    await podThat(access, 'p', isRunning);
  });

  it('says where kubectl is to be had when there is none', async () => {
    const running = startDev(['--state-dir', newStateDir()], { PATH: '/nonexistent' });
    started.push(running);
    await running.said('https://kubernetes.io/docs/tasks/tools/');
  });
});

describe('anylet dev refuses in one line', () => {
  async function refusal(running: DevProcess): Promise<{ code: number; says: string }> {
    const { code, stdout, stderr } = await running.ended;
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    expect(lines.slice(0, -1).filter((line) => !line.startsWith('starting '))).toEqual([]);
    return { code, says: lines.at(-1) ?? '' };
  }

  it('a port that is in use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    try {
      expect(await refusal(dev(newStateDir(), '--port', String(port)))).toEqual({
        code: 1,
        says: `anylet: port ${port} of 127.0.0.1 is in use: name another with --port`,
      });
      expect(await refusal(dev(newStateDir(), '--listen-port', String(port)))).toEqual({
        code: 1,
        says: `anylet: port ${port} of 127.0.0.1 is in use: name another with --listen-port`,
      });
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it('a state directory that another one uses, and leaves that alone', async () => {
    const stateDir = newStateDir();
    const { access } = await ready(stateDir);
    const { code, says } = await refusal(dev(stateDir));
    expect(code).toBe(1);
    expect(says).toMatch(/^anylet: state directory .* is used by another anylet \(pid \d+\)/);
    expect(accessOf(join(stateDir, 'kubeconfig'))).toEqual(access);
    await ask(access, 'GET', pods);
  });

  it('a kubeconfig that is not its own, and leaves it as it is', async () => {
    const stateDir = newStateDir();
    await mkdir(stateDir);
    const theirs = 'clusters: [{name: production, cluster: {server: "https://production"}}]\n';
    await writeFile(join(stateDir, 'kubeconfig'), theirs);
    expect(await refusal(dev(stateDir))).toEqual({
      code: 1,
      says: `anylet: ${stateDir}/kubeconfig is not a kubeconfig of anylet dev: move it away, or name another directory with --state-dir`,
    });
    expect(await readFile(join(stateDir, 'kubeconfig'), 'utf8')).toBe(theirs);
  });

  it('a snapshot that is broken, and leaves it as it is', async () => {
    const stateDir = newStateDir();
    const snapshot = join(stateDir, 'kept', 'cluster.json');
    await mkdir(join(stateDir, 'kept'), { recursive: true });
    await writeFile(snapshot, '{"format":');
    const { code, says } = await refusal(dev(stateDir, '--keep'));
    expect(code).toBe(2);
    expect(says).toContain(`the snapshot ${snapshot} cannot be used`);
    expect(await readFile(snapshot, 'utf8')).toBe('{"format":');
  });

  it.each([
    [['--provider', 'nonsense'], 'provider nonsense is unknown: it is none of'],
    [['--port', 'many'], "'--port <number>' argument 'many' is invalid"],
    [['--node-ip', '10.0.0.1'], "unknown option '--node-ip'"],
    [['--demo', '--keep'], '--demo leaves nothing that --keep could keep'],
    [['--control-plane'], '--control-plane: names no folder, and KUBEBUILDER_ASSETS is not set'],
    [['--control-plane', '/nonexistent'], '--control-plane: /nonexistent holds no etcd and no kube-apiserver'],
    [['--node-name', 'Not a name'], '--node-name: "Not a name" is not a lower-case DNS-1123 subdomain'],
  ])('a wrong command line: %j', async (args, says) => {
    const stateDir = newStateDir();
    const refused = await refusal(dev(stateDir, ...args));
    expect(refused).toEqual({ code: 2, says: expect.stringContaining(says) });
    expect(await readdir(folder)).not.toContain(stateDir.slice(folder.length + 1));
  });

  it('a control plane whose programs end, with the last they said', async () => {
    const programs = join(folder, 'programs');
    await mkdir(programs);
    for (const name of ['etcd', 'kube-apiserver']) {
      await writeFile(join(programs, name), `#!/bin/sh\necho ${name} cannot >&2\nexit 3\n`);
      await chmod(join(programs, name), 0o755);
    }
    const stateDir = newStateDir();
    const { code, stderr } = await dev(stateDir, '--control-plane', programs).ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^anylet: (etcd|kube-apiserver) ended \(exit code 3\):\n\1 cannot$/m);
    expect(processesWith(stateDir)).toEqual([]);
  });
});
