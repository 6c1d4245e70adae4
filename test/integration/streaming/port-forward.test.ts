import { randomBytes } from 'node:crypto';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';

import { systemClock } from '../../../src/core/clock.ts';
import { openPortForward } from '../../../src/streaming/index.ts';
import type { DialPort, PortForwardClient } from '../../../src/streaming/index.ts';
import { requestSpdy } from '../../../src/streaming/client/upgrade-request.ts';
import { SpdyConnection } from '../../../src/streaming/spdy/connection.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';
import { countBytes, pour, readAll, selfSigned, StreamingServer, until } from './streaming-server.ts';
import type { ServedStreams } from './streaming-server.ts';

let tls: { key: string; cert: string };
beforeAll(async () => {
  tls = await selfSigned();
});

const servers: StreamingServer[] = [];
const clients: PortForwardClient[] = [];
const pods: Server[] = [];
const podSockets: Socket[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const server of servers.splice(0)) {
    await until(() => server.serving === 0);
    await server.stop();
    expect(server.failures).toEqual([]);
  }
  for (const socket of podSockets.splice(0)) socket.destroy();
  await Promise.all(pods.splice(0).map((pod) => new Promise((resolve) => pod.close(resolve))));
});

/** A program in the pod: listens on a free port and treats each connection as told. */
async function listen(onConnection: (socket: Socket) => void): Promise<number> {
  const pod = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    podSockets.push(socket);
    onConnection(socket);
  });
  pods.push(pod);
  await new Promise<void>((resolve) => pod.listen(0, '127.0.0.1', resolve));
  return (pod.address() as AddressInfo).port;
}

/** What a provider does with a forwarded connection. */
const dial: DialPort = async (port, stream, signal) => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await Promise.all([pipeline(stream, socket, { signal }), pipeline(socket, stream, { signal })]);
};

async function serve(served: ServedStreams = { dial }): Promise<StreamingServer> {
  const server = await StreamingServer.start(served, tls);
  servers.push(server);
  return server;
}

async function open(server: StreamingServer, transport: 'spdy' | 'websocket'): Promise<PortForwardClient> {
  const url = new URL(`https://127.0.0.1:${server.port}/portForward`);
  const client = await openPortForward({ url, tls: { ca: tls.cert }, transport });
  clients.push(client);
  return client;
}

const echo = (socket: Socket) => void socket.pipe(socket);

describe.each(['spdy', 'websocket'] as const)('port forwarding over %s', (transport) => {
  it('carries any bytes both ways, and the half-close of each side', async () => {
    const port = await listen((socket) => {
      const parts: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => void parts.push(chunk));
      // Answers only when the client has finished asking.
      socket.on('end', () => void socket.end(Buffer.concat(parts)));
    });
    const client = await open(await serve(), transport);
    const { data, error } = await client.connect(port);
    const bytes = randomBytes(500_000);
    data.end(bytes);
    expect((await readAll(data)).equals(bytes)).toBe(true);
    expect(await error).toBe('');
    expect(client.signal.aborted).toBe(false);
  });

  it('forwards many connections at once', async () => {
    const port = await listen(echo);
    const client = await open(await serve(), transport);
    const sent = Array.from({ length: 50 }, () => randomBytes(20_000));
    const echoes = await Promise.all(
      sent.map(async (bytes) => {
        const { data } = await client.connect(port);
        data.end(bytes);
        return (await readAll(data)).equals(bytes);
      }),
    );
    expect(echoes.every(Boolean)).toBe(true);
  });

  it('says why a port cannot be reached, and goes on with others', async () => {
    const port = await listen(echo);
    const server = await serve({
      dial: (number, ...rest) =>
        number === 1 ? Promise.reject(new Error('connection refused')) : dial(number, ...rest),
    });
    const client = await open(server, transport);
    const refused = await client.connect(1);
    expect(await refused.error).toBe('error forwarding port 1 to pod sandbox, uid : connection refused');
    expect(await readAll(refused.data)).toEqual(Buffer.alloc(0));
    const { data } = await client.connect(port);
    data.end('hello');
    expect((await readAll(data)).toString()).toBe('hello');
  });

  it('moves 50 MB each way', async () => {
    const size = 50 * 1024 * 1024;
    const client = await open(await serve(), transport);
    const { data } = await client.connect(await listen(echo));
    const [count] = await Promise.all([countBytes(data), pour(data, size).then(() => data.end())]);
    expect(count).toBe(size);
  }, 60_000);

  it('ends every dial when the client leaves', async () => {
    const port = await listen((socket) => void socket.resume());
    const server = await serve();
    const client = await open(server, transport);
    await Promise.all([client.connect(port), client.connect(port)]);
    await client.close();
    await until(() => server.serving === 0);
  });

  it('closes when its signal aborts: the pod is gone', async () => {
    const gone = new AbortController();
    const server = await serve({ dial, options: { signal: gone.signal } });
    const client = await open(server, transport);
    const { data } = await client.connect(await listen((socket) => void socket.resume()));
    gone.abort(new Error('the pod is gone'));
    await readAll(data).catch(() => {});
    await until(() => client.signal.aborted);
  });
});

describe('port forwarding over SPDY', () => {
  async function connection(server: StreamingServer): Promise<SpdyConnection> {
    const url = new URL(`https://127.0.0.1:${server.port}/portForward`);
    const { transport } = await requestSpdy({ url, tls: { ca: tls.cert } }, ['portforward.k8s.io']);
    const client = new SpdyConnection(transport, { role: 'client', clock: systemClock });
    clients.push({
      signal: client.signal,
      connect: () => Promise.reject(new Error('not used')),
      close() {
        client.close();
        return client.closed;
      },
    });
    return client;
  }

  it.each([
    { streamType: 'data' },
    { streamType: 'data', port: '0' },
    { streamType: 'data', port: '65536' },
    { streamType: 'data', port: 'http' },
    { port: '80' },
    { port: '80', streamType: 'stdin' },
  ])('refuses a stream with wrong headers: %j', async (headers) => {
    const client = await connection(await serve());
    await expect(client.open(headers as Record<string, string>)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(client.signal.aborted).toBe(false);
  });

  it('pairs the streams of clients that send no request id', async () => {
    const client = await connection(await serve());
    const port = String(await listen(echo));
    await client.open({ streamType: 'error', port });
    const data = await client.open({ streamType: 'data', port });
    data.end('old client');
    expect((await readAll(data)).toString()).toBe('old client');
  });

  it('gives up a pair whose other stream does not come', async () => {
    const clock = new FakeClock();
    const client = await connection(await serve({ dial, options: { clock } }));
    const error = await client.open({ streamType: 'error', port: '80', requestID: '7' });
    await clock.advance(30_000);
    expect((await readAll(error)).toString()).toMatch(/request=7\) timed out waiting for streams$/);
  });

  it('says so when a request has a stream twice', async () => {
    const client = await connection(await serve());
    const error = await client.open({ streamType: 'error', port: '80', requestID: '7' });
    await client.open({ streamType: 'error', port: '80', requestID: '7' });
    const [said] = (await new Promise((resolve) => error.once('data', (...args) => resolve(args)))) as [Buffer];
    expect(said.toString()).toBe('error processing stream for request 7: error stream already assigned');
  });

  it('delivers what a client sent before it reset the stream, and says nothing of the rest', async () => {
    const clock = new FakeClock();
    const delivered = Promise.withResolvers<string>();
    const server = await serve({
      options: { clock },
      async dial(_, stream: Duplex, signal) {
        delivered.resolve((await readAll(stream)).toString());
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        throw signal.reason;
      },
    });
    const client = await connection(server);
    const error = await client.open({ streamType: 'error', port: '80', requestID: '0' });
    const data = await client.open({ streamType: 'data', port: '80', requestID: '0' });
    data.write('the last words', () => data.destroy());
    expect(await delivered.promise).toBe('the last words');
    await clock.advance(1_000);
    expect((await readAll(error)).toString()).toBe('');
    expect(client.signal.aborted).toBe(false);
  });
});

describe('port forwarding over WebSocket channels', () => {
  async function openChannels(
    server: StreamingServer,
    query: string,
    protocol?: string,
  ): Promise<{ socket: WebSocket; messages: Buffer[] }> {
    const socket = new WebSocket(
      `wss://127.0.0.1:${server.port}/portForward?${query}`,
      protocol === undefined ? [] : [protocol],
      { ca: tls.cert },
    );
    const messages: Buffer[] = [];
    socket.on('message', (message) => messages.push(message as Buffer));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return { socket, messages };
  }

  it.each([undefined, 'v4.channel.k8s.io'])(
    'names the port on every channel, then carries bytes: %s',
    async (protocol) => {
      const [first, second] = [await listen(echo), await listen((socket) => void socket.end('second'))];
      const { socket, messages } = await openChannels(await serve(), `port=${first},${second}`, protocol);
      await until(() => messages.length >= 4);
      const greeting = (channel: number, port: number) => Buffer.from([channel, port & 0xff, port >> 8]);
      expect(messages.slice(0, 4)).toEqual([
        greeting(0, first),
        greeting(1, first),
        greeting(2, second),
        greeting(3, second),
      ]);
      socket.send(Buffer.from([0, 1, 2, 0xff]));
      await until(() => messages.length >= 6);
      expect(messages.slice(4).toSorted((a, b) => a.compare(b))).toEqual([
        Buffer.from([0, 1, 2, 0xff]),
        Buffer.from('\u0002second'),
      ]);
      socket.close();
      await new Promise((resolve) => socket.once('close', resolve));
    },
  );

  it('speaks base64, tells what failed, and closes with 1000 when every port is done', async () => {
    const server = await serve({
      async dial(port, stream) {
        if (port === 2) throw new Error('connection refused');
        stream.end('done');
      },
    });
    const { socket, messages } = await openChannels(server, 'port=1&port=2', 'v4.base64.channel.k8s.io');
    const code = await new Promise((resolve) => socket.once('close', resolve));
    expect(code).toBe(1000);
    const texts = messages.map(
      (message) => `${message.toString()[0]} ${Buffer.from(message.toString().slice(1), 'base64').toString('latin1')}`,
    );
    expect(texts.slice(0, 4)).toEqual(['0 \x01\0', '1 \x01\0', '2 \x02\0', '3 \x02\0']);
    expect(texts.slice(4).toSorted()).toEqual([
      '0 done',
      '3 error forwarding port 2 to pod sandbox, uid : connection refused',
    ]);
  });
});
