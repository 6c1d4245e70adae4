import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';

import { systemClock } from '../../../src/core/clock.ts';
import { KubeClient } from '../../../src/kube/kube-client.ts';
import { loadCredentials } from '../../../src/kube/load-credentials.ts';
import { ManualClock, settle } from '../../unit/kube/manual-clock.ts';
import { answer, bodyOf, refuse, ScriptedServer, until } from './scripted-server.ts';

let server: ScriptedServer;
let directory: string;

beforeEach(async () => {
  server = await ScriptedServer.start();
  directory = await mkdtemp(join(tmpdir(), 'kube-'));
});
afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

describe('the client', () => {
  it('sends JSON with its token under the server prefix, and counts the request', async () => {
    server.handler = async (request, response, url) => {
      const { method, headers } = request;
      answer(response, 200, {
        method,
        path: url.pathname,
        query: url.search,
        type: headers['content-type'],
        authorization: headers.authorization,
        body: await bodyOf(request),
      });
    };
    const client = server.client({ server: new URL('/clusters/c1/', server.access().server) });
    const echo = await client.request({
      method: 'PATCH',
      path: '/api/v1/namespaces/n/pods/p/status',
      query: { fieldManager: 'a b', dryRun: undefined },
      body: { status: { phase: 'Running' } },
      contentType: 'application/strategic-merge-patch+json',
    });
    expect(echo).toEqual({
      method: 'PATCH',
      path: '/clusters/c1/api/v1/namespaces/n/pods/p/status',
      query: '?fieldManager=a+b',
      type: 'application/strategic-merge-patch+json',
      authorization: 'Bearer secret-token',
      body: '{"status":{"phase":"Running"}}',
    });
    expect(server.records).toMatchObject([{ verb: 'patch', resource: 'pods/status', status: 200 }]);
  });

  it('keeps to sixteen connections, and uses them again', async () => {
    const client = server.client();
    let running = 0;
    let most = 0;
    server.handler = (_request, response) => {
      most = Math.max(most, ++running);
      setImmediate(() => {
        running--;
        answer(response, 200, {});
      });
    };
    await Promise.all(Array.from({ length: 200 }, () => client.request({ method: 'GET', path: '/api/v1/pods' })));
    expect(server.handshakes).toBeLessThanOrEqual(16);
    expect(most).toBeLessThanOrEqual(16);
  });

  it('does not let urgent requests wait behind others', async () => {
    const client = server.client();
    const held: (() => void)[] = [];
    server.handler = (_request, response, url) => {
      if (url.pathname === '/api/v1/slow') held.push(() => answer(response, 200, {}));
      else answer(response, 200, { fast: true });
    };
    const slow = Array.from({ length: 40 }, () => client.request({ method: 'GET', path: '/api/v1/slow' }));
    await until(() => held.length === 16);
    await expect(client.request({ method: 'GET', path: '/api/v1/fast', urgent: true })).resolves.toEqual({
      fast: true,
    });
    server.handler = (_request, response) => answer(response, 200, {});
    for (const release of held) release();
    await Promise.all(slow);
  });

  it('makes errors of refusals, in the words of the server, with its wish to wait', async () => {
    const client = server.client();
    server.handler = (_request, response) =>
      refuse(response, 429, 'too many requests, slow down', { 'retry-after': '4' });
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
      code: 'Unavailable',
      httpStatus: 429,
      retryAfterMs: 4000,
      message: 'GET /api/v1/pods: too many requests, slow down',
    });
    server.handler = (_request, response) => refuse(response, 409, 'the object has been modified');
    await expect(client.request({ method: 'PUT', path: '/api/v1/pods', body: {} })).rejects.toMatchObject({
      code: 'Conflict',
      httpStatus: 409,
    });
    server.handler = (_request, response) => answer(response, 200, 'not json, and secret');
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
      code: 'Unavailable',
      message: 'GET /api/v1/pods: the answer is not JSON',
    });
  });

  it('gives up on a server that does not answer, and goes on over new connections', async () => {
    const client = server.client();
    await Promise.all([1, 2, 3].map(() => client.request({ method: 'GET', path: '/api/v1/pods' })));
    server.handler = () => {};
    const late = client.request({ method: 'GET', path: '/api/v1/pods', timeoutMs: 200 });
    await expect(late).rejects.toMatchObject({ code: 'Timeout' });
    const before = server.handshakes;
    server.handler = (_request, response) => answer(response, 200, { back: true });
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).resolves.toEqual({ back: true });
    expect(server.handshakes).toBe(before + 1);
  });

  it('says that a server cannot be reached or believed, never with its token', async () => {
    const elsewhere = server.client({ server: new URL('https://127.0.0.1:1') });
    const error = await elsewhere
      .request({ method: 'GET', path: '/api/v1/pods' })
      .catch((err: unknown) => err as Error);
    expect(error).toMatchObject({ code: 'Unavailable' });
    expect((error as Error).message).toContain('https://127.0.0.1:1 cannot be reached');
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret');
    const stranger = await ScriptedServer.start();
    try {
      const mistrusting = server.client({ ca: { data: Buffer.from(stranger.authority.certPem) } });
      await expect(mistrusting.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
        code: 'Unavailable',
      });
      await expect(
        server
          .client({ insecure: true, ca: { data: Buffer.from('') } })
          .request({ method: 'GET', path: '/api/v1/pods' }),
      ).resolves.toEqual({});
    } finally {
      await stranger.close();
    }
  });

  it('ends a request with the reason of its abort', async () => {
    const client = server.client();
    const asked = Promise.withResolvers<void>();
    server.handler = () => asked.resolve();
    const stop = new AbortController();
    const request = client.request({ method: 'GET', path: '/api/v1/pods', signal: stop.signal });
    await asked.promise;
    stop.abort(new Error('stopping'));
    await expect(request).rejects.toThrow('stopping');
    await expect(client.request({ method: 'GET', path: '/api/v1/pods', signal: stop.signal })).rejects.toThrow(
      'stopping',
    );
  });

  it('fails what is under way when it closes, and what comes later; twice is once', async () => {
    const client = server.client();
    const asked = Promise.withResolvers<void>();
    server.handler = () => asked.resolve();
    const request = expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
      code: 'Unavailable',
    });
    await asked.promise;
    await Promise.all([client.close(), client.close()]);
    await request;
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
      code: 'Unavailable',
    });
    await until(() => server.sockets.size === 0);
  });
});

describe('credentials', () => {
  it('from a token file are read again at once after a 401, and every minute', async () => {
    const file = join(directory, 'token');
    await writeFile(file, 'old\n');
    const clock = new ManualClock();
    const client = server.client({ identity: { kind: 'tokenFile', file } }, clock);
    const seen: string[] = [];
    let valid = 'Bearer old';
    server.handler = ({ headers }, response) => {
      seen.push(headers.authorization ?? '');
      if (headers.authorization === valid) answer(response, 200, {});
      else refuse(response, 401, 'Unauthorized');
    };
    await client.request({ method: 'GET', path: '/api/v1/pods' });
    await writeFile(file, 'new\n');
    valid = 'Bearer new';
    await Promise.all([1, 2, 3].map(() => client.request({ method: 'GET', path: '/api/v1/pods' })));
    expect(seen.at(-1)).toBe('Bearer new');

    await writeFile(file, 'newest\n');
    valid = 'Bearer newest';
    await clock.advance(60_000);
    seen.length = 0;
    await client.request({ method: 'GET', path: '/api/v1/pods' });
    expect(seen).toEqual(['Bearer newest']);

    valid = 'Bearer none';
    seen.length = 0;
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({
      code: 'Forbidden',
      httpStatus: 401,
    });
    expect(seen).toEqual(['Bearer newest']);
    await rm(file);
    await clock.advance(60_000);
    await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).rejects.toMatchObject({ httpStatus: 401 });
  });

  it('from certificate files are shown to the server, and a renewed certificate over new connections', async () => {
    const [cert, key] = [join(directory, 'c.crt'), join(directory, 'c.key')];
    const write = async (commonName: string) => {
      const pair = await server.authority.issue({ commonName, usage: 'client' });
      await Promise.all([writeFile(cert, pair.certPem), writeFile(key, pair.keyPem)]);
    };
    await write('node:a');
    const clock = new ManualClock();
    const client = server.client({ identity: { kind: 'none' }, cert: { file: cert }, key: { file: key } }, clock);
    server.handler = ({ socket }, response) =>
      answer(response, 200, {
        user: (socket as TLSSocket).getPeerCertificate().subject.CN,
        authorized: (socket as TLSSocket).authorized,
      });
    const who = () => client.request({ method: 'GET', path: '/api/v1/pods' });
    await expect(who()).resolves.toEqual({ user: 'node:a', authorized: true });
    await write('node:b');
    await expect(who()).resolves.toMatchObject({ user: 'node:a' });
    await clock.advance(60_000);
    await expect(who()).resolves.toMatchObject({ user: 'node:b' });

    // Half replaced: the key is there, its certificate not yet.
    await writeFile(key, (await server.authority.issue({ commonName: 'x', usage: 'client' })).keyPem);
    await clock.advance(60_000);
    await expect(who()).resolves.toMatchObject({ user: 'node:b' });
  });

  it('from a kubeconfig on disk, by path or KUBECONFIG, are checked when they are loaded', async () => {
    const path = join(directory, 'config');
    const write = (user: object) =>
      writeFile(
        path,
        stringify({
          'current-context': 'm',
          clusters: [
            {
              name: 'c',
              cluster: {
                server: server.access().server.href,
                'certificate-authority-data': Buffer.from(server.authority.certPem).toString('base64'),
              },
            },
          ],
          users: [{ name: 'u', user }],
          contexts: [{ name: 'm', context: { cluster: 'c', user: 'u' } }],
        }),
      );
    await write({ token: 'tok' });
    server.handler = ({ headers }, response) => answer(response, 200, { authorization: headers.authorization });
    for (const options of [
      { kubeconfig: path, env: {} },
      { env: { KUBECONFIG: `${join(directory, 'missing')}:${path}` } },
    ]) {
      const credentials = await loadCredentials({ ...options, clock: systemClock });
      expect(credentials.description).toContain('context "m"');
      const client = new KubeClient({ credentials, clock: systemClock });
      await expect(client.request({ method: 'GET', path: '/api/v1/pods' })).resolves.toEqual({
        authorization: 'Bearer tok',
      });
      await client.close();
    }
    await expect(
      loadCredentials({ kubeconfig: join(directory, 'missing'), env: {}, clock: systemClock }),
    ).rejects.toMatchObject({ code: 'InvalidInput' });
    await expect(
      loadCredentials({ env: { KUBECONFIG: join(directory, 'missing') }, clock: systemClock }),
    ).rejects.toMatchObject({ code: 'InvalidInput' });
    await write({ tokenFile: 'not-there' });
    await expect(loadCredentials({ kubeconfig: path, env: {}, clock: systemClock })).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining('not-there'),
    });
    await write({
      'client-certificate-data': Buffer.from('-----BEGIN X').toString('base64'),
      'client-key-data': Buffer.from('-----BEGIN X').toString('base64'),
    });
    await expect(loadCredentials({ kubeconfig: path, env: {}, clock: systemClock })).rejects.toMatchObject({
      code: 'InvalidInput',
    });
  });

  it('from an exec plugin are asked for, and asked for again after a 401', async () => {
    const [script, count] = [join(directory, 'login.mjs'), join(directory, 'count')];
    await writeFile(count, '0');
    await writeFile(
      script,
      `import { readFileSync, writeFileSync } from 'node:fs';
       const n = Number(readFileSync(${JSON.stringify(count)}, 'utf8')) + 1;
       writeFileSync(${JSON.stringify(count)}, String(n));
       const { kind } = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
       console.log(JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind, status: { token: 'plugin-' + n } }));`,
    );
    const path = join(directory, 'config');
    await writeFile(
      path,
      stringify({
        'current-context': 'm',
        clusters: [
          {
            name: 'c',
            cluster: {
              server: server.access().server.href,
              'certificate-authority-data': Buffer.from(server.authority.certPem).toString('base64'),
            },
          },
        ],
        users: [
          {
            name: 'u',
            user: {
              exec: { apiVersion: 'client.authentication.k8s.io/v1', command: process.execPath, args: [script] },
            },
          },
        ],
        contexts: [{ name: 'm', context: { cluster: 'c', user: 'u' } }],
      }),
    );
    const clock = new ManualClock();
    const client = new KubeClient({ credentials: await loadCredentials({ kubeconfig: path, env: {}, clock }), clock });
    const seen: string[] = [];
    let valid = 'Bearer plugin-1';
    server.handler = ({ headers }, response) => {
      seen.push(headers.authorization ?? '');
      if (headers.authorization === valid) answer(response, 200, {});
      else refuse(response, 401, 'Unauthorized');
    };
    try {
      await client.request({ method: 'GET', path: '/api/v1/pods' });
      await client.request({ method: 'GET', path: '/api/v1/pods' });
      valid = 'Bearer plugin-2';
      await clock.advance(20_000);
      await client.request({ method: 'GET', path: '/api/v1/pods' });
      expect(seen).toEqual(['Bearer plugin-1', 'Bearer plugin-1', 'Bearer plugin-1', 'Bearer plugin-2']);
    } finally {
      await client.close();
    }
  });
});

describe('a stream', () => {
  const silenceMs = () => 60_000;
  const line = (n: number) => `${JSON.stringify({ n })}\n`;

  it('gives the values of a watch as they come, and closes its own connection', async () => {
    const client = server.client();
    const halves = Promise.withResolvers<void>();
    server.handler = async (_request, response) => {
      response.writeHead(200).write(line(1) + line(2).slice(0, 4));
      await halves.promise;
      response.end(line(2).slice(4) + line(3));
    };
    const stream = await client.stream<{ n: number }>({
      path: '/api/v1/pods',
      query: { watch: true },
      signal: new AbortController().signal,
      silenceMs,
    });
    const seen: number[] = [];
    for await (const { n } of stream) {
      seen.push(n);
      halves.resolve();
    }
    await stream.close();
    expect(seen).toEqual([1, 2, 3]);
    await until(() => server.sockets.size === 0);
    expect(server.records).toMatchObject([{ verb: 'watch', resource: 'pods', status: 200 }]);
  });

  it('is given up when it says nothing for too long', async () => {
    const clock = new ManualClock();
    const client = server.client({}, clock);
    server.handler = (_request, response) => void response.writeHead(200).write(line(1));
    const stream = await client.stream<{ n: number }>({
      path: '/api/v1/pods',
      signal: new AbortController().signal,
      silenceMs,
    });
    const values = stream[Symbol.asyncIterator]();
    await expect(values.next()).resolves.toMatchObject({ value: { n: 1 } });
    const next = expect(values.next()).rejects.toMatchObject({ code: 'Timeout' });
    await until(() => clock.waiting > 0);
    await clock.advance(60_000);
    await next;
    await stream.close();
    expect(clock.waiting).toBe(0);
  });

  it('is not given up while nobody reads it', async () => {
    const clock = new ManualClock();
    const client = server.client({}, clock);
    server.handler = (_request, response) => void response.writeHead(200).end(line(1) + line(2));
    const stream = await client.stream<{ n: number }>({
      path: '/api/v1/pods',
      signal: new AbortController().signal,
      silenceMs,
    });
    const values = stream[Symbol.asyncIterator]();
    await values.next();
    await clock.advance(600_000);
    await expect(values.next()).resolves.toMatchObject({ value: { n: 2 } });
    await expect(values.next()).resolves.toMatchObject({ done: true });
    await stream.close();
  });

  it('is given up when the server does not even accept it', async () => {
    const clock = new ManualClock();
    const client = server.client({}, clock);
    const asked = Promise.withResolvers<void>();
    server.handler = () => asked.resolve();
    const stream = expect(
      client.stream({ path: '/api/v1/pods', signal: new AbortController().signal, silenceMs }),
    ).rejects.toMatchObject({ code: 'Timeout' });
    await asked.promise;
    await clock.advance(30_000);
    await stream;
    await until(() => server.sockets.size === 0);
  });

  it('fails as Unavailable when the connection drops, and with the refusal when it is refused', async () => {
    const client = server.client();
    server.handler = (_request, response) => {
      response.writeHead(200).write(line(1), () => response.socket?.destroy());
    };
    const { signal } = new AbortController();
    const stream = await client.stream<{ n: number }>({ path: '/api/v1/pods', signal, silenceMs });
    const read = async () => {
      for await (const value of stream) expect(value).toEqual({ n: 1 });
    };
    await expect(read()).rejects.toMatchObject({ code: 'Unavailable' });
    await stream.close();
    server.handler = (_request, response) => refuse(response, 410, 'too old resource version');
    await expect(client.stream({ path: '/api/v1/pods', signal, silenceMs })).rejects.toMatchObject({ httpStatus: 410 });
    await until(() => server.sockets.size === 0);
  });

  it('ends with the reason of its abort', async () => {
    const client = server.client();
    server.handler = (_request, response) => response.writeHead(200).flushHeaders();
    const stop = new AbortController();
    const stream = await client.stream({ path: '/api/v1/pods', signal: stop.signal, silenceMs });
    const next = expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow('stopping');
    await settle();
    stop.abort(new Error('stopping'));
    await next;
    await stream.close();
  });
});
