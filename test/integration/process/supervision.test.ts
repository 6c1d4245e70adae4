import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

import { readBootID } from '../../../src/host/boot-id.ts';
import { isRunning, readProcess } from '../../../src/host/process-table.ts';
import { FrameParser, sendMessage } from '../../../src/providers/process/frames.ts';
import type { ShimHello, ShimRequest, StoredContainer } from '../../../src/providers/process/protocol.ts';
import { eventually, logLines, Machine } from './fixture.ts';

/** A shim from the future that has one container; it runs in this process. */
class ForeignShim {
  readonly protocol = 99;
  readonly asked: string[] = [];
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #file: string;
  #container: StoredContainer;
  readonly #hello: ShimHello;

  private constructor(machine: Machine, id: string) {
    this.#file = join(machine.stateDir, 'containers', `${id}.json`);
    const stored = JSON.parse(readFileSync(this.#file, 'utf8')) as StoredContainer;
    const own = readProcess(process.pid);
    const identity = { pid: process.pid, startTime: own?.startTime ?? 0 };
    const socket = join(machine.stateDir, 'shims', 'foreign', 'sock');
    this.#hello = {
      id: 'foreign',
      protocol: this.protocol,
      version: '9.9.9',
      process: identity,
      bootID: readBootID(),
      socket,
      draining: false,
    };
    this.#container = {
      ...stored,
      shim: 'foreign',
      status: { state: 'running', startedAt: 7, process: { pid: 1, startTime: 1 }, bootID: readBootID() },
    };
  }

  static async start(machine: Machine, id: string): Promise<ForeignShim> {
    const shim = new ForeignShim(machine, id);
    mkdirSync(join(machine.stateDir, 'shims', 'foreign'));
    shim.#server.listen(shim.#hello.socket);
    await once(shim.#server, 'listening');
    writeFileSync(join(machine.stateDir, 'shims', 'foreign', 'shim.json'), JSON.stringify(shim.#hello));
    writeFileSync(shim.#file, JSON.stringify(shim.#container));
    return shim;
  }

  async end(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const parser = new FrameParser({ message: (message) => this.#answer(socket, message as ShimRequest) });
    socket.on('data', (chunk: Buffer) => parser.push(chunk));
  }

  #answer(socket: Socket, { id, method }: ShimRequest): void {
    this.asked.push(method);
    sendMessage(socket, { id, result: method === 'hello' ? this.#hello : null });
    if (method === 'watch') {
      sendMessage(socket, { event: 'container', container: this.#container });
      sendMessage(socket, { event: 'synced' });
    }
    if (method === 'stop') {
      const status = { state: 'exited', startedAt: 7, finishedAt: 8, exitCode: 143, reason: 'Error' } as const;
      this.#container = { ...this.#container, status };
      writeFileSync(this.#file, JSON.stringify(this.#container));
      sendMessage(socket, { event: 'container', container: this.#container });
    }
  }
}

let machine: Machine;

beforeEach(() => {
  machine = new Machine();
});

afterEach(() => machine.dispose());

describe('a daemon that starts again', () => {
  it('finds its containers running, with the same ids and start times, and can run commands in them', async () => {
    const first = await machine.daemon();
    const { id } = await first.start(['sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done'], {
      env: { SECRET: 'kept' },
      annotations: { restarts: '4' },
    });
    const before = await eventually(() =>
      first.status(id)?.state === 'running' ? first.containers.get(id) : undefined,
    );
    await first.leave();
    const second = await machine.daemon();
    expect(second.containers.get(id)).toEqual(before);
    expect((await second.exec(id, ['sh', '-c', 'echo $SECRET'])).stdout).toBe('kept\n');
    expect(machine.shims()).toHaveLength(1);
  });

  it('learns of the ends that it did not see', async () => {
    const first = await machine.daemon();
    const { id } = await first.start(['sh', '-c', 'sleep 0.2; exit 9']);
    await eventually(() => first.status(id)?.state === 'running');
    const { startedAt } = first.status(id) as { startedAt: number };
    await first.leave();
    await eventually(() => machine.shims().length === 0, 'the end of the idle shim');
    const second = await machine.daemon();
    const end = await second.exited(id);
    expect(end).toMatchObject({ exitCode: 9, startedAt });
    expect(end.finishedAt).toBeLessThan(Date.now());
  });

  it('keeps environments off the disk and everything else to its user', async () => {
    const daemon = await machine.daemon();
    const { id } = await daemon.start(['sleep', '1000'], { env: { TOKEN: 'top-secret-value' } });
    const record = join(machine.stateDir, 'containers', `${id}.json`);
    expect(readFileSync(record, 'utf8')).not.toContain('top-secret-value');
    expect(statSync(record).mode & 0o777).toBe(0o600);
    const [shim] = machine.shims();
    expect(statSync(shim?.socket as string).mode & 0o777).toBe(0o600);
    expect(statSync(join(machine.stateDir, 'shims', shim?.id as string)).mode & 0o777).toBe(0o700);
  });
});

describe('a shim that is killed', () => {
  it('takes its containers with it: each is reported 137 and nothing of it runs on', async () => {
    const daemon = await machine.daemon();
    const script = 'setsid sleep 1006 & (setsid sleep 1007 &); echo ready; sleep 1008';
    const container = await daemon.start(['sh', '-c', script]);
    await eventually(() => logLines(container).length > 0);
    const [shim] = machine.shims();
    process.kill(shim?.process.pid as number, 'SIGKILL');
    expect(await daemon.exited(container.id)).toMatchObject({
      exitCode: 137,
      reason: 'Error',
      message: expect.stringContaining('supervised'),
    });
    expect(await machine.marked()).toEqual([]);
    const next = await daemon.start(['true']);
    expect(await daemon.exited(next.id)).toMatchObject({ exitCode: 0 });
  });

  it('while no daemon is there is seen at the next start', async () => {
    const first = await machine.daemon();
    const container = await first.start(['sh', '-c', 'setsid sleep 1009 & echo ready; sleep 1010']);
    await eventually(() => logLines(container).length > 0);
    const [shim] = machine.shims();
    await first.leave();
    process.kill(shim?.process.pid as number, 'SIGKILL');
    const second = await machine.daemon();
    expect(second.status(container.id)).toMatchObject({ state: 'exited', exitCode: 137 });
    expect(await machine.marked()).toEqual([]);
  });

  it('ends a stop that was under way', async () => {
    const daemon = await machine.daemon();
    const container = await daemon.start(['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.01; done']);
    await eventually(() => logLines(container).length > 0);
    const stopping = daemon.runtime.stopContainer(container.id, 3600);
    process.kill(machine.shims()[0]?.process.pid as number, 'SIGKILL');
    await stopping;
    expect(daemon.runtime).toBeDefined();
    expect(await machine.marked()).toEqual([]);
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 137 });
  });
});

describe('after a reboot', () => {
  it('what ran is reported 137, and a process that has got its number is left alone', async () => {
    const first = await machine.daemon();
    const { id } = await first.start(['true']);
    await first.exited(id);
    await first.leave();
    await eventually(() => machine.shims().length === 0);
    const stranger = spawn('sleep', ['1011'], { stdio: 'ignore' });
    const file = join(machine.stateDir, 'containers', `${id}.json`);
    const stored = JSON.parse(readFileSync(file, 'utf8')) as StoredContainer;
    const identity = readProcess(stranger.pid as number);
    const status = {
      state: 'running',
      startedAt: 5,
      process: { pid: identity?.pid, startTime: identity?.startTime },
      bootID: readBootID(),
    };
    writeFileSync(file, JSON.stringify({ ...stored, status }));
    const second = await machine.daemon({ bootID: 'another-boot' });
    expect(second.status(id)).toMatchObject({
      state: 'exited',
      exitCode: 137,
      reason: 'Error',
      startedAt: 5,
      message: expect.stringContaining('restarted'),
    });
    expect(isRunning(identity as never)).toBe(true);
    stranger.kill('SIGKILL');
    await once(stranger, 'exit');
  });

  it('within one boot a number with another start time is left alone too', async () => {
    const first = await machine.daemon();
    const { id } = await first.start(['true']);
    await first.exited(id);
    await first.leave();
    await eventually(() => machine.shims().length === 0);
    const stranger = spawn('sleep', ['1012'], { stdio: 'ignore', detached: true });
    const file = join(machine.stateDir, 'containers', `${id}.json`);
    const stored = JSON.parse(readFileSync(file, 'utf8')) as StoredContainer;
    const identity = readProcess(stranger.pid as number);
    const status = {
      state: 'running',
      startedAt: 5,
      process: { pid: identity?.pid, startTime: (identity?.startTime ?? 0) - 1 },
      bootID: readBootID(),
    };
    writeFileSync(file, JSON.stringify({ ...stored, status }));
    const second = await machine.daemon();
    expect(second.status(id)).toMatchObject({ exitCode: 137 });
    expect(isRunning(identity as never)).toBe(true);
    stranger.kill('SIGKILL');
    await once(stranger, 'exit');
  });
});

describe('an upgrade', () => {
  it('leaves running containers to the old shim, which drains, and starts new ones in a new shim', async () => {
    const old = await machine.daemon({ version: '1.0.0' });
    const kept = await old.start(['sleep', '1013'], { env: { OLD: 'yes' } });
    await old.leave();
    const next = await machine.daemon({ version: '2.0.0' });
    expect(next.runtime.runtimeVersion).toBe('process://2.0.0');
    const added = await next.start(['sleep', '1014']);
    expect(
      machine
        .shims()
        .map(({ version }) => version)
        .sort(),
    ).toEqual(['1.0.0', '2.0.0']);
    expect((await next.exec(kept.id, ['sh', '-c', 'echo $OLD'])).stdout).toBe('yes\n');
    await next.runtime.stopContainer(kept.id, 5);
    expect(await next.exited(kept.id)).toMatchObject({ exitCode: 143 });
    await eventually(() => machine.shims().length === 1, 'the end of the drained shim');
    expect(machine.shims()[0]?.version).toBe('2.0.0');
    expect(next.status(kept.id)).toMatchObject({ exitCode: 143 });
    expect(next.status(added.id)).toMatchObject({ state: 'running' });
  });

  it('ends an old shim at once that has nothing', async () => {
    const old = await machine.daemon({ version: '1.0.0' });
    await old.leave();
    await machine.daemon({ version: '2.0.0' });
    await eventually(() => machine.shims().length === 1 && machine.shims()[0]?.version === '2.0.0');
  });
});

describe('a shim of another protocol', () => {
  it('is still listed, drained and stopped, and asked for nothing else', async () => {
    const first = await machine.daemon();
    const { id } = await first.start(['true']);
    await first.exited(id);
    await first.leave();
    await eventually(() => machine.shims().length === 0);
    const foreign = await ForeignShim.start(machine, id);
    const second = await machine.daemon();
    expect(second.status(id)).toMatchObject({ state: 'running', startedAt: 7 });
    expect(foreign.asked).toEqual(['hello', 'watch', 'drain']);
    await expect(second.exec(id, ['true'])).rejects.toMatchObject({ code: 'Unsupported' });
    const added = await second.start(['true']);
    expect(await second.exited(added.id)).toMatchObject({ exitCode: 0 });
    await second.runtime.stopContainer(id, 3);
    expect(await second.exited(id)).toMatchObject({ exitCode: 143 });
    await foreign.end();
    await eventually(() => machine.shims().every(({ protocol }) => protocol !== foreign.protocol));
    expect(second.status(id)).toMatchObject({ exitCode: 143 });
  });
});

describe('the state directory', () => {
  it('may be deeper than a socket’s path may be long', async () => {
    await machine.daemon().then((daemon) => daemon.leave());
    const deep = new Machine({ subfolder: 'd'.repeat(120) });
    const daemon = await deep.daemon();
    const [shim] = deep.shims();
    expect(Buffer.byteLength(shim?.socket as string)).toBeLessThan(104);
    const { id } = await daemon.start(['true']);
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 0 });
    await deep.dispose();
    expect(existsSync(shim?.socket as string)).toBe(false);
    expect(existsSync(join(shim?.socket as string, '..'))).toBe(false);
  });

  it('with a broken record is read without it', async () => {
    const first = await machine.daemon();
    await first.leave();
    writeFileSync(join(machine.stateDir, 'containers', 'x.json'), '{"record":');
    const second = await machine.daemon();
    expect(second.containers.size).toBe(0);
    expect(readdirSync(join(machine.stateDir, 'containers'))).toEqual([]);
  });
});
