import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { cluster, kubeconfigFor, writeKubeconfig } from './cluster.ts';
import { DaemonProcess, type Ended, ScratchDirectory } from './daemon-process.ts';
import { eventually } from './eventually.ts';
import { kubectl, tryKubectl } from './kubectl.ts';
import { shimProcesses } from './leftovers.ts';

const scratch = new ScratchDirectory();
const nodeName = `refused-${process.pid}`;
let stateDir: string;
let runs = 0;

beforeEach(() => {
  stateDir = scratch.file(`state-${++runs}`);
});
afterAll(async () => {
  await eventually(() => shimProcesses(scratch.path).length === 0, 'the shims of all starts to end');
  await scratch.remove();
  expect((await tryKubectl(['get', 'node', nodeName])).stderr).toMatch(/NotFound/);
});

interface Refusal extends Ended {
  readonly daemon: DaemonProcess;
}

async function run(...args: readonly string[]): Promise<Refusal> {
  const daemon = new DaemonProcess({ args: ['run', '--state-dir', stateDir, '--log-format', 'json', ...args] });
  return { ...(await daemon.exited), daemon };
}

const onCluster = (...more: readonly string[]) => {
  const node = ['--kubeconfig', cluster.kubeconfig, '--node-name', nodeName, '--node-ip', cluster.nodeIP];
  return [...node, '--listen-port', '0', ...more];
};

/** The one message of a daemon that could not go on: an error on its log. */
const lastWord = ({ daemon }: Refusal) =>
  daemon.log.filter(({ level }) => level === 'error').map(({ msg, err }) => `${msg}: ${String(err)}`);

describe('a wrong configuration', () => {
  it('is refused with 2 and one message that lists all that is wrong, before anything is made', async () => {
    const config = scratch.file('anylet.yaml');
    writeFileSync(
      config,
      `
node: { name: Not_A_Name, lables: { a: b } }
kubelet: { listenPort: many }
shutdown: { pods: explode }
kubeconfig: nowhere.yaml
`,
    );
    const refused = await run('--config', config, '--pods-max', '-1');
    expect([refused.code, refused.daemon.stdout]).toEqual([2, '']);
    const { stderr } = refused.daemon;
    expect(stderr).toMatch(/^anylet: configuration: 6 problems\n/);
    for (const told of [
      /node\.name/,
      /lables.*did you mean labels/,
      /listenPort/,
      /explode.*leave, stop/,
      /nowhere\.yaml/,
      /--pods-max/,
    ])
      expect(stderr).toMatch(told);
    expect(existsSync(stateDir)).toBe(false);
  });

  it.each([
    { what: 'an unknown flag', args: ['--no-such-flag'], told: /unknown option '--no-such-flag'/ },
    { what: 'an unknown provider', args: onClusterLater('--provider', 'no-such-provider'), told: /no-such-provider/ },
    {
      what: 'a provider setting nobody knows',
      args: onClusterLater('--provider-config', '{"isolation":"total"}'),
      told: /isolation/,
    },
    { what: 'a kubeconfig that is none', args: ['--kubeconfig', import.meta.filename], told: /./ },
  ])('is refused with 2: $what', async ({ args, told }) => {
    const refused = await run(...args);
    expect(refused.daemon.stderr + lastWord(refused).join('\n')).toMatch(told);
    expect(refused.code).toBe(2);
  });

  it('is found by --check, which does nothing else', async () => {
    const good = await run(...onCluster('--check'));
    expect([good.code, good.daemon.stdout, good.daemon.stderr]).toEqual([0, 'configuration OK\n', '']);
    expect((await run(...onCluster('--check', '--log-level', 'loud'))).code).toBe(2);
    expect(existsSync(stateDir)).toBe(false);
  });
});

/** As `onCluster`, for tables, which are made before the cluster is known. */
function onClusterLater(...more: readonly string[]): string[] {
  return ['--node-name', nodeName, '--kubeconfig', process.env['ANYLET_E2E_KUBECONFIG'] ?? '', ...more];
}

describe('credentials that will not do', () => {
  const account = `anylet-e2e-${process.pid}`;
  let limited: string;

  beforeAll(async () => {
    await kubectl(['create', 'serviceaccount', account, '-n', 'default']);
    await kubectl([
      'create',
      'clusterrole',
      account,
      '--verb=get,create,patch,list,watch',
      '--resource=nodes,nodes/status',
    ]);
    await kubectl([
      'create',
      'clusterrolebinding',
      account,
      `--clusterrole=${account}`,
      `--serviceaccount=default:${account}`,
    ]);
    const token = (await kubectl(['create', 'token', account, '-n', 'default'])).trim();
    limited = await writeKubeconfig(scratch.file('limited.kubeconfig'), { token });
  });
  afterAll(async () => {
    await kubectl(['delete', `clusterrole/${account}`, `clusterrolebinding/${account}`]);
    await kubectl(['delete', 'serviceaccount', account, '-n', 'default']);
  });

  it('for want of permissions end the start with 1, and every missing one is named', async () => {
    const refused = await run(...onCluster('--kubeconfig', limited).slice(2));
    expect(refused.code).toBe(1);
    const words = lastWord(refused);
    expect(words).toHaveLength(1);
    for (const missing of [
      /pods/,
      /pods\/status/,
      /leases/,
      /services/,
      /events/,
      /tokenreviews/,
      /subjectaccessreviews/,
    ])
      expect(words[0]).toMatch(missing);
    expect(words[0]).not.toMatch(/register the node/);
  });

  it('for another node end the start with 1', async () => {
    const other = await kubeconfigFor(scratch.path, 'system:node:other', ['system:nodes']);
    const refused = await run(...onCluster('--kubeconfig', other).slice(2));
    expect(refused.code).toBe(1);
    expect(lastWord(refused)).toEqual([
      expect.stringContaining(`system:node:other, and may not write node ${nodeName}`),
    ]);
  });

  it('that nobody knows end the start with 1', async () => {
    const wrong = await writeKubeconfig(scratch.file('wrong.kubeconfig'), { token: 'no-such-token' });
    const refused = await run(...onCluster('--kubeconfig', wrong).slice(2));
    expect(refused.code).toBe(1);
    expect(lastWord(refused)).toEqual([expect.stringMatching(/Unauthorized/)]);
    expect(refused.daemon.stdout).not.toContain('no-such-token');
  });
});

describe('a start that would disturb another', () => {
  it('is refused with 1 when the port is in use', async () => {
    const server = createServer().listen(0, '0.0.0.0');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const refused = await run(...onCluster().slice(0, -1), String(port));
    server.close();
    expect(refused.code).toBe(1);
    expect(lastWord(refused)).toEqual([
      expect.stringContaining(`cannot listen on 0.0.0.0:${port}: the port is in use`),
    ]);
    expect(existsSync(join(stateDir, 'daemon.lock'))).toBe(false);
  });

  it('is refused with 1 when the state directory is another daemon’s, which goes on', async () => {
    const first = new DaemonProcess({ args: ['run', '--state-dir', stateDir, '--log-format', 'json', ...onCluster()] });
    try {
      await first.ready();
      const refused = await run(...onCluster());
      expect(refused.code).toBe(1);
      expect(lastWord(refused)).toEqual([
        expect.stringContaining(`state directory ${stateDir} is used by another anylet (pid ${first.pid})`),
      ]);
      expect(first.isRunning).toBe(true);
      expect(shimProcesses(stateDir)).toHaveLength(1);
    } finally {
      expect(await first.stop()).toEqual({ code: 0, signal: null });
      await kubectl(['delete', 'node', nodeName]);
    }
  });

  it('is refused with 1 when a newer version has written the state directory', async () => {
    mkdirSync(stateDir);
    writeFileSync(join(stateDir, 'anylet.json'), JSON.stringify({ layout: 99, instanceID: 'x' }));
    const refused = await run(...onCluster());
    expect(refused.code).toBe(1);
    expect(lastWord(refused)).toEqual([expect.stringMatching(/was written by a newer anylet \(layout 99/)]);
  });
});

describe('SIGTERM during a start that waits', () => {
  it('ends it with 0', async () => {
    const nobody = await writeKubeconfig(
      scratch.file('nobody.kubeconfig'),
      { token: 'x' },
      { server: 'https://127.0.0.1:1' },
    );
    const daemon = new DaemonProcess({
      args: ['run', '--state-dir', stateDir, '--log-format', 'json', ...onCluster('--kubeconfig', nobody).slice(2)],
    });
    const warning = await daemon.untilSaid(/API server not reached/);
    expect(warning.level).toBe('warn');
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    expect(existsSync(join(stateDir, 'daemon.lock'))).toBe(false);
  });
});
