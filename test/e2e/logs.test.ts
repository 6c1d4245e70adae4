import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

import { beforeAll, describe, expect, it } from '@jest/globals';

import { directRequest } from './api-connection.ts';
import { cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { spawnKubectl } from './kubectl.ts';
import { sh, testNode, untilTerminated } from './test-node.ts';

const maxFiles = 3;
const maxSize = 64 * 1024;
const node = testNode('logs', { args: ['--logs-max-size', '64Ki', '--logs-max-files', String(maxFiles)] });

const volumes = [{ name: 'work', emptyDir: {} }];
const volumeMounts = [{ name: 'work', mountPath: '/work' }];
const work = '$CONTAINER_SANDBOX_MOUNT_POINT/work';

/** Lines that are seconds apart, so that times given in whole seconds can tell them apart. */
const spaced = `for i in 1 2 3 4 5; do echo line $i; done; echo to stderr >&2; sleep 3.2; echo late`;

beforeAll(async () => {
  await node.apply(
    node.pod('talker', { command: sh(`${spaced}; ${untilTerminated()}`) }),
    node.pod(
      'restarted',
      {
        command: sh(`echo x >> ${work}/n; echo run $(wc -l < ${work}/n); [ $(wc -l < ${work}/n) = 2 ] && sleep 100000`),
        volumeMounts,
      },
      { volumes },
    ),
    node.pod(
      'several',
      [{ command: sh(`echo from main; ${untilTerminated()}`) }, { command: sh(`echo from c1; ${untilTerminated()}`) }],
      { initContainers: [{ name: 'init', image: 'none', command: sh('echo from init') }] },
    ),
    node.pod('not-started', { command: sh('true'), envFrom: [{ configMapRef: { name: 'nowhere' } }] }),
  );
  await node.logged('talker', /late/);
});

const early = 'line 1\nline 2\nline 3\nline 4\nline 5\n';

/** stdout and stderr come through two pipes, so that line's place among the others is open. */
const withoutStderr = (log: string) => log.replace('to stderr\n', '');

describe('kubectl logs', () => {
  it('gives all that a container has written, stderr with it', async () => {
    const log = await node.logs('talker');
    expect(log).toContain('to stderr\n');
    expect(withoutStderr(log)).toBe(`${early}late\n`);
  });

  it('gives the last lines with --tail', async () => {
    expect(await node.logs('talker', '--tail=1')).toBe('late\n');
    expect(await node.logs('talker', '--tail=0')).toBe('');
    expect(withoutStderr(await node.logs('talker', '--tail=100'))).toBe(`${early}late\n`);
  });

  it('gives what is not older with --since and --since-time', async () => {
    const lines = (await node.logs('talker', '--timestamps')).trimEnd().split('\n');
    const lateAt = new Date(lines.at(-1)!.split(' ')[0]!);
    const wholeSecond = new Date(Math.floor(lateAt.getTime() / 1000) * 1000).toISOString();
    expect(await node.logs('talker', `--since-time=${wholeSecond}`)).toBe('late\n');
    expect(withoutStderr(await node.logs('talker', '--since=1h'))).toBe(`${early}late\n`);
    expect(withoutStderr(await node.logs('talker', '--since-time=2020-01-01T00:00:00Z'))).toBe(`${early}late\n`);
    expect(await node.logs('talker', '--since-time=2120-01-01T00:00:00Z')).toBe('');
  });

  it('gives the time of each line with --timestamps', async () => {
    const lines = (await node.logs('talker', '--timestamps')).trimEnd().split('\n');
    expect(lines).toHaveLength(7);
    for (const line of lines)
      expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (line \d|to stderr|late)$/);
  });

  it('stops after --limit-bytes, in the middle of a line if need be', async () => {
    const log = await node.logs('talker', '--limit-bytes=10');
    expect(Buffer.byteLength(log)).toBe(10);
    expect(early.startsWith(log.replace(/to stderr.*/s, ''))).toBe(true);
  });

  it('gives the instance before with --previous', async () => {
    await node.logged('restarted', /run 2/);
    expect(await node.logs('restarted')).toBe('run 2\n');
    expect(await node.logs('restarted', '--previous')).toBe('run 1\n');
    const { stderr, code } = await node.tryKubectl(['logs', 'talker', '--previous']);
    expect(stderr).toContain('(BadRequest): previous terminated container "main" in pod "talker" not found');
    expect(code).toBe(1);
  });

  it('gives one container with -c and all of them with --all-containers', async () => {
    await node.podReady('several');
    expect(await node.logs('several', '-c', 'c1')).toBe('from c1\n');
    expect(await node.logs('several', '-c', 'init')).toBe('from init\n');
    const all = await node.logs('several', '--all-containers');
    expect(all.trimEnd().split('\n').sort()).toEqual(['from c1', 'from init', 'from main']);
    expect(await node.logs('several', '--all-containers', '--prefix')).toContain('[pod/several/c1] from c1\n');
  });

  it('follows with -f until the container ends', async () => {
    const command = sh(`echo first; until [ -e ${work}/go ]; do sleep 0.05; done; echo last; exit 3`);
    await node.runPod('followed', { command, volumeMounts }, { volumes, restartPolicy: 'Never' });
    const follow = spawnKubectl(['--namespace', node.namespace, 'logs', '-f', 'followed'], {
      kubeconfig: node.kubeconfig,
    });
    let seen = '';
    follow.stdout.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
    await eventually(() => seen === 'first\n', 'the first line');
    const ended = new Promise((resolve) => follow.once('close', resolve));
    await node.kubectl(['exec', 'followed', '--', ...sh(`touch ${work}/go`)]);
    expect(await ended).toBe(0);
    expect(seen).toBe('first\nlast\n');
  });

  it('follows with -f to the last word of a pod that is deleted', async () => {
    await node.runPod('deleted', { command: sh(`trap 'echo bye; exit 0' TERM; echo old; sleep 100000 & wait`) });
    const follow = (...args: string[]) => {
      const child = spawnKubectl(['--namespace', node.namespace, 'logs', '-f', 'deleted', ...args], {
        kubeconfig: node.kubeconfig,
      });
      child.stdin.end();
      return { first: once(child.stdout, 'data'), all: text(child.stdout) };
    };
    const whole = follow();
    const fromTheEnd = follow('--tail=0');
    await whole.first;
    await node.kubectl(['delete', 'pod', 'deleted']);
    expect(await whole.all).toBe('old\nbye\n');
    expect(['bye\n', '']).toContain(await fromTheEnd.all);
  });

  it('says in the kubelet’s words what it cannot give', async () => {
    const notStarted = await node.tryKubectl(['logs', 'not-started']);
    expect(notStarted.stderr).toContain(
      'Error from server (BadRequest): container "main" in pod "not-started" is waiting to start: CreateContainerConfigError',
    );
    expect((await node.tryKubectl(['logs', 'talker', '-c', 'nobody'])).stderr).toContain(
      'container nobody is not valid for pod talker',
    );
  });

  it('of a container or pod that the node does not know is 404 in the kubelet’s words', async () => {
    if (!cluster.canProxyToNodes) return;
    const proxied = (path: string) =>
      directRequest(`/api/v1/nodes/${node.name}/proxy/containerLogs/${node.namespace}/${path}`);
    expect(await proxied('talker/nobody')).toEqual({
      status: 404,
      body: 'container "nobody" not found in pod "talker"',
    });
    expect(await proxied('nobody/main')).toEqual({ status: 404, body: 'pod "nobody" does not exist' });
  });
});

describe('the log files', () => {
  it('lie where a kubelet’s do, in the CRI format, and are rotated', async () => {
    const line = 'x'.repeat(99);
    const script = `i=0; while [ $i -lt 4000 ]; do echo ${line}; i=$((i+1)); done; echo end; ${untilTerminated()}`;
    const pod = await node.runPod('verbose', { command: sh(script) });
    await node.logged('verbose', /end/, '--tail=1');
    const folder = join(node.stateDir, 'logs', 'pods', `${node.namespace}_verbose_${pod.metadata.uid}`, 'main');
    const files = readdirSync(folder);
    expect(files).toContain('0.log');
    expect(files.length).toBeGreaterThan(1);
    expect(files.length).toBeLessThanOrEqual(maxFiles);
    for (const file of files) {
      if (file.endsWith('.gz')) continue;
      expect(statSync(join(folder, file)).size).toBeLessThanOrEqual(maxSize + 32 * 1024);
      const lines = readFileSync(join(folder, file), 'utf8').trimEnd().split('\n');
      for (const each of lines)
        expect(each).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) stdout F (x{99}|end)$/);
    }
  });

  it('keep a long line whole', async () => {
    const script = `console.log('y'.repeat(50_000)); process.stdout.write('no newline')`;
    await node.apply(node.pod('long-line', { command: [process.execPath, '-e', script] }, { restartPolicy: 'Never' }));
    await node.podPhase('long-line', 'Succeeded');
    expect((await node.logs('long-line')).replace('y'.repeat(50_000), 'Y').trimEnd()).toBe('Y\nno newline');
  });
});
