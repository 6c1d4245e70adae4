import { Duplex } from 'node:stream';

import { unavailable } from '../../core/errors.ts';
import { resetStatus } from './frames.ts';
import type { StreamHeaders } from './headers.ts';

type WriteCallback = (error?: Error | null) => void;

/** What a stream asks of its connection. */
export interface StreamLink {
  /** Sends DATA frames; calls back when the transport takes more. */
  sendData(streamId: number, chunks: readonly Buffer[], done: WriteCallback): void;
  sendFin(streamId: number): void;
  sendReset(streamId: number, status: number): void;
  /** The stream's consumer is full: nothing more is read from the transport before {@link release}. */
  hold(stream: SpdyStream): void;
  release(stream: SpdyStream): void;
  /** The stream is over; its id means nothing any more. */
  forget(stream: SpdyStream): void;
}

/** Bytes that one stream holds for its consumer before the whole connection stops reading. */
const readableHighWaterMark = 128 * 1024;
/** Bytes that one stream takes from its producer before it says stop. */
const writableHighWaterMark = 64 * 1024;

/**
 * One SPDY stream. Ending it sends FIN, the peer's FIN ends its readable side; destroying it before both have
 * happened sends RST_STREAM. A reset by the peer reads as the end, fails later writes, and emits `reset`.
 */
export class SpdyStream extends Duplex {
  readonly id: number;
  readonly streamHeaders: StreamHeaders;
  readonly #link: StreamLink;
  readonly #canWrite: boolean;
  #peerFinished = false;
  #peerReset = false;
  #discarding = false;
  #connected = true;

  constructor(link: StreamLink, id: number, headers: StreamHeaders, options: { readonly canWrite: boolean }) {
    super({ allowHalfOpen: true, readableHighWaterMark, writableHighWaterMark });
    this.#link = link;
    this.id = id;
    this.streamHeaders = headers;
    this.#canWrite = options.canWrite;
    // The connection may end before anybody listens to this stream; that must not end the process.
    this.on('error', () => {});
    if (!options.canWrite) this.end();
  }

  /** The peer cancelled this stream, or said goodbye while it was open. */
  get wasReset(): boolean {
    return this.#peerReset;
  }

  /** For a stream that is only written to: ends the readable side and drops what the peer may still send. */
  discardIncoming(): void {
    if (this.#discarding) return;
    this.#discarding = true;
    this.#endReadable();
    this.resume();
  }

  /** Called by the connection with a piece of a DATA frame. */
  receive(payload: Buffer): void {
    if (payload.length === 0 || this.destroyed || this.#peerFinished || this.#discarding) return;
    if (!this.push(payload)) this.#link.hold(this);
  }

  /** Called by the connection when the peer has closed its half. */
  receiveFin(): void {
    this.#endReadable();
    this.#peerFinished = true;
  }

  /** Called by the connection when the peer cancelled the stream or the connection was closed in order. */
  receiveReset(): void {
    this.#peerReset = true;
    this.#connected = false;
    this.receiveFin();
    this.emit('reset');
  }

  /** Called by the connection when it broke: unread data that was complete can still be read. */
  receiveLoss(error: Error): void {
    this.#connected = false;
    if (this.#peerFinished) this.#peerReset = true;
    else this.destroy(error);
  }

  #endReadable(): void {
    if (!this.#peerFinished && !this.destroyed && !this.readableEnded) this.push(null);
  }

  override _read(): void {
    this.#link.release(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteCallback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #send(chunks: readonly Buffer[], done: WriteCallback): void {
    if (this.#peerReset) done(unavailable(`SPDY stream ${this.id} was reset by the peer`));
    else this.#link.sendData(this.id, chunks, done);
  }

  override _final(done: WriteCallback): void {
    if (this.#connected && this.#canWrite) this.#link.sendFin(this.id);
    done();
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    const complete = this.#peerFinished && this.writableFinished;
    if (this.#connected && !complete) {
      this.#link.sendReset(this.id, error === null ? resetStatus.cancel : resetStatus.internalError);
    }
    this.#connected = false;
    this.#link.forget(this);
    done(error);
  }
}
