import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { RemoteStreams, TerminalSize } from '../../../src/providers/contract.ts';
import { openRemoteCommand, UpgradeRefused } from '../../../src/streaming/index.ts';
import type {
  RemoteCommandClient,
  RemoteCommandTarget,
  RunRemoteCommand,
  WantedStreams,
} from '../../../src/streaming/index.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { MemoryLogger } from '../../../src/testing/memory-logger.ts';
import { countBytes, pour, readAll, selfSigned, StreamingServer, until } from './streaming-server.ts';
import type { ServedStreams } from './streaming-server.ts';

const outputOnly = { stdin: false, stdout: true, stderr: true, tty: false };
const everything = { ...outputOnly, stdin: true };
const terminal = { stdin: true, stdout: true, stderr: false, tty: true };

/** What a command does that copies its stdin to stdout. */
const echo: RunRemoteCommand = async ({ stdin, stdout, stderr }) => {
  stderr?.end();
  await pipeline(stdin as NonNullable<typeof stdin>, stdout as NonNullable<typeof stdout>);
  return { exitCode: 0 };
};

let tls: { key: string; cert: string };
beforeAll(async () => {
  tls = await selfSigned();
});

const servers: StreamingServer[] = [];
const clients: RemoteCommandClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const server of servers.splice(0)) {
    await until(() => server.serving === 0);
    await server.stop();
    expect(server.failures).toEqual([]);
  }
});

async function serve(served: ServedStreams): Promise<StreamingServer> {
  const server = await StreamingServer.start(served, tls);
  servers.push(server);
  return server;
}

async function open(
  server: StreamingServer,
  want: WantedStreams,
  options: Partial<RemoteCommandTarget> & Pick<RemoteCommandTarget, 'transport'>,
): Promise<RemoteCommandClient> {
  const url = new URL(`https://127.0.0.1:${server.port}/exec`);
  for (const [name, on] of Object.entries({
    input: want.stdin,
    output: want.stdout,
    error: want.stderr,
    tty: want.tty,
  })) {
    if (on) url.searchParams.set(name, '1');
  }
  const client = await openRemoteCommand({ url, tls: { ca: tls.cert }, ...options }, want);
  clients.push(client);
  return client;
}

/** What a client that only reads gets to see. */
async function outcomeOf({ stdout, stderr, status }: RemoteCommandClient) {
  const text = async (stream?: AsyncIterable<Uint8Array>) =>
    stream === undefined ? '' : (await readAll(stream)).toString();
  const [out, err, ended] = await Promise.all([text(stdout), text(stderr), status]);
  return { out, err, status: ended };
}

const transports = ['spdy', 'websocket'] as const;

const nonZero = {
  metadata: {},
  status: 'Failure',
  message: 'command terminated with non-zero exit code: command terminated with exit code 3',
  reason: 'NonZeroExitCode',
  details: { causes: [{ reason: 'ExitCode', message: '3' }] },
};
const plainNonZero = { status: 'Failure', message: nonZero.message };

/** Every protocol, and how it says that a command ended well and with exit code 3. */
const protocols: ['spdy' | 'websocket', string[], object | undefined, object | undefined][] = [
  ['spdy', ['v5.channel.k8s.io', 'v4.channel.k8s.io'], { metadata: {}, status: 'Success' }, nonZero],
  ['spdy', ['v3.channel.k8s.io'], undefined, plainNonZero],
  ['spdy', ['v2.channel.k8s.io'], undefined, plainNonZero],
  // The first version resets its error stream: no status ever.
  ['spdy', ['channel.k8s.io'], undefined, undefined],
  ['websocket', ['v5.channel.k8s.io', 'v4.channel.k8s.io'], { metadata: {}, status: 'Success' }, nonZero],
  ['websocket', ['v9.channel.k8s.io', 'v4.channel.k8s.io'], { metadata: {}, status: 'Success' }, nonZero],
  ['websocket', ['v4.base64.channel.k8s.io'], { metadata: {}, status: 'Success' }, nonZero],
  ['websocket', ['channel.k8s.io'], undefined, plainNonZero],
  ['websocket', ['base64.channel.k8s.io'], undefined, plainNonZero],
  ['websocket', [], undefined, plainNonZero],
];

describe.each(protocols)('a remote command over %s %j', (transport, offered, success, failure) => {
  const answersTo = async (exitCode: number) => {
    const server = await serve({
      async run({ stdout, stderr }) {
        stdout?.end('to stdout');
        stderr?.end('to stderr');
        return { exitCode };
      },
    });
    return outcomeOf(await open(server, outputOnly, { transport, protocols: offered }));
  };

  it('delivers output and success', async () => {
    expect(await answersTo(0)).toEqual({ out: 'to stdout', err: 'to stderr', status: success });
  });

  it('delivers a non-zero exit code', async () => {
    expect(await answersTo(3)).toEqual({ out: 'to stdout', err: 'to stderr', status: failure });
  });

  it('keeps any bytes in both directions', async () => {
    const bytes = Buffer.concat([Buffer.from(Array.from({ length: 256 }, (_, i) => i)), randomBytes(300_000)]);
    const server = await serve({
      // Before v5 a WebSocket cannot say that stdin ended, so the command ends when it has seen all.
      async run({ stdin, stdout }) {
        let seen = 0;
        for await (const chunk of stdin as AsyncIterable<Buffer>) {
          stdout?.write(chunk);
          if ((seen += chunk.length) === bytes.length) break;
        }
      },
    });
    const client = await open(server, everything, { transport, protocols: offered });
    client.stdin?.end(bytes);
    client.stderr?.resume();
    expect((await readAll(client.stdout as AsyncIterable<Buffer>)).equals(bytes)).toBe(true);
  });
});

describe.each(transports)('a remote command over %s', (transport) => {
  it('ends its stdin when the client ends it', async () => {
    const server = await serve({ run: echo });
    const client = await open(server, everything, { transport });
    client.stdin?.end('all there is');
    expect(await outcomeOf(client)).toMatchObject({ out: 'all there is', status: { status: 'Success' } });
  });

  it('reports what it could not do', async () => {
    const log = new MemoryLogger();
    const run = () => Promise.reject(new Error('no such file'));
    const server = await serve({ run, options: { log, activity: 'attaching to container' } });
    const message = 'error attaching to container: no such file';
    expect((await outcomeOf(await open(server, outputOnly, { transport }))).status).toEqual({
      metadata: {},
      status: 'Failure',
      message: `Internal error occurred: ${message}`,
      reason: 'InternalError',
      details: { causes: [{ message }] },
      code: 500,
    });
    expect(log.lines.map(({ message: line }) => line)).toEqual(['remote command failed']);
  });

  it('has the streams that were asked for and no other', async () => {
    const given = Promise.withResolvers<RemoteStreams>();
    const server = await serve({ run: async (streams) => given.resolve(streams) });
    await outcomeOf(await open(server, { stdin: false, stdout: true, stderr: false, tty: false }, { transport }));
    const streams = await given.promise;
    expect(Object.keys(streams).sort()).toEqual(['signal', 'stdout', 'tty']);
    expect(streams.signal.aborted).toBe(false);
  });

  it('with a terminal has no stderr, and hears of its size', async () => {
    const sizes: TerminalSize[] = [];
    const server = await serve({
      async run({ stderr, resize, tty }) {
        expect([stderr, tty]).toEqual([undefined, true]);
        for await (const size of resize as AsyncIterable<TerminalSize>) if (sizes.push(size) === 3) return;
      },
    });
    const client = await open(server, terminal, { transport });
    client.resize({ width: 121, height: 41 });
    client.resize({ width: 120, height: 40 });
    client.resize({ width: 0, height: 65_535 });
    expect((await outcomeOf(client)).status).toMatchObject({ status: 'Success' });
    expect(sizes).toEqual([
      { width: 121, height: 41 },
      { width: 120, height: 40 },
      { width: 0, height: 65_535 },
    ]);
  });

  it.each([
    ['in order', (client: RemoteCommandClient) => client.close()],
    [
      'by dying',
      (_: RemoteCommandClient, server: StreamingServer) => server.sockets.forEach((socket) => socket.destroy()),
    ],
  ])('is aborted when its client leaves %s', async (_, leave) => {
    const started = Promise.withResolvers<void>();
    const aborted = Promise.withResolvers<void>();
    const server = await serve({
      async run({ signal }) {
        signal.addEventListener('abort', () => aborted.resolve(), { once: true });
        started.resolve();
        await aborted.promise;
        throw signal.reason;
      },
    });
    const client = await open(server, everything, { transport });
    await started.promise;
    void leave(client, server);
    await aborted.promise;
    await until(() => server.serving === 0);
  });

  it('is aborted when its client dies while stdin is stalled', async () => {
    const clock = new FakeClock();
    const server = await serve({
      options: { clock, idleTimeoutMs: Number.MAX_SAFE_INTEGER / 2 },
      run: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    });
    const life = new AbortController();
    const client = await open(server, everything, { transport, signal: life.signal });
    const input = client.stdin as NonNullable<typeof client.stdin>;
    while (server.sockets.every((socket) => !socket.isPaused())) {
      input.write(Buffer.alloc(64 * 1024));
      await new Promise((resolve) => setImmediate(resolve));
    }
    life.abort(new Error('killed'));
    // Reading is held back, so only writing shows that nobody is there.
    while (server.serving > 0) await clock.advance(2_000);
  });

  it('is closed when its signal aborts', async () => {
    const stop = new AbortController();
    const server = await serve({
      options: { signal: stop.signal },
      run: ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
        ),
    });
    const client = await open(server, outputOnly, { transport });
    stop.abort(new Error('the node stops'));
    expect((await outcomeOf(client)).status).toBeUndefined();
  });

  it('is closed when it was idle for too long', async () => {
    const clock = new FakeClock();
    const server = await serve({
      options: { clock, idleTimeoutMs: 60_000 },
      run: ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    });
    const client = await open(server, outputOnly, { transport });
    await until(() => server.serving === 1);
    await clock.advance(60_000);
    expect((await outcomeOf(client)).status).toBeUndefined();
  });

  it('holds a bounded number of bytes for a client that does not read', async () => {
    let written = 0;
    const server = await serve({
      async run({ stdout, stderr }) {
        stderr?.end();
        await pour(stdout as NonNullable<typeof stdout>, 64 * 1024 * 1024, (count) => (written = count));
      },
    });
    const client = await open(server, outputOnly, { transport });
    const stalled = async () => {
      for (
        let before = -1;
        before !== written;
        await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      )
        before = written;
    };
    await until(() => written > 0);
    await stalled();
    // What the kernels' socket buffers hold is theirs; what this process holds for the socket is little.
    const [socket] = server.sockets;
    expect(socket?.writableLength).toBeLessThan(1024 * 1024);
    expect(written).toBeLessThan(64 * 1024 * 1024);
    expect(await countBytes(client.stdout as AsyncIterable<Buffer>)).toBe(64 * 1024 * 1024);
  });

  it('moves 100 MB out and 100 MB in at a steady memory', async () => {
    const size = 100 * 1024 * 1024;
    let received = 0;
    const server = await serve({
      async run({ stdin, stdout, stderr }) {
        stderr?.end();
        const reading = countBytes(stdin as AsyncIterable<Buffer>).then((count) => (received = count));
        await pour(stdout as NonNullable<typeof stdout>, size);
        await reading;
        return { exitCode: 0 };
      },
    });
    const client = await open(server, everything, { transport });
    const before = process.memoryUsage().rss;
    let peak = 0;
    const writing = pour(client.stdin as NonNullable<typeof client.stdin>, size).then(() => client.stdin?.end());
    let count = 0;
    for await (const chunk of client.stdout as AsyncIterable<Buffer>) {
      count += chunk.length;
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    await writing;
    expect((await client.status)?.status).toBe('Success');
    expect([count, received]).toEqual([size, size]);
    expect(peak - before).toBeLessThan(150 * 1024 * 1024);
  }, 60_000);

  it('serves fifty at once', async () => {
    const server = await serve({ run: echo });
    const sent = Array.from({ length: 50 }, () => randomBytes(50_000));
    const echoes = await Promise.all(
      sent.map(async (bytes) => {
        const client = await open(server, everything, { transport });
        client.stdin?.end(bytes);
        client.stderr?.resume();
        const [echoed, status] = await Promise.all([readAll(client.stdout as AsyncIterable<Buffer>), client.status]);
        return status?.status === 'Success' && echoed.equals(bytes);
      }),
    );
    expect(echoes.every(Boolean)).toBe(true);
  });
});

describe('a remote command', () => {
  it.each([
    ['spdy' as const, ['v5.channel.k8s.io'], 403],
    ['websocket' as const, ['v9.channel.k8s.io'], 403],
  ])('over %s without a common protocol is refused', async (transport, offered, status) => {
    const server = await serve({ run: echo });
    const refused = await open(server, outputOnly, { transport, protocols: offered }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(UpgradeRefused);
    expect(refused).toMatchObject({ status });
  });

  it('is not run for a SPDY client that does not create its streams in time', async () => {
    const clock = new FakeClock();
    const log = new MemoryLogger();
    const server = await serve({
      run: () => Promise.reject(new Error('must not run')),
      options: { clock, log, creationTimeoutMs: 30_000 },
    });
    const socket = await upgradedSocket(server);
    await clock.advance(30_000);
    socket.resume();
    await new Promise((resolve) => socket.once('end', resolve));
    socket.end();
    await until(() => server.serving === 0);
    expect(log.lines.map(({ message }) => message)).toEqual(['timed out waiting for client to create streams']);
  });

  it('of another client goes on when one sends malformed frames', async () => {
    const server = await StreamingServer.start({ run: echo });
    servers.push(server);
    const url = new URL(`http://127.0.0.1:${server.port}/exec?input=1&output=1`);
    const client = await openRemoteCommand({ url, transport: 'spdy' }, { ...everything, stderr: false });
    clients.push(client);
    const socket = await upgradedSocket(server);
    socket.resume();
    socket.write(randomBytes(1000).fill(0xff, 0, 8));
    await new Promise((resolve) => socket.once('close', resolve));
    client.stdin?.end('still here');
    expect(await outcomeOf(client)).toMatchObject({ out: 'still here', status: { status: 'Success' } });
  });
});

/** A bare connection that was upgraded to SPDY and says nothing more. Over TLS the server's port is reached with `tls`. */
async function upgradedSocket(server: StreamingServer): Promise<Socket> {
  const socket = server.secure
    ? (await import('node:tls')).connect({ port: server.port, host: '127.0.0.1', ca: tls.cert })
    : connect(server.port, '127.0.0.1');
  socket.write(
    'POST /exec?output=1 HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n' +
      'X-Stream-Protocol-Version: v4.channel.k8s.io\r\nContent-Length: 0\r\n\r\n',
  );
  const head = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.pause();
  socket.on('error', () => {});
  expect(head.toString()).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
  );
  return socket;
}
