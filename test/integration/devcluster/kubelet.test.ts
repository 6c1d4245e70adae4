import { createServer, type Server, request as httpsRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { createCertificateAuthority } from '../../../src/devcluster/auth/certificate-authority.ts';
import { certificateClient, readyNode, simplePod, tokenClient, useDevCluster } from '../../helpers/dev-cluster.ts';

/** What a kubelet was asked, and how it answers. */
class ScriptedKubelet {
  readonly asked: { method: string; url: string; user: string; headers: IncomingMessage['headers'] }[] = [];
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) =>
    void response.end('log line\n');
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void = (_request, socket) => socket.destroy();
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('secureConnection', (socket) => this.#sockets.add(socket));
    server.on('request', (request, response) => {
      this.#note(request);
      this.answer(request, response);
    });
    server.on('upgrade', (request, socket, head) => {
      this.#note(request);
      socket.on('error', () => {});
      this.upgrade(request, socket, head);
    });
  }

  static async start(clientCa: string): Promise<ScriptedKubelet> {
    const ca = await createCertificateAuthority('kubelet');
    const { certPem, keyPem } = await ca.issueServer({ commonName: 'n' }, [], ['127.0.0.1']);
    const server = createServer({
      cert: certPem,
      key: keyPem,
      ca: clientCa,
      requestCert: true,
      rejectUnauthorized: true,
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new ScriptedKubelet(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #note(request: IncomingMessage): void {
    const user = request.socket instanceof TLSSocket ? String(request.socket.getPeerCertificate().subject.CN) : '';
    this.asked.push({ method: request.method ?? '', url: request.url ?? '', user, headers: request.headers });
  }
}

describe('what the API server passes on to a kubelet', () => {
  const cluster = useDevCluster({
    scheduler: false,
    grants: [{ to: 'peeker', verbs: ['get'], apiGroups: [''], resources: ['pods', 'pods/exec', 'pods/log'] }],
  });
  let kubelet: ScriptedKubelet;

  beforeAll(async () => {
    kubelet = await ScriptedKubelet.start(cluster().caPem);
    const { objects } = cluster();
    objects.create(readyNode('n', kubelet.port));
    objects.create(readyNode('modern', kubelet.port, { declaredFeatures: ['ExtendWebSocketsToKubelet'] }));
    objects.create(readyNode('dead', 1));
    objects.create(simplePod('p', { nodeName: 'n' }));
    objects.create(simplePod('m', { nodeName: 'modern' }));
    objects.create(simplePod('d', { nodeName: 'dead' }));
    objects.create(
      simplePod('two', {
        nodeName: 'n',
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'x' },
        ],
        initContainers: [{ name: 'i', image: 'x' }],
      }),
    );
  });
  afterAll(async () => {
    await kubelet.stop();
  });

  async function get(path: string) {
    const api = await certificateClient(cluster());
    try {
      return await api('GET', `/api/v1/namespaces/default/pods/${path}`);
    } finally {
      await api.close();
    }
  }

  it('asks for logs by its own certificate with the kubelet’s parameter names', async () => {
    kubelet.answer = (_request, response) =>
      void response.writeHead(200, { 'content-type': 'application/x' }).end('one\ntwo\n');
    const { code, body, headers } = await get(
      'p/log?follow=true&previous=false&timestamps=1&tailLines=5&limitBytes=9&sinceSeconds=3',
    );
    expect({ code, text: body.message, type: headers['content-type'] }).toEqual({
      code: 200,
      text: 'one\ntwo\n',
      type: 'text/plain',
    });
    expect(kubelet.asked.at(-1)).toMatchObject({
      method: 'GET',
      user: 'kube-apiserver-kubelet-client',
      url: '/containerLogs/default/p/c?follow=true&timestamps=true&limitBytes=9&sinceSeconds=3&tailLines=5',
    });
  });

  it('sends a log’s headers before its first byte, and ends the kubelet’s answer when the client goes', async () => {
    const closed = new Promise<void>((resolve) => {
      kubelet.answer = (_request, response) => {
        response.once('close', resolve);
        response.flushHeaders();
      };
    });
    const { certPem, keyPem } = await cluster().clientCertificate('root', ['system:masters']);
    const request = httpsRequest(`${cluster().url}/api/v1/namespaces/default/pods/p/log?follow=true`, {
      ca: cluster().caPem,
      cert: certPem,
      key: keyPem,
      agent: false,
    });
    request.on('error', () => {}).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.destroy();
    await closed;
  });

  it.each([
    [
      400,
      { code: 400, reason: 'BadRequest', message: 'container "c" in pod "p" is waiting to start: ContainerCreating' },
    ],
    [
      500,
      {
        code: 500,
        reason: 'InternalError',
        message: 'Internal error occurred: container "c" in pod "p" is waiting to start: ContainerCreating',
      },
    ],
    [404, { code: 404, reason: 'NotFound', message: 'the server could not find the requested resource ( pods/log p)' }],
  ])('turns a kubelet’s %i into a Status', async (status, expected) => {
    kubelet.answer = (_request, response) =>
      void response.writeHead(status).end('container "c" in pod "p" is waiting to start: ContainerCreating');
    expect((await get('p/log')).body).toMatchObject({ kind: 'Status', ...expected });
  });

  it('says which container it needs, and which it does not have', async () => {
    expect((await get('two/log')).body.message).toBe(
      'a container name must be specified for pod two, choose one of: [i a b]',
    );
    expect((await get('p/log?container=x')).body.message).toBe('container x is not valid for pod p');
    kubelet.answer = (_request, response) => void response.end('init log');
    expect((await get('two/log?container=i')).body.message).toBe('init log');
  });

  it('says that a kubelet cannot be reached', async () => {
    const { code, body } = await get('d/log');
    expect(code).toBe(500);
    expect(body.message).toMatch(/^Get "https:\/\/127\.0\.0\.1:1\/containerLogs\/default\/d\/c": connect ECONNREFUSED/);
  });

  it('passes on any request to a node’s proxy, with its body', async () => {
    kubelet.answer = (request, response) => {
      let text = '';
      request
        .on('data', (chunk) => (text += String(chunk)))
        .on(
          'end',
          () => void response.writeHead(201, { 'x-from': 'kubelet' }).end(`${request.method} ${request.url} ${text}`),
        );
    };
    const api = await certificateClient(cluster());
    const { code, body, headers } = await api('POST', '/api/v1/nodes/n/proxy/run/default/p/c?cmd=ls', 'hello');
    expect({ code, text: body.message, from: headers['x-from'] }).toEqual({
      code: 201,
      text: 'POST /run/default/p/c?cmd=ls hello',
      from: 'kubelet',
    });
    expect((await api('GET', `/api/v1/nodes/https:n:${kubelet.port}/proxy/`)).body.message).toBe('GET / ');
    await api.close();
  });

  /** An upgrade by client certificate or token; resolves with the answer's head and the socket, when there is one. */
  async function upgrade(path: string, method: string, headers: Record<string, string>, token?: string) {
    const { certPem, keyPem } = await cluster().clientCertificate('root', ['system:masters']);
    const credentials = token === undefined ? { cert: certPem, key: keyPem } : {};
    const request = httpsRequest(`${cluster().url}/api/v1/namespaces/default/pods/${path}`, {
      method,
      ca: cluster().caPem,
      ...credentials,
      agent: false,
      headers: { connection: 'Upgrade', ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    });
    request.end();
    return new Promise<{
      status: number | undefined;
      headers: IncomingMessage['headers'];
      text: string;
      socket?: Duplex;
    }>((resolve, reject) => {
      request.once('error', reject);
      request.once('upgrade', (response, socket, head) => {
        socket.unshift(head);
        resolve({ status: response.statusCode, headers: response.headers, text: '', socket });
      });
      request.once('response', (response) => {
        let text = '';
        response
          .on('data', (chunk) => (text += String(chunk)))
          .on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
    });
  }

  const spdy = { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
  const echo = (protocol: string) => (_request: IncomingMessage, socket: Duplex) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    socket.pipe(socket);
  };

  it('relays an upgraded connection byte for byte, both ways', async () => {
    kubelet.upgrade = echo('v4.channel.k8s.io');
    const { status, headers, socket } = await upgrade(
      'p/exec?command=sh&command=-c&command=a%20b&stdin=true&stdout=1&tty=true&container=c',
      'POST',
      spdy,
    );
    expect(status).toBe(101);
    expect(headers['x-stream-protocol-version']).toBe('v4.channel.k8s.io');
    expect(kubelet.asked.at(-1)).toMatchObject({
      method: 'POST',
      user: 'kube-apiserver-kubelet-client',
      url: '/exec/default/p/c?input=1&output=1&tty=1&command=sh&command=-c&command=a+b',
    });
    expect(kubelet.asked.at(-1)?.headers).toMatchObject({ upgrade: 'SPDY/3.1', 'x-forwarded-for': '127.0.0.1' });
    const sent = Buffer.alloc(1_000_000, 'xyz\0');
    const received: Buffer[] = [];
    socket?.on('data', (chunk: Buffer) => received.push(chunk));
    socket?.end(sent);
    await once(socket as Duplex, 'end');
    expect(Buffer.concat(received).length).toBe(sent.length);
    expect(Buffer.concat(received).equals(sent)).toBe(true);
  });

  it('ends the client’s connection when the kubelet ends its own, and the other way round', async () => {
    let theirs: Duplex | undefined;
    kubelet.upgrade = (request, socket) => {
      theirs = socket;
      echo('v4.channel.k8s.io')(request, socket);
    };
    const first = await upgrade('p/attach?stdout=1', 'POST', spdy);
    theirs?.destroy();
    first.socket?.resume();
    await once(first.socket as Duplex, 'close');
    const second = await upgrade('p/portforward?ports=80,443', 'POST', {
      upgrade: 'SPDY/3.1',
      'x-stream-protocol-version': 'portforward.k8s.io',
    });
    expect(kubelet.asked.at(-1)?.url).toBe('/portForward/default/p?port=80%2C443');
    const closed = once(theirs as Duplex, 'close');
    second.socket?.destroy();
    await closed;
  });

  it('passes on the kubelet’s refusal as it is', async () => {
    kubelet.upgrade = (_request, socket) =>
      void socket.end(
        'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 18\r\n\r\npod does not exist',
      );
    expect(await upgrade('p/exec?command=a&stdout=1', 'POST', spdy)).toMatchObject({
      status: 404,
      text: 'pod does not exist',
    });
  });

  it('passes v5 WebSockets only to nodes that declare them', async () => {
    const webSocket = {
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol': 'v5.channel.k8s.io',
    };
    const refused = await upgrade('p/exec?command=a&stdout=1', 'GET', webSocket);
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('does not translate v5.channel.k8s.io');
    kubelet.upgrade = echo('x');
    expect((await upgrade('m/exec?command=a&stdout=1', 'GET', webSocket)).status).toBe(101);
    expect(
      (
        await upgrade('p/exec?command=a&stdout=1', 'GET', {
          ...webSocket,
          'sec-websocket-protocol': 'v4.channel.k8s.io',
        })
      ).status,
    ).toBe(101);
    expect(kubelet.asked.at(-1)).toMatchObject({
      method: 'GET',
      headers: { 'sec-websocket-protocol': 'v4.channel.k8s.io' },
    });
  });

  it('authenticates and authorizes upgrades; a GET needs the right to create too', async () => {
    expect(await upgrade('p/exec?command=a&stdout=1', 'POST', spdy, 'wrong')).toMatchObject({ status: 401 });
    const token = cluster().issueToken('peeker');
    const { status, text } = await upgrade(
      'p/exec?command=a&stdout=1',
      'GET',
      { ...spdy, upgrade: 'websocket' },
      token,
    );
    expect(status).toBe(403);
    expect(text).toContain('cannot create resource \\"pods/exec\\"');
    const api = tokenClient(cluster(), token);
    kubelet.answer = (_request, response) => void response.end('ok');
    expect((await api('GET', '/api/v1/namespaces/default/pods/p/log')).code).toBe(200);
    await api.close();
  });

  it('refuses streams without an upgrade, to unbound pods and unknown pods', async () => {
    cluster().objects.create(simplePod('unbound'));
    expect((await get('p/exec?command=a&stdout=1')).body).toMatchObject({
      code: 400,
      message: 'Upgrade request required',
    });
    expect((await get('unbound/exec?command=a')).body.message).toBe('pod unbound does not have a host assigned');
    expect((await get('nope/exec?command=a')).body.message).toBe('pods "nope" not found');
    expect((await get('unbound/log')).code).toBe(200);
  });
});
