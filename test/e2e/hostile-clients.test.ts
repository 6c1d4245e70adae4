import { once } from 'node:events';
import { request } from 'node:https';
import { connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';

import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { type ApiConnection, apiConnection } from './api-connection.ts';
import { cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { spawnKubectl } from './kubectl.ts';
import { containerProcesses } from './leftovers.ts';
import { sh, testNode, untilTerminated } from './test-node.ts';

const node = testNode('hostile');

let admin: ApiConnection;
let port: number;
/** A session that all of this must leave alone. */
let bystander: ReturnType<typeof spawnKubectl>;
let heard = '';

beforeAll(async () => {
  admin = await apiConnection();
  port = await node.daemon.ready();
  await node.runPod('target', { command: sh(untilTerminated()) });
  bystander = spawnKubectl(['--namespace', node.namespace, 'exec', '-i', 'target', '--', 'cat'], {
    kubeconfig: node.kubeconfig,
  });
  bystander.stdout.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
});

let words = 0;
afterEach(async () => {
  if (bystander.stdin.writableEnded) return;
  const word = `still here ${++words}\n`;
  bystander.stdin.write(word);
  await eventually(() => heard.endsWith(word), 'the bystander to be answered');
  expect((await answer('GET', '/healthz')).status).toBe(200);
  // What the broken sessions have started goes with them.
  await eventually(
    () => containerProcesses(node.stateDir).every(({ command }) => !command.includes('5001')),
    'the broken sessions to end',
  );
});
afterAll(() => void bystander.kill());

const credentials = () => ({ ...admin.tls, host: cluster.nodeIP, port, rejectUnauthorized: false });

function answer(method: string, path: string, body?: Buffer): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ ...credentials(), method, path, headers: admin.headers }, (response) => {
      text(response).then((all) => resolve({ status: response.statusCode, body: all }), reject);
    });
    sent.on('error', reject).end(body);
  });
}

async function connected(): Promise<TLSSocket> {
  const plain = connectPlain(port, cluster.nodeIP);
  plain.on('error', () => {});
  const socket = connect({ ...credentials(), socket: plain });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  plainOf.set(socket, plain);
  return socket;
}

/** What carries a TLS connection, for resets. */
const plainOf = new WeakMap<TLSSocket, Socket>();

/** An exec whose connection has just been upgraded, and which does not end by itself. */
async function upgraded(headers: Readonly<Record<string, string>>): Promise<TLSSocket> {
  const socket = await connected();
  const query = '?input=1&output=1&error=1&command=sleep&command=5001';
  const lines = Object.entries({ Host: 'node', Connection: 'Upgrade', ...admin.headers, ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  socket.write(
    `${headers['Upgrade'] === 'websocket' ? 'GET' : 'POST'} /exec/${node.namespace}/target/main${query} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`,
  );
  const [head] = (await once(socket, 'data')) as [Buffer];
  expect(head.toString()).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

/** Resolves when the connection has ended, be it by a reset. */
const closed = (socket: Socket) =>
  new Promise<void>((resolve) => {
    socket.resume();
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });

const webSocket = {
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'),
  'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
};
const spdy = { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': 'v4.channel.k8s.io' };

/** A client's WebSocket frame, masked with zeros. */
const frame = (opcode: number, payload: Buffer) =>
  Buffer.concat([Buffer.of(0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0), payload]);

describe('a client of the kubelet API that', () => {
  it('does not speak TLS is cut off', async () => {
    const socket = connectPlain(port, cluster.nodeIP);
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\n\r\n'.repeat(100));
    await closed(socket);
  });

  it('does not speak HTTP is cut off', async () => {
    const socket = await connected();
    socket.write('\0\u0001\u0002 nonsense\r\n\r\n');
    await closed(socket);
  });

  it('sends a body that is too large is answered 413, or cut off while it sends', async () => {
    const tooLarge = await answer(
      'POST',
      `/run/${node.namespace}/target/main?cmd=true`,
      Buffer.alloc(32 * 1024 * 1024),
    ).catch((error: NodeJS.ErrnoException) => error.code);
    expect([413, 'EPIPE', 'ECONNRESET']).toContain(typeof tooLarge === 'object' ? tooLarge.status : tooLarge);

    const socket = await connected();
    socket.write(
      `POST /run/${node.namespace}/target/main?cmd=true HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000), Buffer.from('\r\n')]);
    const send = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', send);
    send();
    await closed(socket);
  });

  it.each([
    { what: 'an unknown version', bytes: Buffer.from([0x80, 0x63, 0, 1, 0, 0, 0, 0]) },
    {
      what: 'a SYN_STREAM that is not compressed',
      bytes: Buffer.concat([Buffer.from([0x80, 3, 0, 1, 0, 0, 0, 40, 0, 0, 0, 1]), Buffer.alloc(36, 0xff)]),
    },
    {
      what: 'data for no stream, then noise',
      bytes: Buffer.concat([Buffer.from([0, 0, 0, 99, 0, 0, 0, 1, 65]), Buffer.alloc(4096, 0xa5)]),
    },
  ])('sends a malformed SPDY frame loses that connection only: $what', async ({ bytes }) => {
    const socket = await upgraded(spdy);
    socket.write(bytes);
    await closed(socket);
  });

  it.each([
    { what: 'a reserved opcode', bytes: frame(0xb, Buffer.from('x')) },
    { what: 'no mask', bytes: Buffer.from([0x82, 2, 0, 65]) },
    { what: 'a channel that does not exist', bytes: frame(2, Buffer.from([77, 1, 2, 3])) },
    { what: 'a close frame of one byte', bytes: frame(8, Buffer.of(3)) },
  ])('sends a malformed WebSocket message loses that connection only: $what', async ({ what, bytes }) => {
    const socket = await upgraded(webSocket);
    socket.write(bytes);
    // Kubernetes drops what comes on a channel that it does not know.
    if (what === 'a channel that does not exist') socket.destroy();
    await closed(socket);
  });

  it.each([
    { protocol: 'SPDY', headers: spdy },
    { protocol: 'WebSocket', headers: webSocket },
  ])('vanishes in the middle of a session takes along what that has started: $protocol', async ({ headers }) => {
    const socket = await upgraded(headers);
    if (headers === webSocket)
      await eventually(
        () => containerProcesses(node.stateDir).some(({ command }) => command === 'sleep 5001'),
        'the command to run',
      );
    plainOf.get(socket)!.resetAndDestroy();
    await closed(socket);
  });

  it('leaves in the middle of a log that it follows is forgotten', async () => {
    const sent = request({
      ...credentials(),
      path: `/containerLogs/${node.namespace}/target/main?follow=true`,
      headers: admin.headers,
    }).end();
    const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream & { statusCode: number }];
    expect(response.statusCode).toBe(200);
    sent.on('error', () => {});
    sent.destroy();
  });

  it('has no credentials, or is nobody who may, is turned away: upgraded or not', async () => {
    const anonymous = (path: string, headers: Record<string, string> = {}) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { host: cluster.nodeIP, port, rejectUnauthorized: false, path, headers };
        const sent = request(options, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        sent.on('upgrade', () => resolve(101));
        sent.on('error', reject).end();
      });
    expect(await anonymous('/pods')).toBe(401);
    expect(
      await anonymous(`/exec/${node.namespace}/target/main?output=1&command=true`, {
        Connection: 'Upgrade',
        ...webSocket,
      }),
    ).toBe(401);
    const token = (await node.kubectl(['create', 'token', 'default'])).trim();
    const authorization = `Bearer ${token}`;
    expect(await anonymous('/pods', { authorization })).toBe(403);
    expect(
      await anonymous(`/exec/${node.namespace}/target/main?output=1&command=true`, {
        authorization,
        Connection: 'Upgrade',
        ...webSocket,
      }),
    ).toBe(403);
  });

  it('is none of these has noticed nothing', async () => {
    expect(node.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    const ended = once(bystander, 'close');
    bystander.stdin.end('goodbye\n');
    expect(await ended).toEqual([0, null]);
    expect(heard).toMatch(/goodbye\n$/);
  });
});
