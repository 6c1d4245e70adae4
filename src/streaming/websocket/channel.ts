import { Duplex } from 'node:stream';

type WriteCallback = (error?: Error | null) => void;

/** What a channel asks of its socket. */
export interface ChannelLink {
  /** Sends the bytes, in messages of this channel; calls back when the socket takes more. */
  send(channel: number, chunks: readonly Buffer[], done: WriteCallback): void;
  hold(channel: Channel): void;
  release(channel: Channel): void;
}

/** Bytes that one channel holds for its consumer before the whole socket stops reading. */
const readableHighWaterMark = 128 * 1024;

/**
 * One numbered channel of a WebSocket. A direction that the protocol does not have is ended from the start, so that
 * `finished` and `pipeline` see a stream of the other direction only. Ending it tells the peer nothing: channels have
 * no end on the wire but v5's CLOSE of stdin.
 */
export class Channel extends Duplex {
  readonly number: number;
  readonly #link: ChannelLink;
  readonly #reads: boolean;

  constructor(link: ChannelLink, number: number, directions: { readonly reads: boolean; readonly writes: boolean }) {
    super({ readableHighWaterMark, writableHighWaterMark: 64 * 1024 });
    this.#link = link;
    this.number = number;
    this.#reads = directions.reads;
    // The socket may close before anybody listens to this channel; that must not end the process.
    this.on('error', () => {});
    if (!directions.reads) {
      this.push(null);
      this.resume();
    }
    if (!directions.writes) this.end();
  }

  /** Called by the socket with a message of this channel. */
  receive(payload: Buffer): void {
    if (!this.#reads || payload.length === 0 || this.destroyed || this.readableEnded) return;
    if (!this.push(payload)) this.#link.hold(this);
  }

  /** Called by the socket when the peer will send no more on this channel. */
  receiveEnd(): void {
    if (!this.destroyed && !this.readableEnded) this.push(null);
  }

  /** Called by the socket when it broke. */
  receiveLoss(error: Error): void {
    if (!this.readableEnded || !this.writableFinished) this.destroy(error);
  }

  override _read(): void {
    this.#link.release(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    this.#link.send(this.number, [chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteCallback): void {
    this.#link.send(
      this.number,
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    this.#link.release(this);
    done(error);
  }
}
