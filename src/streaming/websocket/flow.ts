import type { WebSocket } from 'ws';

import type { Clock } from '../../core/clock.ts';
import { unavailable } from '../../core/errors.ts';
import { ReadHold } from '../read-hold.ts';

type WriteCallback = (error?: Error | null) => void;

/** Bytes that may wait in a socket's own buffer before a writer has to wait. */
const maxBufferedBytes = 128 * 1024;
/** Pongs that a peer may let pile up by not reading. */
const maxUnreadBytes = 1024 * 1024;
/** How long an ended socket waits for the peer's close frame. */
const closeTimeoutMs = 10_000;

/** Back-pressure for a WebSocket in both directions: `ws` itself buffers what it is given and emits what it gets. */
export class WebSocketFlow {
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  readonly #reading: ReadHold;
  #cancelClose: (() => void) | undefined;

  constructor(socket: WebSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.#reading = new ReadHold(clock, {
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      probe: () => {
        if (socket.readyState === socket.OPEN) socket.ping();
      },
    });
    // It was opened paused, so that nothing is emitted before its owner listens.
    socket.resume();
    socket.on('ping', () => {
      if (socket.bufferedAmount > maxUnreadBytes) socket.terminate();
    });
    socket.on('close', () => {
      this.#reading.stop();
      this.#cancelClose?.();
    });
  }

  /** Sends one message; calls back when the socket takes more, which is at once while little waits. */
  send(message: Buffer | string, done: WriteCallback): void {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return done(unavailable('WebSocket is closed'));
    let waiting: WriteCallback | undefined;
    socket.send(message, { binary: typeof message !== 'string' }, (error) => waiting?.(error));
    if (socket.bufferedAmount <= maxBufferedBytes) done();
    else waiting = done;
  }

  /** The holder's consumer is full: nothing more is read before {@link release}. */
  hold(holder: unknown): void {
    this.#reading.hold(holder);
  }

  release(holder: unknown): void {
    this.#reading.release(holder);
  }

  /** Says goodbye after everything that was sent. The peer has some seconds to answer. */
  close(code: number): void {
    if (this.#socket.readyState === this.#socket.CLOSED) return;
    this.#reading.stop();
    this.#socket.resume();
    this.#socket.close(code);
    this.#cancelClose ??= this.#clock.after(closeTimeoutMs, () => this.#socket.terminate());
  }
}
