import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, describe, expect, it } from '@jest/globals';

import { silentLogger } from '../../../src/core/logger.ts';
import { createHealthServer, type HealthCheck, type HealthServer } from '../../../src/server/index.ts';

const well: HealthCheck = { name: 'ping', check: () => Promise.resolve() };
const servers: HealthServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

function create(options: { checks?: readonly HealthCheck[]; notReady?: () => string | undefined } = {}): HealthServer {
  const server = createHealthServer({ checks: [well], notReady: () => undefined, log: silentLogger, ...options });
  servers.push(server);
  return server;
}

async function start(options: Parameters<typeof create>[0] = {}): Promise<string> {
  const { port } = await create(options).listen('127.0.0.1', 0);
  return `http://127.0.0.1:${port}`;
}

async function ask(url: string, init?: RequestInit): Promise<[status: number, body: string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

describe('/healthz without authentication', () => {
  it('is ok while every check holds', async () => {
    const url = await start({ checks: [well, { ...well, name: 'syncloop' }] });
    expect(await ask(`${url}/healthz`)).toEqual([200, 'ok']);
    expect(await ask(`${url}/healthz?verbose`)).toEqual([200, '[+]ping ok\n[+]syncloop ok\nhealthz check passed\n']);
    expect(await ask(`${url}/healthz/syncloop`)).toEqual([200, 'ok']);
  });

  it('names the check that fails, and keeps its reason to itself', async () => {
    const url = await start({
      checks: [well, { name: 'syncloop', check: () => Promise.reject(new Error('stuck at the secret')) }],
    });
    expect(await ask(`${url}/healthz`)).toEqual([
      500,
      '[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n',
    ]);
  });
});

describe('/readyz', () => {
  it('says in a sentence why the node is not ready, until it is', async () => {
    let problem: string | undefined = 'node laptop is not Ready yet: the daemon is starting';
    const url = await start({ notReady: () => problem });
    expect(await ask(`${url}/readyz`)).toEqual([503, 'node laptop is not Ready yet: the daemon is starting\n']);
    problem = undefined;
    expect(await ask(`${url}/readyz`)).toEqual([200, 'ok']);
  });
});

describe('the health server', () => {
  it('has nothing of the kubelet API', async () => {
    const url = await start();
    for (const path of ['/', '/pods', '/exec/a/b/c', '/metrics', '/healthz/other', '/readyz/ping']) {
      expect(await ask(url + path)).toEqual([404, '404 page not found\n']);
    }
  });

  it('answers a request that offers an upgrade as any other', async () => {
    const { hostname, port } = new URL(await start());
    const socket = connect(Number(port), hostname);
    socket.end('GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n');
    const [head] = (await once(socket, 'data')) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    socket.destroy();
  });

  it('refuses a body that is too large', async () => {
    const url = await start();
    expect(await ask(`${url}/healthz`, { method: 'POST', body: 'x'.repeat(5 << 10) })).toEqual([
      413,
      'Request Entity Too Large',
    ]);
  });

  it('names the address when its port is taken', async () => {
    const { port } = new URL(await start());
    await expect(create().listen('127.0.0.1', Number(port))).rejects.toMatchObject({
      code: 'Conflict',
      message: `healthz cannot listen on 127.0.0.1:${port}: the port is in use`,
    });
  });

  it('closes at once under a client that stays connected, twice if asked, and unopened too', async () => {
    const server = create();
    const { port } = await server.listen('127.0.0.1', 0);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    await Promise.all([server.close(), server.close(), closed]);
    await create().close();
  });
});
