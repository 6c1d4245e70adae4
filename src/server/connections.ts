import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';

/**
 * Every connection of a server, from before its TLS handshake to after its upgrade: Node.js forgets upgraded ones
 * when it is told to close all, and then waits for them for ever.
 */
export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #responses = new Set<ServerResponse>();
  readonly #upgraded = new Set<Socket>();
  #idle: (() => void)[] = [];

  constructor(server: Server) {
    const track = (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    };
    server.on('connection', track);
    server.on('secureConnection', track);
    server.on('request', (_request: IncomingMessage, response: ServerResponse) => {
      this.#responses.add(response);
      response.once('close', () => this.#ended(this.#responses, response));
    });
    server.on('upgrade', ({ socket }: IncomingMessage) => {
      this.#upgraded.add(socket);
      socket.once('close', () => this.#ended(this.#upgraded, socket));
    });
  }

  /** Resolves when no request is being answered and no upgraded connection is left. */
  async settled(): Promise<void> {
    if (this.#busy()) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Each connection that is in the middle of an answer ends after it. */
  endAfterAnswers(): void {
    for (const response of this.#responses) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
      else response.once('finish', () => response.req.socket.destroySoon());
    }
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #busy(): boolean {
    return this.#responses.size + this.#upgraded.size > 0;
  }

  #ended<T>(set: Set<T>, item: T): void {
    set.delete(item);
    if (this.#busy()) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
