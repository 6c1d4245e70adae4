import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Daemon, eventually, isRoot, logLines, Machine } from './fixture.ts';

let machine: Machine;
let daemon: Daemon;

beforeAll(async () => {
  machine = new Machine();
  daemon = await machine.daemon();
});

afterEach(() => machine.clear());

afterAll(() => machine.dispose());

describe('a container', () => {
  it('goes from created over running to exited, with times and its exit code', async () => {
    const before = Date.now();
    const container = await daemon.create(['sh', '-c', 'sleep 0.05; exit 3']);
    expect(container.status).toEqual({ state: 'created' });
    await daemon.runtime.startContainer(container.id);
    await eventually(() => daemon.status(container.id)?.state === 'running');
    const end = await daemon.exited(container.id);
    expect(end).toMatchObject({ exitCode: 3, reason: 'Error' });
    expect(end.startedAt).toBeGreaterThanOrEqual(before);
    expect(end.finishedAt).toBeGreaterThanOrEqual(end.startedAt);
  });

  it('that exits with 0 is Completed', async () => {
    const { id } = await daemon.start(['true']);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });

  it('that a signal ends has 128 and the signal as its exit code', async () => {
    const { id } = await daemon.start(['sh', '-c', 'kill -USR1 $$']);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 138, reason: 'Error' });
  });

  it('gets exactly its own environment', async () => {
    process.env['ANYLET_TEST_SECRET'] = 'must not be seen';
    const container = await daemon.start(['env'], { env: { A: '1', PATH: '/bin:/usr/bin', MULTI: 'a\nb' } });
    delete process.env['ANYLET_TEST_SECRET'];
    await daemon.exited(container.id);
    const home = (await daemon.exec((await daemon.start(['sleep', '1000'])).id, ['sh', '-c', 'echo ~'])).stdout.trim();
    const lines = logLines(container).map(({ text }) => text);
    const mountPoint = join(machine.stateDir, 'mounts', container.id);
    expect(lines.sort()).toEqual(
      [
        'A=1',
        'PATH=/bin:/usr/bin',
        'MULTI=a',
        'b',
        'HOSTNAME=pod-host',
        `HOME=${home}`,
        `CONTAINER_SANDBOX_MOUNT_POINT=${mountPoint}`,
      ].sort(),
    );
  });

  it('gets the same on a terminal, with TERM', async () => {
    const container = await daemon.start(['env'], { tty: true, env: { PWD: 'kept' } });
    await daemon.exited(container.id);
    const names = logLines(container).map(({ text }) => text.split('=')[0]);
    expect(names.toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
      'CONTAINER_SANDBOX_MOUNT_POINT',
      'HOME',
      'HOSTNAME',
      'PATH',
      'PWD',
      'TERM',
    ]);
    expect(logLines(container)).toContainEqual({ stream: 'stdout', tag: 'F', text: 'PWD=kept\r' });
  });

  it('has the descriptors 0, 1 and 2 only, also while terminals are open', async () => {
    const terminals = [
      await daemon.start(['sleep', '1000'], { tty: true }),
      await daemon.start(['sleep', '1000'], { tty: true }),
    ];
    const plain = await daemon.start(['sleep', '1000']);
    for (const { id } of [...terminals, plain]) {
      const status = (await eventually(() =>
        daemon.status(id)?.state === 'running' ? daemon.status(id) : undefined,
      )) as { pid: number };
      await eventually(
        () =>
          readlinkSync(`/proc/${status.pid}/exe`).endsWith('sleep') ||
          readlinkSync(`/proc/${status.pid}/exe`).includes('busybox') ||
          readlinkSync(`/proc/${status.pid}/exe`).includes('coreutils'),
      );
      expect(readdirSync(`/proc/${status.pid}/fd`).sort()).toEqual(['0', '1', '2']);
    }
  });

  it('can open its own output by path, as a pipe', async () => {
    const container = await daemon.start([
      'sh',
      '-c',
      'echo out > /dev/stdout; echo err > /dev/stderr; echo teed | tee /dev/stderr',
    ]);
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 0 });
    expect(logLines(container)).toEqual(
      expect.arrayContaining([
        { stream: 'stdout', tag: 'F', text: 'out' },
        { stream: 'stderr', tag: 'F', text: 'err' },
        { stream: 'stderr', tag: 'F', text: 'teed' },
      ]),
    );
  });

  it('leads a session of its own', async () => {
    const container = await daemon.start(['sh', '-c', 'echo $$; cut -d" " -f6 /proc/$$/stat']);
    await daemon.exited(container.id);
    const [pid, session] = logLines(container).map(({ text }) => text);
    expect(session).toBe(pid);
  });

  it('takes everything with it when its main process ends', async () => {
    const script =
      'sleep 1001 & setsid sleep 1002 & (setsid sh -c "sleep 1003 & wait" &) ; env -i sleep 1004 & sleep 0.1; exit 0';
    const { id } = await daemon.start(['sh', '-c', script]);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 0 });
    expect(await machine.marked()).toEqual([]);
  });

  it('has its volumes below its mount point and may name that in command and environment', async () => {
    const data = join(machine.root, 'volume');
    mkdirSync(data);
    writeFileSync(join(data, 'file'), 'content\n');
    const mounts = [{ name: 'data', hostPath: data, containerPath: '/etc/data/', readOnly: true }];
    const container = await daemon.start(
      ['sh', '-c', 'cat "$1" $FILE; pwd', 'sh', '$(CONTAINER_SANDBOX_MOUNT_POINT)/etc/data/file'],
      {
        mounts,
        env: { FILE: '$(CONTAINER_SANDBOX_MOUNT_POINT)/etc/data/file' },
        workingDir: '$(CONTAINER_SANDBOX_MOUNT_POINT)/work',
      },
    );
    await daemon.exited(container.id);
    const mountPoint = join(machine.stateDir, 'mounts', container.id);
    expect(logLines(container).map(({ text }) => text)).toEqual(['content', 'content', join(mountPoint, 'work')]);
    await daemon.runtime.removeContainer(container.id);
    expect(readFileSync(join(data, 'file'), 'utf8')).toBe('content\n');
  });
});

describe('stopping', () => {
  it('sends the stop signal and reports the exit code that the process chose', async () => {
    const { id } = await daemon.start(['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done']);
    await eventually(() => logLines(daemon.containers.get(id) as never).length > 0);
    await daemon.runtime.stopContainer(id, 30);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 5 });
  });

  it('uses the signal that the container names', async () => {
    const container = await daemon.start(['sh', '-c', 'trap "exit 6" INT; echo ready; while :; do sleep 0.01; done'], {
      stopSignal: 'SIGINT',
    });
    await eventually(() => logLines(container).length > 0);
    await daemon.runtime.stopContainer(container.id, 30);
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 6 });
  });

  it('kills what outlives the grace period, children included', async () => {
    const container = await daemon.start([
      'sh',
      '-c',
      'trap "" TERM; setsid sleep 1005 & echo ready; while :; do sleep 0.01; done',
    ]);
    await eventually(() => logLines(container).length > 0);
    await daemon.runtime.stopContainer(container.id, 0.2);
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 137, reason: 'Error' });
    expect(await machine.marked()).toEqual([]);
  });

  it('is shortened by a second call with a shorter grace', async () => {
    const container = await daemon.start(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.01; done']);
    await eventually(() => logLines(container).length > 0);
    const long = daemon.runtime.stopContainer(container.id, 3600);
    await daemon.runtime.stopContainer(container.id, 0.1);
    await long;
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 137 });
  });

  it('of what is unknown or has ended is success', async () => {
    const { id } = await daemon.start(['true']);
    await daemon.exited(id);
    await daemon.runtime.stopContainer(id, 1);
    await daemon.runtime.stopContainer('unknown', 1);
    await daemon.runtime.removeContainer('unknown');
    await daemon.runtime.removeSandbox('unknown');
  });

  it('of a sandbox ends its containers and shows it as not ready', async () => {
    const sandbox = await daemon.sandbox();
    const { id } = await daemon.start(['sleep', '1000'], {}, sandbox);
    await daemon.runtime.stopSandbox(sandbox.id);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 137 });
    await eventually(() => daemon.sandboxes.get(sandbox.id)?.state === 'notReady');
  });
});

describe('a container that cannot start', () => {
  const cases = [
    {
      name: 'no such file',
      command: ['/no/such/program'],
      message: 'exec: "/no/such/program": stat /no/such/program: no such file or directory',
    },
    { name: 'not on the path', command: ['nope'], message: 'exec: "nope": executable file not found in $PATH' },
    { name: 'a folder', command: ['/etc'], message: 'exec: "/etc": is a directory' },
    { name: 'not executable', command: ['/etc/passwd'], message: 'exec: "/etc/passwd": permission denied' },
  ];
  it.each(cases)('because of its program ($name) has exited with 128', async ({ command, message }) => {
    const { id, name } = await daemon.create(command);
    const said = `failed to start container "${name}": ${message}`;
    await expect(daemon.runtime.startContainer(id)).rejects.toMatchObject({
      waitingReason: 'RunContainerError',
      message: said,
    });
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 128, reason: 'StartError', startedAt: 0, message: said });
  });

  it('because its interpreter or format is unknown is the same', async () => {
    for (const [name, content, message] of [
      ['script', '#!/no/such/interpreter\n', 'no such file or directory'],
      ['data', 'neither\n', 'exec format error'],
    ] as const) {
      const file = join(machine.root, name);
      writeFileSync(file, content);
      chmodSync(file, 0o755);
      const { id, name: container } = await daemon.create([file]);
      await expect(daemon.runtime.startContainer(id)).rejects.toMatchObject({
        message: `failed to start container "${container}": exec ${file}: ${message}`,
      });
    }
  });

  it('because it names no program is refused with a sentence', async () => {
    await expect(daemon.create([])).rejects.toMatchObject({
      waitingReason: 'CreateContainerError',
      message: expect.stringContaining('no image to take a command from'),
    });
  });

  it('because its working directory is missing leaves nothing behind', async () => {
    const missing = join(machine.root, 'missing');
    await expect(daemon.create(['true'], { workingDir: missing })).rejects.toMatchObject({
      waitingReason: 'CreateContainerError',
      message: expect.stringContaining(`working directory "${missing}": no such file or directory`),
    });
    expect(readdirSync(join(machine.stateDir, 'mounts'))).toEqual([]);
    expect(readdirSync(machine.root)).not.toContain('missing');
  });

  it('because one volume lies in another is refused', async () => {
    const mounts = ['/a', '/a/b'].map((containerPath) => ({
      name: containerPath,
      hostPath: machine.root,
      containerPath,
      readOnly: false,
    }));
    await expect(daemon.create(['true'], { mounts })).rejects.toMatchObject({ waitingReason: 'CreateContainerError' });
  });

  it('as root though it must not is refused in the kubelet’s words', async () => {
    const message =
      'container has runAsNonRoot and image will run as root (pod: "pod_default(uid-1)", container: main)';
    await expect(daemon.create(['true'], { user: { runAsUser: 0, runAsNonRoot: true } })).rejects.toMatchObject({
      waitingReason: 'CreateContainerConfigError',
      message,
    });
  });
});

(isRoot ? describe : describe.skip)('users, as root', () => {
  it('switches user, group and groups, and the process can write its own output by path', async () => {
    const container = await daemon.start(
      ['sh', '-c', 'id -u; id -g; id -G; echo ok > /dev/stdout; touch here && echo made'],
      {
        user: { runAsUser: 4321, runAsGroup: 4322, supplementalGroups: [4323], fsGroup: 4324 },
      },
    );
    await daemon.exited(container.id);
    expect(logLines(container).map(({ text }) => text)).toEqual(['4321', '4322', '4322 4323 4324', 'ok', 'made']);
    expect(container.user).toEqual({ linux: { uid: 4321, gid: 4322, supplementalGroups: [4323, 4324] } });
  });

  it('has no group of the daemon’s otherwise', async () => {
    const container = await daemon.start(['id', '-G']);
    await daemon.exited(container.id);
    expect(logLines(container).map(({ text }) => text)).toEqual(['0']);
  });

  it('refuses a program that the user may not run', async () => {
    const file = join(machine.root, 'private');
    writeFileSync(file, '#!/bin/sh\n');
    chmodSync(file, 0o700);
    const { id, name } = await daemon.create([file], { user: { runAsUser: 4321 } });
    await expect(daemon.runtime.startContainer(id)).rejects.toMatchObject({
      message: `failed to start container "${name}": exec: "${file}": permission denied`,
    });
  });
});
