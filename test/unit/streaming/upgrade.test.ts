import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';

import { servePortForward, serveRemoteCommand, UpgradeRefused, writeRefusal } from '../../../src/streaming/index.ts';
import type { Upgrade } from '../../../src/streaming/index.ts';
import { readAll } from './spdy-pair.ts';

const want = { stdin: false, stdout: true, stderr: false, tty: false };
const spdy = { host: 'node:10250', connection: 'Upgrade', upgrade: 'SPDY/3.1' };
const webSocket = { host: 'node:10250', connection: 'Upgrade', upgrade: 'websocket' };

function upgradeOf(
  headers: Record<string, string>,
  { method = 'POST', url = '/' } = {},
): Upgrade & { socket: PassThrough } {
  return {
    request: { method, url, headers } as unknown as IncomingMessage,
    socket: new PassThrough(),
    head: Buffer.alloc(0),
  };
}

/** The refusal of an upgrade, of which nothing may have been written. */
async function refusalOf(
  serve: (upgrade: Upgrade) => Promise<void>,
  upgrade: Upgrade & { socket: PassThrough },
): Promise<UpgradeRefused> {
  const failure: unknown = await serve(upgrade).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(UpgradeRefused);
  expect(upgrade.socket.readableLength).toBe(0);
  return failure as UpgradeRefused;
}

const exec = (upgrade: Upgrade) => serveRemoteCommand(upgrade, want, () => Promise.reject(new Error('must not run')));
const forward = (upgrade: Upgrade) =>
  servePortForward(upgrade, () => Promise.reject(new Error('must not dial')), { pod: 'p' });

describe('an upgrade that is refused', () => {
  it.each([
    ['no upgrade at all', {}],
    ['Upgrade without Connection', { upgrade: 'SPDY/3.1' }],
    ['Connection without Upgrade', { connection: 'Upgrade' }],
  ])('is 500 for what asks for none: %s', async (_, headers) => {
    for (const serve of [exec, forward]) {
      expect(await refusalOf(serve, upgradeOf(headers as Record<string, string>))).toMatchObject({
        status: 500,
        body: 'Upgrade request required\n',
        headers: { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff' },
      });
    }
  });

  it('is 400 for SPDY that names no stream protocol, with the number of headers that Go counts', async () => {
    expect(await refusalOf(exec, upgradeOf(spdy))).toMatchObject({
      status: 400,
      code: 'InvalidInput',
      body: 'unable to upgrade: header X-Stream-Protocol-Version does not exist in request with 2 headers\n',
    });
    expect(await refusalOf(exec, upgradeOf({ ...spdy, 'x-stream-protocol-version': '' }))).toMatchObject({
      status: 400,
      body: 'unable to upgrade: header X-Stream-Protocol-Version contains [], but no valid protocols\n',
    });
  });

  it('is 403 for SPDY without a common protocol, and says what there is', async () => {
    const unknown = { ...spdy, 'x-stream-protocol-version': 'v9.channel.k8s.io, v5.channel.k8s.io' };
    expect(await refusalOf(exec, upgradeOf(unknown))).toMatchObject({
      status: 403,
      code: 'Forbidden',
      body: 'unable to upgrade: unable to negotiate protocol: client supports [v9.channel.k8s.io v5.channel.k8s.io], server accepts [v4.channel.k8s.io v3.channel.k8s.io v2.channel.k8s.io channel.k8s.io]\n',
      headers: {
        'X-Accepted-Stream-Protocol-Versions': [
          'v4.channel.k8s.io',
          'v3.channel.k8s.io',
          'v2.channel.k8s.io',
          'channel.k8s.io',
        ],
      },
    });
    expect(await refusalOf(forward, upgradeOf(unknown))).toMatchObject({
      status: 403,
      headers: { 'X-Accepted-Stream-Protocol-Versions': ['portforward.k8s.io'] },
    });
  });

  it('is 400 for an upgrade to something else', async () => {
    const other = { connection: 'Upgrade', upgrade: 'h2c', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
    expect((await refusalOf(exec, upgradeOf(other))).status).toBe(400);
  });

  it('is 403 for a WebSocket without a common subprotocol', async () => {
    const unknown = { ...webSocket, 'sec-websocket-protocol': 'v9.channel.k8s.io' };
    for (const serve of [exec, forward]) {
      const refused = await refusalOf(serve, upgradeOf(unknown, { method: 'GET' }));
      expect(refused.status).toBe(403);
      expect(refused.body).toMatch(/^requested protocol\(s\) are not supported: \[v9\.channel\.k8s\.io\]; supports /);
    }
  });

  it('is 405 for a WebSocket that is not a GET', async () => {
    expect((await refusalOf(exec, upgradeOf(webSocket))).status).toBe(405);
  });

  it('is 400 for a WebSocket handshake that is malformed', async () => {
    expect(
      (await refusalOf(exec, upgradeOf({ ...webSocket, 'sec-websocket-version': '13' }, { method: 'GET' }))).status,
    ).toBe(400);
  });

  it.each([
    ['/portForward/ns/p', 'query parameter "port" is required'],
    ['/portForward/ns/p?port=', 'query parameter "port" cannot be empty'],
    [
      '/portForward/ns/p?port=80,http',
      'unable to parse "80,http" as a port: strconv.ParseUint: parsing "http": invalid syntax',
    ],
    [
      '/portForward/ns/p?port=70000',
      'unable to parse "70000" as a port: strconv.ParseUint: parsing "70000": value out of range',
    ],
    ['/portForward/ns/p?port=0', 'port "0" must be > 0'],
  ])('is 400 for old port forwarding with wrong ports: %s', async (url, body) => {
    expect(await refusalOf(forward, upgradeOf(webSocket, { method: 'GET', url }))).toMatchObject({ status: 400, body });
  });

  it('can be written to a bare socket', async () => {
    const socket = new PassThrough();
    writeRefusal(socket, new UpgradeRefused(403, 'no', { 'X-Accepted-Stream-Protocol-Versions': ['a', 'b'] }));
    expect((await readAll(socket)).toString()).toBe(
      'HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n' +
        'X-Accepted-Stream-Protocol-Versions: a\r\nX-Accepted-Stream-Protocol-Versions: b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno',
    );
  });
});
