import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket } from 'ws';

import type { Attributes, ReviewAccess, User } from '../../../src/server/index.ts';
import { openRemoteCommand } from '../../../src/streaming/index.ts';
import { apiPod } from './api-pod.ts';
import { createAuthority } from './authority.ts';
import {
  createCredentials,
  KubeletUnderTest,
  type As,
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

describe('who may ask', () => {
  it('a certificate of the client CA, or a token that the API server knows', async () => {
    await start();
    expect(await kubelet.ask('GET', '/healthz', kubelet.admin)).toMatchObject({ status: 200, body: 'ok' });
    expect(await kubelet.ask('GET', '/healthz', { token: 'master' })).toMatchObject({ status: 200, body: 'ok' });
  });

  it.each<[string, () => Promise<As>]>([
    ['nothing', () => Promise.resolve({})],
    ['a wrong token', () => Promise.resolve({ token: 'wrong' })],
    ["another authority's certificate", async () => ({ certificate: await masters(await createAuthority('cluster')) })],
    ['a certificate for servers', async () => ({ certificate: await masters(credentials.authority, 'server') })],
    [
      'an expired certificate',
      async () => ({ certificate: await masters(credentials.authority, 'client', new Date(Date.now() - 1000)) }),
    ],
    [
      'a certificate without a name',
      async () => ({ certificate: await credentials.authority.issue({ commonName: '' }) }),
    ],
  ])('%s is 401', async (_name, as) => {
    await start();
    expect(await kubelet.ask('GET', '/healthz', await as())).toMatchObject({ status: 401, body: 'Unauthorized' });
  });

  it('a good token helps a wrong certificate', async () => {
    await start();
    const certificate = await masters(await createAuthority('another'));
    expect(await kubelet.ask('GET', '/healthz', { certificate, token: 'master' })).toMatchObject({ status: 200 });
  });

  it('anonymous is somebody only where that is let in', async () => {
    const allowed = jest.fn<ReviewAccess>((user) => Promise.resolve(user.name === 'system:anonymous'));
    await start({ anonymous: true, allowed });
    expect((await kubelet.ask('GET', '/healthz')).status).toBe(200);
    expect((await kubelet.ask('GET', '/healthz', { token: 'wrong' })).status).toBe(401);
  });

  it('unknown paths are 404 to everybody, and nobody is asked', async () => {
    const allowed = jest.fn<ReviewAccess>();
    await start({ allowed });
    for (const path of ['/', '/nope', '/healthz/nope', '/metrics/nope', '//pods', '/PODS', '/%70ods', '/..;/pods']) {
      expect(await kubelet.ask('GET', path, { token: 'weak' })).toMatchObject({
        status: 404,
        body: '404 page not found\n',
      });
    }
    expect(allowed).not.toHaveBeenCalled();
  });
});

describe('what they may', () => {
  it('the API server is asked about each subresource in order until one is allowed', async () => {
    const asked: [User, Attributes][] = [];
    await start({
      allowed: (user, attributes) => {
        asked.push([user, attributes]);
        return Promise.resolve(attributes.subresource === 'proxy');
      },
    });
    expect((await kubelet.ask('GET', '/pods', { token: 'weak' })).status).toBe(200);
    expect(asked.map(([, attributes]) => attributes)).toEqual([
      { verb: 'get', resource: 'nodes', subresource: 'pods', name: 'node-1' },
      { verb: 'get', resource: 'nodes', subresource: 'proxy', name: 'node-1' },
    ]);
    expect(asked[0]?.[0]).toEqual({
      name: 'system:serviceaccount:default:weak',
      groups: ['system:serviceaccounts', 'system:authenticated'],
    });
  });

  it('nothing, while the API server does not say', async () => {
    await start({ allowed: () => Promise.reject(new Error('unreachable')) });
    expect(await kubelet.ask('GET', '/pods', { token: 'weak' })).toMatchObject({
      status: 500,
      body: 'Authorization error (user=system:serviceaccount:default:weak, verb=get, resource=nodes, subresource=pods)',
    });
  });
});

describe('upgraded connections are checked as all others', () => {
  const exec = jest.fn(() => Promise.resolve({ exitCode: 0 }));
  const path = '/exec/default/api/c?command=ls&output=1';
  const provider = { name: 'fake', exec };
  afterAll(() => expect(exec).not.toHaveBeenCalled());

  const spdy = (headers: Record<string, string>) => {
    const target = { transport: 'spdy' as const, url: kubelet.url(path), headers, tls: kubelet.tls({}) };
    return openRemoteCommand(target, { stdin: false, stdout: true, stderr: false, tty: false });
  };
  const webSocket = (protocols: string[], headers: Record<string, string> = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const socket = new WebSocket(kubelet.url(path, 'wss'), protocols, { ...kubelet.tls({}), headers });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve(response.statusCode);
    });
    socket.on('open', () => reject(new Error('the connection was taken over')));
    return promise;
  };

  it('without credentials: 401', async () => {
    await start({ provider });
    await expect(spdy({})).rejects.toMatchObject({ status: 401, body: 'Unauthorized' });
    expect(await webSocket(['v4.channel.k8s.io'])).toBe(401);
  });

  it('with a wrong token: 401', async () => {
    await start({ provider });
    await expect(spdy({ authorization: 'Bearer wrong' })).rejects.toMatchObject({ status: 401 });
    const carrier = `base64url.bearer.authorization.k8s.io.${Buffer.from('wrong').toString('base64url')}`;
    expect(await webSocket(['v4.channel.k8s.io', carrier])).toBe(401);
  });

  it('without the right: 403, and to read is not enough', async () => {
    await start({ provider, allowed: (_user, { verb }) => Promise.resolve(verb === 'get') });
    await expect(spdy({ authorization: 'Bearer weak' })).rejects.toMatchObject({
      status: 403,
      body: 'Forbidden (user=system:serviceaccount:default:weak, verb=create, resource=nodes, subresource(s)=[proxy])\n',
    });
    expect(await webSocket(['v4.channel.k8s.io'], { authorization: 'Bearer weak' })).toBe(403);
  });

  it('of unknown paths: 404, and of known ones that are no streams their usual answer', async () => {
    await start({ provider });
    const headers = { connection: 'Upgrade', upgrade: 'SPDY/3.1' };
    expect(await kubelet.ask('POST', '/nope', { headers })).toMatchObject({
      status: 404,
      body: '404 page not found\n',
    });
    expect(await kubelet.ask('GET', '/healthz', { headers })).toMatchObject({ status: 401, body: 'Unauthorized' });
    expect(await kubelet.ask('GET', '/healthz', { ...kubelet.admin, headers })).toMatchObject({
      status: 200,
      body: 'ok',
    });
  });

  it('another protocol that is offered is ignored', async () => {
    await start({ provider });
    const headers = { connection: 'Upgrade', upgrade: 'h2c' };
    expect(await kubelet.ask('GET', '/healthz', { ...kubelet.admin, headers })).toMatchObject({
      status: 200,
      body: 'ok',
    });
  });
});

function masters(authority: Credentials['authority'], usage: 'client' | 'server' = 'client', notAfter?: Date) {
  const subject = { commonName: 'root', organizations: ['system:masters'], usage };
  return authority.issue(notAfter === undefined ? subject : { ...subject, notAfter });
}
