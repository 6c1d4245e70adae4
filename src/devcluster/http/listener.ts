import { ServerResponse, createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { KeyPair } from '../auth/certificate-authority.ts';
import type { Upgrade } from './upgrade-relay.ts';

type Handler = (request: IncomingMessage, response: ServerResponse, upgrade: Upgrade | undefined) => Promise<void>;

const upgradable = /\/(exec|attach|portforward|proxy)(\/|$)/;

/** No limits on how long an answer takes: watches, logs and streams last. Other upgrades are plain requests. */
const serverOptions = {
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
  shouldUpgradeCallback: (request: IncomingMessage) => upgradable.test((request.url ?? '').split('?', 1)[0] ?? ''),
};

/** The sockets of the API server: requests and upgrades come to one handler, each with a response to answer by. */
export class Listener {
  readonly #handle: Handler;
  readonly #sockets = new Set<Duplex>();
  readonly #servers: Server[] = [];

  constructor(handle: Handler) {
    this.#handle = handle;
  }

  /** Listens with TLS on 127.0.0.1, asking clients for certificates of `clientCa`; resolves with the port. */
  listenTls(port: number, { certPem, keyPem }: KeyPair, clientCa: string): Promise<number> {
    const options = {
      cert: certPem,
      key: keyPem,
      ca: clientCa,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      // Not the default with TLS: without it a client that has ended its stdin would get no more output.
      allowHalfOpen: true,
    };
    return this.#listen(createHttpsServer({ ...options, ...serverOptions }), port);
  }

  /** Listens without TLS, where only bearer tokens say who somebody is. */
  listenPlain(port: number): Promise<number> {
    return this.#listen(createHttpServer(serverOptions), port);
  }

  /** Ends every connection. Idempotent. */
  async close(): Promise<void> {
    const closed = this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  async #listen(server: Server, port: number): Promise<number> {
    server.on('request', (request, response) => void this.#handle(request, response, undefined));
    server.on('upgrade', (request, socket, head) => {
      socket.on('error', () => socket.destroy());
      const response = new ServerResponse(request);
      response.assignSocket(socket as Socket);
      // A refusal is the last thing on this connection; a success has taken the socket away before.
      response.shouldKeepAlive = false;
      response.once('finish', () => socket.end());
      void this.#handle(request, response, { socket, head });
    });
    for (const event of ['connection', 'secureConnection']) {
      server.on(event, (socket: Duplex) => {
        this.#sockets.add(socket);
        socket.once('close', () => this.#sockets.delete(socket));
      });
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.push(server);
    return (server.address() as { port: number }).port;
  }
}
