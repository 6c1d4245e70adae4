import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import { systemClock } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { AccessCredentials } from '../../../src/kube/credentials.ts';
import type { Access } from '../../../src/kube/credentials.ts';
import { KubeClient } from '../../../src/kube/kube-client.ts';
import type { RequestRecord } from '../../../src/kube/request-label.ts';
import { createCertificateAuthority } from '../../e2e/control-plane/certificates.ts';
import type { CertificateAuthority } from '../../e2e/control-plane/certificates.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

/** An HTTPS server on a free port that answers as a test says, and remembers its sockets. */
export class ScriptedServer {
  readonly authority: CertificateAuthority;
  readonly records: RequestRecord[] = [];
  readonly sockets = new Set<Socket>();
  handshakes = 0;
  handler: Handler = (_request, response) => answer(response, 200, {});
  readonly #server: Server;
  readonly #clients: KubeClient[] = [];

  private constructor(authority: CertificateAuthority, server: Server) {
    this.authority = authority;
    this.#server = server;
    server.on('secureConnection', () => this.handshakes++);
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      void this.handler(request, response, new URL(request.url ?? '/', 'https://server'));
    });
  }

  static async start(): Promise<ScriptedServer> {
    const authority = await createCertificateAuthority('test-ca');
    const { certPem, keyPem } = await authority.issue({ commonName: 'server', usage: 'server', ips: ['127.0.0.1'] });
    const server = createServer({
      cert: certPem,
      key: keyPem,
      ca: authority.certPem,
      requestCert: true,
      rejectUnauthorized: false,
    });
    const scripted = new ScriptedServer(authority, server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return scripted;
  }

  access(changes: Partial<Access> = {}): Access {
    const { port } = this.#server.address() as AddressInfo;
    return {
      description: 'a test',
      server: new URL(`https://127.0.0.1:${port}`),
      insecure: false,
      ca: { data: Buffer.from(this.authority.certPem) },
      identity: { kind: 'header', value: 'Bearer secret-token' },
      ...changes,
    };
  }

  client(changes: Partial<Access> = {}, clock: Clock = systemClock): KubeClient {
    const credentials = new AccessCredentials(this.access(changes), clock);
    const client = new KubeClient({ credentials, clock, onRequest: (record) => this.records.push(record) });
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    this.#server.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

export function refuse(
  response: ServerResponse,
  code: number,
  message: string,
  headers: Record<string, string> = {},
): void {
  answer(response, code, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, message }, headers);
}

/** The text of a request's body. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

/** Resolves when `holds` does; looks after every turn of the event loop. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => setImmediate(resolve));
}
