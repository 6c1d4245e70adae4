import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import type { ContainerStatus, Pod } from '../../src/core/objects.ts';
import { packageVersion } from '../../src/core/version.ts';
import { readProcess } from '../../src/host/process-table.ts';
import { ScratchDirectory } from './daemon-process.ts';
import { eventually } from './eventually.ts';
import { spawnKubectl } from './kubectl.ts';
import { containerProcesses, leftoverFiles, shimProcesses } from './leftovers.ts';
import { isReady, sh, type TestNode, testNode, untilTerminated } from './test-node.ts';

const node = testNode('adoption');

const file = (name: string) => node.scratch.file(name);
const lines = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim().split('\n') : []);
const containerOf = (pod: Pod | undefined): ContainerStatus | undefined => pod?.status?.containerStatuses?.[0];
const isAlive = (pid: number) => readProcess(pid)?.zombie === false;

/**
 * Notes each start in a file, and holds a lock for as long as anything of it runs: whoever finds it held is a second
 * copy, and says so.
 */
const alone = (name: string) =>
  `echo start >> ${file(name)}; exec 9> ${file(`${name}.lock`)}; flock -n 9 || echo twice >> ${file(name)};`;
const runner = (name: string) => sh(`${alone(name)} setsid sleep 27182 & sleep 27182 & echo up; ${untilTerminated()}`);

/** The main processes of all containers: a shim's children, by their number. */
function mainProcesses(): number[] {
  const shims = shimProcesses(node.stateDir).map(({ pid }) => pid);
  return containerProcesses(node.stateDir).flatMap(({ pid }) =>
    shims.includes(readProcess(pid)?.parent ?? 0) ? [pid] : [],
  );
}

/** What must not change when the daemon comes back. */
const identity = (pod: Pod | undefined) => {
  const status = containerOf(pod);
  return { id: status?.containerID, startedAt: status?.state?.running?.startedAt, restartCount: status?.restartCount };
};

/** Waits for the daemon's own word on a pod: a status from before its start says nothing. */
async function restarted(args: Parameters<TestNode['start']>[0] = {}): Promise<void> {
  await node.start(args).ready();
}

const lookedAgain = async (name: string) => {
  // A change that only a living daemon answers: what it reports of the pod is then its own.
  const generation = (pod: Pod) => pod.status?.observedGeneration ?? 0;
  const before = generation(node.pods.get(name)!);
  await node.kubectl([
    'patch',
    'pod',
    name,
    '--type=merge',
    '-p',
    JSON.stringify({ spec: { activeDeadlineSeconds: 86_400 - before } }),
  ]);
  return await node.pods.untilObject(name, (pod) => generation(pod) > before, 'is looked after again');
};

beforeAll(async () => {
  await node.apply(
    node.pod('steady', { command: runner('steady') }),
    node.pod('second-life', {
      command: sh(`${alone('second-life')} [ $(wc -l < ${file('second-life')}) = 1 ] && exit 3; ${untilTerminated()}`),
    }),
    node.pod('ends-meanwhile', {
      command: sh(
        `${alone('ends-meanwhile')} until [ -e ${file('go')} ]; do sleep 0.05; done; rm ${file('go')}; exit 4`,
      ),
    }),
    node.pod('ticking', { command: sh('i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.1; done') }),
  );
  await node.podReady('steady');
  await node.podReady('ends-meanwhile');
  await node.podReady('ticking');
  await node.pods.untilObject(
    'second-life',
    (pod) => isReady(pod) && containerOf(pod)?.restartCount === 1,
    'runs again',
  );
});

describe('a daemon that is killed', () => {
  it('leaves the containers running, and the next one adopts them as they are', async () => {
    const names = ['steady', 'second-life', 'ticking'];
    const before = names.map((name) => identity(node.pods.get(name)));
    const [shim] = shimProcesses(node.stateDir);
    const running = mainProcesses();
    expect(before[1]).toMatchObject({ restartCount: 1 });

    await node.daemon.stop('SIGKILL');
    expect(shimProcesses(node.stateDir)).toEqual([shim]);
    expect(mainProcesses()).toEqual(running);
    // Meanwhile life goes on: one container ends, and a pod is created.
    writeFileSync(file('go'), '');
    await eventually(() => !existsSync(file('go')), 'the container to end');
    await node.apply(node.pod('meanwhile', { command: sh('echo new') }, { restartPolicy: 'Never' }));

    await restarted();
    const after = await Promise.all(names.map(lookedAgain));
    expect(after.map((pod) => identity(pod))).toEqual(before);
    expect(after.every((pod) => isReady(pod))).toBe(true);
    expect(shimProcesses(node.stateDir)).toEqual([shim]);
    expect(mainProcesses().filter((pid) => running.includes(pid))).toHaveLength(names.length);
    expect(lines('steady')).toEqual(['start']);
    expect(lines('second-life')).toEqual(['start', 'start']);
    await node.podPhase('meanwhile', 'Succeeded');
  });

  it('misses no exit: the next one reports it with its code, and restarts by policy', async () => {
    const pod = await node.pods.untilObject(
      'ends-meanwhile',
      (it) => isReady(it) && containerOf(it)?.restartCount === 1,
      'runs again',
    );
    expect(containerOf(pod)?.lastState?.terminated).toMatchObject({ exitCode: 4, reason: 'Error' });
    expect(lines('ends-meanwhile')).toEqual(['start', 'start']);
  });

  it('does not cut logs that are followed anew, nor exec', async () => {
    const { id } = identity(node.pods.get('ticking'));
    const follow = spawnKubectl(['--namespace', node.namespace, 'logs', '-f', 'ticking'], {
      kubeconfig: node.kubeconfig,
    });
    let seen = '';
    follow.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await eventually(() => seen.includes('tick 0\n'), 'the first tick');
    const sofar = seen.trimEnd().split('\n').length;
    await eventually(() => seen.trimEnd().split('\n').length > sofar + 5, 'more ticks');
    follow.kill();
    const ticks = seen
      .trimEnd()
      .split('\n')
      .slice(0, sofar + 5);
    expect(ticks).toEqual(ticks.map((_, at) => `tick ${at}`));
    expect(await node.kubectl(['exec', 'ticking', '--', 'echo', 'still here'])).toBe('still here\n');
    expect(identity(node.pods.get('ticking')).id).toBe(id);
  });
});

describe('a daemon that is killed while it starts pods', () => {
  it.each([1, 4, 8])('runs none of them twice: at start number %d', async (moment) => {
    const names = Array.from({ length: 10 }, (_, at) => `at-${moment}-${at}`);
    await node.apply(...names.map((name) => node.pod(name, { command: runner(name) }, { nodeName: node.name })));
    await eventually(
      () => names.filter((name) => lines(name).length > 0).length >= moment,
      `${moment} containers to start`,
    );
    await node.daemon.stop('SIGKILL');
    await restarted();
    for (const name of names) expect(containerOf(await node.podReady(name))?.restartCount).toBe(0);
    for (const name of names) expect([name, ...lines(name)]).toEqual([name, 'start']);
    await node.kubectl(['delete', 'pod', '--grace-period=1', ...names]);
  });

  it('together with the shim lets none run twice at once', async () => {
    const names = Array.from({ length: 10 }, (_, at) => `both-${at}`);
    await node.apply(...names.map((name) => node.pod(name, { command: runner(name) }, { nodeName: node.name })));
    await eventually(() => names.filter((name) => lines(name).length > 0).length >= 4, 'some containers to start');
    const [shim] = shimProcesses(node.stateDir);
    process.kill(shim!.pid, 'SIGKILL');
    await node.daemon.stop('SIGKILL');
    await restarted();
    for (const name of names) await node.podReady(name);
    for (const name of names) expect([name, ...new Set(lines(name))]).toEqual([name, 'start']);
    await node.kubectl(['delete', 'pod', '--grace-period=1', ...names]);
  });
});

describe('a shim that is killed', () => {
  it.each([
    { who: 'the shim alone', withDaemon: false },
    { who: 'the shim and the daemon', withDaemon: true },
  ])(
    'takes its containers with it, which are 137 and restarted by policy, never twice at once: $who',
    async ({ withDaemon }) => {
      const [back, last] = withDaemon ? ['back-2', 'last-2'] : ['back-1', 'last-1'];
      await node.apply(node.pod(last, { command: runner(last) }, { restartPolicy: 'Never' }));
      const before = identity(await node.runPod(back, { command: runner(back) }));
      await node.podReady(last);
      const [shim] = shimProcesses(node.stateDir);
      const old = containerProcesses(node.stateDir).map(({ pid }) => pid);
      if (withDaemon) await node.daemon.stop('SIGKILL');
      process.kill(shim!.pid, 'SIGKILL');
      if (withDaemon) await restarted();

      const again = (pod: Pod) => isReady(pod) && identity(pod).restartCount === 1;
      const after = await node.pods.untilObject(back, again, 'runs again');
      expect(containerOf(after)?.lastState?.terminated).toMatchObject({
        exitCode: 137,
        reason: 'Error',
        containerID: before.id,
        startedAt: before.startedAt,
      });
      expect(identity(after).id).not.toBe(before.id);
      expect(lines(back)).toEqual(['start', 'start']);
      expect(old.filter(isAlive)).toEqual([]);

      const ended = await node.podPhase(last, 'Failed');
      expect(containerOf(ended)?.state?.terminated).toMatchObject({ exitCode: 137, reason: 'Error' });
      expect(lines(last)).toEqual(['start']);
      expect(shimProcesses(node.stateDir)).toHaveLength(1);
      await node.kubectl(['delete', 'pod', back, last]);
    },
  );
});

describe('a machine that was restarted', () => {
  let stranger: ChildProcess;
  beforeEach(async () => {
    stranger = spawn('sleep', ['10000'], { stdio: 'ignore' });
    await once(stranger, 'spawn');
  });
  afterEach(() => void stranger.kill('SIGKILL'));

  it('has its pods again, counts going on, and no process of others is signalled', async () => {
    // The back-off of the crashes before is not what this is about.
    await node.runPod('rebooted', { command: runner('rebooted') });
    const before = identity(node.pods.get('rebooted'));
    await node.daemon.stop('SIGKILL');
    for (const { pid } of shimProcesses(node.stateDir)) process.kill(pid, 'SIGKILL');
    await eventually(() => {
      const left = containerProcesses(node.stateDir);
      for (const { pid } of left) process.kill(pid, 'SIGKILL');
      return left.length === 0;
    }, 'all containers to end');
    // What a former boot has left: records of processes whose numbers are now those of others.
    const strange = readProcess(stranger.pid!)!;
    const formerBoot = (path: string) => {
      const record = JSON.parse(readFileSync(path, 'utf8')) as {
        process?: object;
        bootID?: string;
        status?: { state: string; process?: object; bootID?: string };
      };
      const part = record.status ?? record;
      if (part.process === undefined) return false;
      Object.assign(part, {
        bootID: '00000000-0000-0000-0000-000000000000',
        process: { pid: strange.pid, startTime: strange.startTime },
      });
      writeFileSync(path, JSON.stringify(record));
      return true;
    };
    const records = join(node.stateDir, 'provider', 'process');
    expect(
      readdirSync(join(records, 'containers')).filter((name) => formerBoot(join(records, 'containers', name))).length,
    ).toBeGreaterThan(0);
    for (const id of readdirSync(join(records, 'shims')))
      expect(formerBoot(join(records, 'shims', id, 'shim.json'))).toBe(true);

    await restarted();
    const after = await node.pods.untilObject(
      'rebooted',
      (pod) => isReady(pod) && identity(pod).restartCount === 1,
      'runs again',
    );
    expect(containerOf(after)?.lastState?.terminated).toMatchObject({ exitCode: 137, containerID: before.id });
    expect(lines('rebooted')).toEqual(['start', 'start']);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill('SIGKILL');
    expect(await once(stranger, 'exit')).toEqual([null, 'SIGKILL']);
  });
});

describe('a newer version of the package', () => {
  const checkout = fileURLToPath(new URL('../..', import.meta.url));
  const copy = new ScratchDirectory();
  afterAll(() => copy.remove());

  it('lets the older shim drain, and gives new containers to one of its own', async () => {
    cpSync(join(checkout, 'src'), copy.file('src'), { recursive: true });
    symlinkSync(join(checkout, 'node_modules'), copy.file('node_modules'));
    const manifest = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string };
    const newer = packageVersion.replace(/^\d+/, (major) => String(Number(major) + 1));
    writeFileSync(copy.file('package.json'), JSON.stringify({ ...manifest, version: newer }));

    await node.runPod('older', { command: runner('older') });
    const before = identity(node.pods.get('older'));
    const [olderShim] = shimProcesses(node.stateDir);
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    await restarted({ program: copy.file('src', 'main.ts') });
    await node.nodes.untilObject(
      node.name,
      ({ status }) => status?.nodeInfo?.containerRuntimeVersion === `process://${newer}`,
      'shows the newer version',
    );
    expect(identity(await lookedAgain('older'))).toEqual(before);
    expect(await node.kubectl(['exec', 'older', '--', 'echo', 'reachable'])).toBe('reachable\n');

    await node.runPod('newer', { command: runner('newer') });
    const shims = shimProcesses(node.stateDir);
    expect(shims).toHaveLength(2);
    expect(shims).toContainEqual(olderShim);
    expect(lines('older')).toEqual(['start']);

    // All but the newest pod are the older shim's. It goes with the last of them.
    const others = node.pods
      .all()
      .map(({ metadata }) => metadata.name)
      .filter((name) => name !== 'newer');
    await node.kubectl(['delete', 'pod', '--grace-period=1', ...others]);
    await eventually(() => shimProcesses(node.stateDir).length === 1, 'the older shim to end');
    expect(shimProcesses(node.stateDir)).not.toContainEqual(olderShim);
    expect(isReady(node.pods.get('newer')!)).toBe(true);

    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    await restarted();
    expect(lines('newer')).toEqual(['start']);
    await node.kubectl(['delete', 'pod', 'newer']);
  });
});

describe('SIGTERM', () => {
  it('ends the daemon and leaves the pods, the default', async () => {
    await node.runPod('left', { command: runner('left') });
    const before = identity(node.pods.get('left'));
    const running = mainProcesses();
    // Sessions that are open do not hold it up.
    const session = (...args: string[]) => {
      const child = spawnKubectl(['--namespace', node.namespace, ...args], { kubeconfig: node.kubeconfig });
      child.stderr.resume();
      return { child, began: once(child.stdout, 'data'), ended: once(child, 'close') };
    };
    const sessions = [session('logs', '-f', 'left'), session('exec', '-i', 'left', '--', ...sh('echo hello; cat'))];
    await Promise.all(sessions.map(({ began }) => began));
    const askedAt = performance.now();
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - askedAt).toBeLessThan(4_000);
    await Promise.all(sessions.map(({ ended }) => ended));
    expect(node.daemon.said('stopped')).toBeDefined();
    // What the session had started ends with it; the containers do not.
    await eventually(() => isDeepStrictEqual(mainProcesses(), running), 'the containers only to run');
    expect(existsSync(join(node.stateDir, 'daemon.lock'))).toBe(false);
    await restarted();
    expect(identity(await lookedAgain('left'))).toEqual(before);
    expect(lines('left')).toEqual(['start']);
  });

  it('stops the pods first when told so, and then leaves no process and no socket', async () => {
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    await restarted({ args: ['--shutdown-pods', 'stop'] });
    await node.runPod('stopped', {
      command: sh(`trap 'echo end >> ${file('stopped')}; exit 0' TERM; echo up; sleep 100000 & wait`),
    });
    await node.logged('stopped', /up/);
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    expect(lines('stopped')).toEqual(['end']);
    expect(containerProcesses(node.stateDir)).toEqual([]);
    await eventually(() => shimProcesses(node.stateDir).length === 0, 'the shim to end');
    expect(leftoverFiles(node.stateDir).filter((path) => /sock$|\/shims\/|daemon.lock/.test(path))).toEqual([]);
    // The pods are still this node's: the next start runs them again.
    await restarted();
    const again = await node.pods.untilObject(
      'stopped',
      (pod) => isReady(pod) && identity(pod).restartCount === 1,
      'runs again',
    );
    expect(containerOf(again)?.lastState?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });
});

describe('a state directory whose path is too long for a socket', () => {
  const far = testNode('far', { stateDirectory: join('x'.repeat(60), 'y'.repeat(60)) });

  it('serves as any other, and leaves nothing outside of it', async () => {
    await far.runPod('pod', { command: sh(untilTerminated()) });
    expect(await far.kubectl(['exec', 'pod', '--', 'echo', 'reached'])).toBe('reached\n');
    const shims = join(far.stateDir, 'provider', 'process', 'shims');
    const hellos = readdirSync(shims).map((id) => readFileSync(join(shims, id, 'shim.json'), 'utf8'));
    const { socket } = JSON.parse(hellos[0]!) as { socket: string };
    expect(socket.startsWith(far.stateDir)).toBe(false);
    expect(existsSync(socket)).toBe(true);
    await far.kubectl(['delete', 'pod', 'pod']);
    expect(await far.daemon.stop()).toEqual({ code: 0, signal: null });
    await eventually(() => !existsSync(dirname(socket)), 'the folder of the socket to go');
  });
});
