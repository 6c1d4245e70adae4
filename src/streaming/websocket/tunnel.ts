import { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

import type { Clock } from '../../core/clock.ts';
import { invalidInput, unavailable } from '../../core/errors.ts';
import { WebSocketFlow } from './flow.ts';

type WriteCallback = (error?: Error | null) => void;

/** Prefix of a subprotocol whose binary messages carry the bytes of a SPDY connection for the protocol it names. */
export const tunnelPrefix = 'SPDY/3.1+';

/**
 * A WebSocket as a byte stream: binary messages in any pieces, code 1000 as its end
 * (`k8s.io/client-go/tools/portforward/tunneling_connection.go`).
 */
export class WebSocketTunnel extends Duplex {
  readonly #socket: WebSocket;
  readonly #flow: WebSocketFlow;

  constructor(socket: WebSocket, clock: Clock) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#flow = new WebSocketFlow(socket, clock);
    socket.on('message', (data, isBinary) => {
      if (!isBinary) this.destroy(invalidInput('tunnel got a text message'));
      else if (!this.readableEnded && !this.destroyed && !this.push(data)) this.#flow.hold(this);
    });
    socket.on('error', (error) => this.destroy(unavailable(`WebSocket broke: ${error.message}`, error)));
    socket.on('close', (code) => {
      // 1005: closed without naming a code.
      if (code !== 1000 && code !== 1005) this.destroy(unavailable(`WebSocket was closed with code ${code}`));
      else if (!this.destroyed) this.push(null);
    });
  }

  override _read(): void {
    this.#flow.release(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    this.#flow.send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteCallback): void {
    this.#flow.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: WriteCallback): void {
    this.#flow.close(1000);
    done();
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    if (this.#socket.readyState !== this.#socket.CLOSED) this.#socket.terminate();
    done(error);
  }
}
