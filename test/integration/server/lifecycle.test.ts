import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';

import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { silentLogger, type LogFields } from '../../../src/core/logger.ts';
import { apiPod } from './api-pod.ts';
import { createAuthority } from './authority.ts';
import {
  createCredentials,
  KubeletUnderTest,
  type Credentials,
  type KubeletUnderTestOptions,
} from './kubelet-under-test.ts';

let credentials: Credentials;
let kubelet: KubeletUnderTest;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterEach(() => kubelet.close());

async function start(options: KubeletUnderTestOptions = {}): Promise<void> {
  kubelet = await KubeletUnderTest.start(credentials, { pods: [apiPod()], ...options });
}

/** A request on a connection that is kept. */
async function keptRequest(agent: Agent): Promise<{ status: number | undefined; reused: boolean; socket: Socket }> {
  const { admin, authority } = credentials;
  const sent = request({
    host: '127.0.0.1',
    port: kubelet.port,
    path: '/healthz',
    agent,
    ca: authority.cert,
    ...admin,
  });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  const { socket } = response;
  response.resume();
  await once(sent, 'close');
  return { status: response.statusCode, reused: sent.reusedSocket, socket };
}

describe('TLS', () => {
  it('is 1.2 or newer, and HTTP/1.1 only', async () => {
    await start();
    const handshake = async (options: object) => {
      const socket = tlsConnect({ port: kubelet.port, host: '127.0.0.1', ca: credentials.authority.cert, ...options });
      socket.on('error', () => {});
      try {
        await once(socket, 'secureConnect');
        return [socket.getProtocol(), socket.alpnProtocol];
      } finally {
        socket.destroy();
      }
    };
    expect(await handshake({ ALPNProtocols: ['h2', 'http/1.1'] })).toEqual(['TLSv1.3', 'http/1.1']);
    expect(await handshake({ maxVersion: 'TLSv1.2' })).toEqual(['TLSv1.2', false]);
    await expect(
      handshake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow();
  });

  it('a new serving certificate serves the next connection, and kept ones go on', async () => {
    await start();
    const agent = new Agent({ keepAlive: true });
    await keptRequest(agent);
    const next = await credentials.authority.issue({ commonName: 'renewed', usage: 'server', names: ['127.0.0.1'] });
    kubelet.server.reload({ ...next, clientCA: credentials.authority.cert });
    expect(await keptRequest(agent)).toMatchObject({ status: 200, reused: true });
    const socket = tlsConnect({ port: kubelet.port, host: '127.0.0.1', ca: credentials.authority.cert });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('renewed');
    socket.destroy();
    agent.destroy();
  });

  it('a new client CA counts for kept connections too', async () => {
    await start();
    const agent = new Agent({ keepAlive: true });
    const { socket } = await keptRequest(agent);
    const closed = once(socket, 'close');
    kubelet.server.reload({ ...credentials.server, clientCA: (await createAuthority('other')).cert });
    await closed;
    expect(await keptRequest(agent)).toMatchObject({ status: 401, reused: false });
    agent.destroy();
  });

  it('a certificate that does not fit its key is refused and changes nothing', async () => {
    await start();
    expect(() => kubelet.server.reload({ ...credentials.server, key: credentials.admin.key })).toThrow(
      expect.objectContaining({ code: 'InvalidInput' }),
    );
    expect((await kubelet.ask('GET', '/healthz', kubelet.admin)).status).toBe(200);
  });

  it('without a client CA no certificate is anybody', async () => {
    await start();
    const { cert, key } = credentials.server;
    kubelet.server.reload({ cert, key });
    expect((await kubelet.ask('GET', '/healthz', kubelet.admin)).status).toBe(401);
    expect((await kubelet.ask('GET', '/healthz', { token: 'master' })).status).toBe(200);
  });
});

describe('listening', () => {
  it('a port that is taken is one clear message', async () => {
    await start();
    const second = KubeletUnderTest.create(credentials);
    await expect(second.server.listen('127.0.0.1', kubelet.port)).rejects.toMatchObject({
      code: 'Conflict',
      message: `the kubelet API cannot listen on 127.0.0.1:${kubelet.port}: the port is in use`,
    });
    await second.close();
  });
});

describe('stopping', () => {
  it('waits for answers that are under way, and for each as often as it is told to stop', async () => {
    const running = Promise.withResolvers<{ exitCode: number }>();
    const [started, checking] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await start({
      provider: {
        name: 'fake',
        exec: (_target, { stdout, stderr }) => {
          started.resolve();
          stdout?.end('late');
          stderr?.end();
          return running.promise;
        },
      },
      healthChecks: [
        {
          name: 'ping',
          check: async () => {
            checking.resolve();
            await running.promise;
          },
        },
      ],
    });
    const answer = kubelet.ask('GET', '/healthz', kubelet.admin);
    const run = kubelet.ask('POST', '/run/default/api/c?cmd=x', kubelet.admin);
    await Promise.all([started.promise, checking.promise]);
    const closed = kubelet.server.close(60_000);
    expect(kubelet.server.close(1)).toBe(closed);
    running.resolve({ exitCode: 0 });
    await closed;
    expect((await answer).status).toBe(200);
    // A command is not waited for: it is told to stop.
    expect((await run).status).toBe(500);
  });

  it('does not wait for ever: silent, half-open and stuck connections end at the deadline', async () => {
    const checking = Promise.withResolvers<void>();
    const check = () => {
      checking.resolve();
      return new Promise<void>(() => {});
    };
    await start({ healthChecks: [{ name: 'ping', check }] });
    const raw = connect(kubelet.port, '127.0.0.1');
    raw.on('error', () => {});
    await once(raw, 'connect');
    const secure = tlsConnect({ port: kubelet.port, host: '127.0.0.1', ca: credentials.authority.cert });
    secure.on('error', () => {});
    await once(secure, 'secureConnect');
    secure.write('GET /healthz HTT');
    const stuck = kubelet.ask('GET', '/healthz', kubelet.admin);
    const ended = Promise.all([expect(stuck).rejects.toThrow(), once(raw, 'close'), once(secure, 'close')]);
    await checking.promise;
    await kubelet.server.close(50);
    await ended;
  });

  it('before it ever listened is nothing, and afterwards nobody is let in', async () => {
    await KubeletUnderTest.create(credentials).close();
    await start();
    await kubelet.close();
    await expect(kubelet.ask('GET', '/healthz', kubelet.admin)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the log', () => {
  it('has a line per request without its query, in which nothing can be forged', async () => {
    const lines: LogFields[] = [];
    await start({ log: { ...silentLogger, debug: (_message, fields = {}) => void lines.push(fields) } });
    await kubelet.ask('GET', '/pods?secret=1', {
      certificate: await credentials.authority.issue({ commonName: 'eve\nroot', organizations: ['system:masters'] }),
    });
    while (lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(lines).toEqual([
      { method: 'GET', path: '/pods', status: 200, user: 'eve\\u000aroot', durationMs: expect.any(Number) },
    ]);
  });
});
