import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { duplexPair, PassThrough, Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { type Daemon, eventually, logLines, Machine, Sink } from './fixture.ts';

let machine: Machine;
let daemon: Daemon;
const never = new AbortController().signal;

beforeAll(async () => {
  machine = new Machine();
  daemon = await machine.daemon();
});

afterEach(() => machine.clear());

afterAll(() => machine.dispose());

describe('exec', () => {
  it('has the environment and directory of the container, streams apart, and an exit code', async () => {
    const { id } = await daemon.start(['sleep', '1000'], { env: { A: 'b' }, workingDir: '/usr' });
    expect(await daemon.exec(id, ['sh', '-c', 'echo $A; pwd; echo e >&2; exit 7'])).toEqual({
      exitCode: 7,
      stdout: 'b\n/usr\n',
      stderr: 'e\n',
    });
    expect((await daemon.exec(id, ['sh', '-c', 'kill -KILL $$'])).exitCode).toBe(137);
  });

  it('has the descriptors 0, 1 and 2 only, also after a terminal was used', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const terminal = await daemon.start(['sleep', '1000'], { tty: true });
    for (const container of [id, terminal.id]) {
      // The shell lists itself: it opens nothing, unlike ls.
      const { stdout } = await daemon.exec(container, [
        'sh',
        '-c',
        'for d in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32; do [ -e /proc/$$/fd/$d ] && echo $d; done; true',
      ]);
      expect(stdout.split('\n').filter((line) => Number(line) !== 10 && line !== '')).toEqual(['0', '1', '2']);
    }
  });

  it('passes stdin up to its end, binary-safe', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const bytes = randomBytes(3_000_000);
    const stdout = new Sink();
    const { exitCode } = await daemon.runtime.exec(id, {
      command: ['cat'],
      stdin: Readable.from([bytes]),
      stdout,
      tty: false,
      signal: never,
    });
    expect(exitCode).toBe(0);
    expect(stdout.bytes.equals(bytes)).toBe(true);
  });

  it('carries 50 MB each way and back with the memory of the shim bounded', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const total = 50 * 1024 * 1024;
    const piece = randomBytes(1024 * 1024);
    const sent = createHash('sha256');
    let left = total;
    const stdin = new Readable({
      read() {
        if (left === 0) return void this.push(null);
        left -= piece.length;
        sent.update(piece);
        this.push(piece);
      },
    });
    const received = createHash('sha256');
    let count = 0;
    const stdout = new Writable({
      write(chunk: Buffer, _encoding, done) {
        count += chunk.length;
        received.update(chunk);
        setImmediate(done);
      },
    });
    await daemon.runtime.exec(id, { command: ['cat'], stdin, stdout, tty: false, signal: never });
    expect(count).toBe(total);
    expect(received.digest('hex')).toBe(sent.digest('hex'));
  });

  it('waits for a slow reader instead of storing what it is not read', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const leave = new AbortController();
    let taken = 0;
    const stuck = new Writable({
      highWaterMark: 1024,
      write(chunk: Buffer) {
        taken += chunk.length; // And never asks for more.
      },
    });
    const errors = new Sink();
    const command = [
      'sh',
      '-c',
      'echo begun >&2; head -c 20000000 /dev/zero; echo done > "$CONTAINER_SANDBOX_MOUNT_POINT/done"',
    ];
    const running = daemon.runtime.exec(id, {
      command,
      stdout: stuck,
      stderr: errors,
      tty: false,
      signal: leave.signal,
    });
    await eventually(() => taken > 0 && errors.text === 'begun\n');
    expect((await daemon.exec(id, ['sh', '-c', 'cat done 2>&1; true'])).stdout).not.toContain('done\n');
    expect(stuck.writableLength).toBeLessThan(1_000_000);
    leave.abort();
    await expect(running).rejects.toBe(leave.signal.reason);
  });

  it('that does not read its input does not hinder its end', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const stdin = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    const { exitCode } = await daemon.runtime.exec(id, { command: ['true'], stdin, tty: false, signal: never });
    expect(exitCode).toBe(0);
    expect(stdin.destroyed).toBe(false);
  });

  it('is killed with its children when the client leaves, even while its input is full', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const leave = new AbortController();
    const stdin = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    const stdout = new Sink();
    const running = daemon.runtime.exec(id, {
      command: ['sh', '-c', 'sleep 1015 & echo started; wait'],
      stdin,
      stdout,
      tty: false,
      signal: leave.signal,
    });
    await eventually(() => stdout.text.includes('started'));
    expect((await machine.marked()).length).toBeGreaterThan(2);
    leave.abort();
    await expect(running).rejects.toBe(leave.signal.reason);
    await eventually(async () => (await machine.marked()).length === 1, 'the end of the exec');
    expect(daemon.status(id)).toMatchObject({ state: 'running' });
  });

  it('ends though a child in the background keeps its output open', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    expect(await daemon.exec(id, ['sh', '-c', 'sleep 1016 & echo out'])).toMatchObject({
      exitCode: 0,
      stdout: 'out\n',
    });
  });

  it('of what cannot be started says it in runc’s words', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    await expect(daemon.exec(id, ['nope'])).rejects.toThrow('exec: "nope": executable file not found in $PATH');
    await expect(daemon.exec(id, ['/no/such'])).rejects.toThrow(
      'exec: "/no/such": stat /no/such: no such file or directory',
    );
    await expect(daemon.exec(id, [''])).rejects.toThrow('exec: "": executable file not found in $PATH');
  });

  it('in a container that has ended is a conflict', async () => {
    const { id } = await daemon.start(['true']);
    await daemon.exited(id);
    await expect(daemon.exec(id, ['true'])).rejects.toMatchObject({ code: 'Conflict' });
  });

  it('has a terminal that can be resized', async () => {
    const { id } = await daemon.start(['sleep', '1000']);
    const sizes = new PassThrough({ objectMode: true });
    const stdin = new PassThrough();
    const stdout = new Sink();
    const running = daemon.runtime.exec(id, {
      command: [
        'sh',
        '-c',
        'test -t 0 && test -t 1 && test -t 2 && echo on; while read line; do stty size; [ "$line" = end ] && exit 12; done',
      ],
      stdin,
      stdout,
      tty: true,
      resize: sizes,
      signal: never,
    });
    await eventually(() => stdout.text.includes('on'));
    sizes.write({ width: 132, height: 43 });
    const ask = async () => {
      stdin.write('again\n');
      return stdout.text.includes('43 132');
    };
    await eventually(ask, 'the new size');
    stdin.write('end\n');
    expect(await running).toEqual({ exitCode: 12 });
    sizes.end();
  });
});

describe('attach', () => {
  it('joins what a container writes from now on, for several clients, until it ends', async () => {
    const container = await daemon.start(['sh', '-c', 'read x; echo "got $x"; echo err >&2; read y; exit 0'], {
      stdin: true,
    });
    const stdin = new PassThrough();
    const [one, two, errors] = [new Sink(), new Sink(), new Sink()];
    const first = daemon.runtime.attach(container.id, {
      stdin,
      stdout: one,
      stderr: errors,
      tty: false,
      signal: never,
    });
    const second = daemon.runtime.attach(container.id, { stdout: two, tty: false, signal: never });
    stdin.write('hello\n');
    await eventually(() => one.text === 'got hello\n' && errors.text === 'err\n');
    stdin.write('end\n');
    await Promise.all([first, second]);
    expect(two.text === '' || two.text === 'got hello\n').toBe(true);
    expect(logLines(container)).toContainEqual({ stream: 'stdout', tag: 'F', text: 'got hello' });
  });

  it('leaves the container alone when the client leaves', async () => {
    const { id } = await daemon.start(['sh', '-c', 'read x; exit 3'], { stdin: true });
    const leave = new AbortController();
    const attached = daemon.runtime.attach(id, {
      stdin: new PassThrough(),
      stdout: new Sink(),
      tty: false,
      signal: leave.signal,
    });
    leave.abort();
    await attached;
    expect(daemon.status(id)).toMatchObject({ state: 'running' });
    const stdin = new PassThrough();
    stdin.write('x\n');
    await daemon.runtime.attach(id, { stdin, tty: false, signal: never });
    expect(await daemon.exited(id)).toMatchObject({ exitCode: 3 });
  });

  it('with stdinOnce ends the container’s input with the first client’s', async () => {
    const container = await daemon.start(['sh', '-c', 'cat; echo end'], { stdin: true, stdinOnce: true });
    const stdout = new Sink();
    await daemon.runtime.attach(container.id, {
      stdin: Readable.from([Buffer.from('all\n')]),
      stdout,
      tty: false,
      signal: never,
    });
    expect(stdout.text).toBe('all\nend\n');
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 0 });
  });

  it('drops a client that does not read rather than slow the container down', async () => {
    const container = await daemon.start(['sh', '-c', 'read x; head -c 30000000 /dev/zero | tr "\\0" "\\n"; exit 0'], {
      stdin: true,
    });
    const stuck = new Writable({ highWaterMark: 1, write() {} });
    const stdin = new PassThrough();
    const attached = daemon.runtime.attach(container.id, { stdin, stdout: stuck, tty: false, signal: never });
    stdin.write('go\n');
    expect(await daemon.exited(container.id)).toMatchObject({ exitCode: 0 });
    stuck.destroy();
    await attached.catch(() => {});
  });

  it('reaches a container’s terminal', async () => {
    const container = await daemon.start(['sh', '-c', 'read x; echo "got $x"; stty size'], { stdin: true, tty: true });
    const stdin = new PassThrough();
    const stdout = new Sink();
    async function* sizes() {
      yield { width: 101, height: 51 };
    }
    const attached = daemon.runtime.attach(container.id, { stdin, stdout, tty: true, resize: sizes(), signal: never });
    await eventually(() => container.id !== '');
    stdin.write('me\r');
    await attached;
    expect(stdout.text).toContain('got me\r\n');
    expect(stdout.text).toContain('51 101');
  });
});

describe('port-forward', () => {
  it('connects with the node’s loopback and passes each end on by itself', async () => {
    const server = createServer({ allowHalfOpen: true }, (socket: Socket) => {
      void text(socket).then((got) => socket.end(`got ${got}`));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const sandbox = await daemon.sandbox();
    const [ours, theirs] = duplexPair();
    const forwarding = daemon.runtime.portForward(sandbox.id, port, theirs, never);
    ours.end('hello');
    expect(await text(ours)).toBe('got hello');
    await forwarding;
    server.close();
    await once(server, 'close');
  });

  it('says why a port cannot be reached', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    const sandbox = await daemon.sandbox();
    await expect(daemon.runtime.portForward(sandbox.id, port, duplexPair()[1], never)).rejects.toThrow(
      /IPv4: .*ECONNREFUSED.* IPv6: /,
    );
  });
});
