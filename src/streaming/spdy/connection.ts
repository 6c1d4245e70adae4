import type { Duplex } from 'node:stream';

import type { Clock } from '../../core/clock.ts';
import { invalidInput, timedOut, unavailable } from '../../core/errors.ts';
import { IdleTimer } from '../idle-timer.ts';
import { ReadHold } from '../read-hold.ts';
import { FrameParser } from './frame-parser.ts';
import {
  goAwayFrame,
  goAwayStatus,
  maxStreamId,
  pingFrame,
  resetStatus,
  rstStreamFrame,
  synReplyFrame,
  synStreamFrame,
} from './frames.ts';
import type { Frame } from './frames.ts';
import { DataSender } from './data-sender.ts';
import { HeaderReader, HeaderWriter } from './headers.ts';
import type { OutgoingHeaders, StreamHeaders } from './headers.ts';
import { Pings } from './pings.ts';
import { SpdyStream } from './stream.ts';
import type { StreamLink } from './stream.ts';

export interface SpdyLimits {
  /** Streams that may be open at once; more are refused one by one. Default 1024. */
  readonly maxStreams?: number;
  /** Longest control frame, which is held in memory. Default 64 KiB. */
  readonly maxControlFrameBytes?: number;
  /** Most bytes that one header block may inflate to. Default 64 KiB. */
  readonly maxHeaderBytes?: number;
}

export interface SpdyOptions extends SpdyLimits {
  /** Who opened the transport: a client's streams have odd ids, a server's even ones. */
  readonly role: 'client' | 'server';
  readonly clock: Clock;
  /** The connection ends when no byte came or went for this long. Default: never. */
  readonly idleTimeoutMs?: number;
  /** Asked before a peer's stream is answered; false resets it. */
  readonly admit?: (headers: StreamHeaders, streamId: number) => boolean;
  /** Called with each stream of the peer, after it was answered. Without it every stream is refused. */
  readonly onStream?: (stream: SpdyStream) => void;
}

/** How long a closed connection waits for the peer to close too, so that its last bytes are not lost to a TCP reset. */
const lingerMs = 5_000;
/** Answers (PING, RST_STREAM) that a peer may let pile up by not reading. */
const maxUnreadAnswerBytes = 1024 * 1024;

/**
 * One SPDY/3.1 connection over any byte stream, as moby/spdystream speaks it: no flow-control windows (SETTINGS and
 * WINDOW_UPDATE are ignored), every stream answered at once, back-pressure by not reading. A consumer that is full
 * holds back the whole connection, which is how TCP is meant to carry it.
 *
 * Whatever the peer sends, the worst that can happen is that this connection ends: {@link error} then has the code
 * `InvalidInput`.
 */
export class SpdyConnection {
  /** Aborts when the connection ends, for whatever reason and from either side. */
  readonly signal: AbortSignal;
  /** Resolves, never rejects, when the transport is closed. */
  readonly closed: Promise<void>;

  readonly #transport: Duplex;
  readonly #options: SpdyOptions;
  readonly #parser: FrameParser;
  readonly #headerReader: HeaderReader;
  readonly #headerWriter = new HeaderWriter();
  readonly #sender: DataSender;
  readonly #link: StreamLink;
  readonly #streams = new Map<number, SpdyStream>();
  readonly #opening = new Map<number, PromiseWithResolvers<SpdyStream>>();
  readonly #pings: Pings;
  readonly #reading: ReadHold;
  readonly #ended = new AbortController();
  readonly #idle: IdleTimer | undefined;
  #cancelLinger: (() => void) | undefined;
  #readingHeaders = false;
  #nextStreamId: number;
  #lastPeerStreamId = 0;
  #error: Error | undefined;

  constructor(transport: Duplex, options: SpdyOptions) {
    this.#transport = transport;
    this.#options = options;
    this.signal = this.#ended.signal;
    const firstId = options.role === 'client' ? 1 : 2;
    this.#nextStreamId = firstId;
    this.#pings = new Pings(firstId);
    this.#reading = new ReadHold(options.clock, {
      pause: () => transport.pause(),
      resume: () => transport.resume(),
      probe: () => this.#answer(pingFrame(this.#pings.next())),
    });
    this.#parser = new FrameParser(options.maxControlFrameBytes ?? 64 * 1024);
    this.#headerReader = new HeaderReader(options.maxHeaderBytes ?? 64 * 1024);
    this.#sender = new DataSender(transport, () => this.#idle?.touch());
    this.#link = {
      sendData: (id, chunks, done) => this.#sender.send(id, chunks, done),
      sendFin: (id) => this.#sender.sendFin(id),
      sendReset: (id, status) => this.#answer(rstStreamFrame(id, status)),
      hold: (stream) => this.#hold(stream),
      release: (stream) => this.#reading.release(stream),
      forget: (stream) => this.#forget(stream),
    };
    if (options.idleTimeoutMs !== undefined) {
      const idle = `SPDY connection was idle for ${options.idleTimeoutMs} ms`;
      this.#idle = new IdleTimer(options.clock, options.idleTimeoutMs, () => this.close(timedOut(idle)));
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    if (transport.destroyed) {
      this.#lost(unavailable('SPDY connection was closed'));
      resolve();
      return;
    }
    transport.on('data', (chunk: Buffer) => this.#receive(chunk));
    transport.on('end', () => this.#lost(unavailable('SPDY connection was ended by the peer')));
    transport.on('error', (error) => this.#lost(unavailable(`SPDY connection broke: ${error.message}`, error)));
    transport.on('close', () => {
      this.#lost(unavailable('SPDY connection was closed'));
      this.#cancelLinger?.();
      resolve();
    });
  }

  /** Why the connection ended; undefined while it lives and after an orderly end. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Streams that are open now. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream; resolves when the peer has answered. Rejects with `Unavailable` when it refuses or the connection
   * ends first, with the signal's reason when that aborts.
   */
  async open(headers: OutgoingHeaders, signal?: AbortSignal): Promise<SpdyStream> {
    signal?.throwIfAborted();
    if (this.signal.aborted) throw this.signal.reason;
    if (this.#nextStreamId > maxStreamId) throw unavailable('SPDY connection has used up its stream ids');
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    const known = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const stream = new SpdyStream(this.#link, id, known, { canWrite: true });
    const opening = Promise.withResolvers<SpdyStream>();
    this.#streams.set(id, stream);
    this.#opening.set(id, opening);
    this.#answer(synStreamFrame(id, this.#headerWriter.block(headers)));
    const aborted = () => {
      opening.reject(signal?.reason);
      stream.destroy();
    };
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      return await opening.promise;
    } finally {
      signal?.removeEventListener('abort', aborted);
      this.#opening.delete(id);
    }
  }

  /** Resolves when the peer has echoed a PING; rejects with the signal's reason when the connection ends first. */
  ping(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(this.signal.reason as Error);
      const ended = () => reject(this.signal.reason as Error);
      this.signal.addEventListener('abort', ended, { once: true });
      const id = this.#pings.next(() => {
        this.signal.removeEventListener('abort', ended);
        resolve();
      });
      this.#answer(pingFrame(id));
    });
  }

  /**
   * Ends the connection in order: resets what is open, says GOAWAY, closes the transport and waits a little for the
   * peer to do the same. Idempotent; await {@link closed} for the end.
   */
  close(reason?: Error): void {
    if (this.signal.aborted) return;
    for (const stream of this.#streams.values()) this.#answer(rstStreamFrame(stream.id, resetStatus.cancel));
    this.#answer(goAwayFrame(this.#lastPeerStreamId, goAwayStatus.ok));
    if (this.signal.aborted) return;
    this.#error = reason;
    this.#end(reason ?? unavailable('SPDY connection was closed'), (stream) => stream.receiveReset());
    this.#linger();
  }

  /** Ends the connection at once. Idempotent. */
  destroy(reason: Error = unavailable('SPDY connection was closed')): void {
    this.#lost(reason);
    this.#transport.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.signal.aborted) return;
    this.#idle?.touch();
    this.#parser.push(chunk);
    this.#parse();
  }

  #parse(): void {
    try {
      while (!this.#readingHeaders && !this.signal.aborted) {
        const frame = this.#parser.next();
        if (frame === undefined) return;
        this.#handle(frame);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case 'data':
        return this.#onData(frame.streamId, frame.payload, frame.fin);
      case 'synStream':
        this.#checkPeerStreamId(frame.streamId);
        return this.#readHeaders(frame.headerBlock, (headers) => this.#onSynStream(frame, headers));
      case 'synReply':
      case 'headers':
        return this.#readHeaders(frame.headerBlock, () => this.#onReply(frame));
      case 'rstStream':
        return this.#onReset(frame.streamId, frame.status);
      case 'ping':
        if (!this.#pings.takeEcho(frame.id)) this.#answer(pingFrame(frame.id));
        return;
      case 'goAway':
        this.#end(unavailable('SPDY peer said GOAWAY'), (stream) => stream.receiveReset());
        return this.#linger();
    }
  }

  /** Inflating is asynchronous; parsing waits for it, and reading with it. */
  #readHeaders(block: Buffer, then: (headers: StreamHeaders) => void): void {
    this.#readingHeaders = true;
    this.#hold(this.#headerReader);
    this.#headerReader.read(block, (error, headers) => {
      this.#readingHeaders = false;
      if (this.signal.aborted) return;
      try {
        if (error !== undefined) throw error;
        then(headers);
      } catch (failure) {
        return this.#fail(failure as Error);
      }
      this.#parse();
      if (!this.#readingHeaders) this.#reading.release(this.#headerReader);
    });
  }

  #checkPeerStreamId(id: number): void {
    if (id % 2 === this.#nextStreamId % 2) throw invalidInput(`SPDY peer opened stream ${id}, whose parity is ours`);
    if (id <= this.#lastPeerStreamId)
      throw invalidInput(`SPDY peer opened stream ${id} after ${this.#lastPeerStreamId}`);
    this.#lastPeerStreamId = id;
  }

  #onSynStream(frame: Frame & { type: 'synStream' }, headers: StreamHeaders): void {
    const { onStream, admit, maxStreams = 1024 } = this.#options;
    const id = frame.streamId;
    if (onStream === undefined || this.#streams.size >= maxStreams || admit?.(headers, id) === false) {
      return this.#answer(rstStreamFrame(id, resetStatus.refusedStream));
    }
    const stream = new SpdyStream(this.#link, id, headers, { canWrite: !frame.unidirectional });
    this.#streams.set(id, stream);
    // The peer drops data that comes before the answer, so the answer goes first.
    this.#answer(synReplyFrame(id, this.#headerWriter.block({})));
    if (frame.fin) stream.receiveFin();
    onStream(stream);
  }

  #onReply(frame: Frame & { type: 'synReply' | 'headers' }): void {
    const stream = this.#streams.get(frame.streamId);
    if (stream === undefined) return;
    if (frame.type === 'synReply') this.#opening.get(frame.streamId)?.resolve(stream);
    if (frame.fin) stream.receiveFin();
  }

  #onData(id: number, payload: Buffer, fin: boolean): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      const ours = id % 2 === this.#nextStreamId % 2;
      const neverOpened = ours ? id >= this.#nextStreamId : id > this.#lastPeerStreamId;
      // Data for a stream that is over was on its way when we said so.
      if (neverOpened) this.#answer(rstStreamFrame(id, resetStatus.invalidStream));
      return;
    }
    stream.receive(payload);
    if (fin) stream.receiveFin();
  }

  #onReset(id: number, status: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#opening.get(id)?.reject(unavailable(`SPDY stream ${id} was refused with status ${status}`));
    this.#forget(stream);
    stream.receiveReset();
  }

  #forget(stream: SpdyStream): void {
    this.#reading.release(stream);
    if (this.#streams.get(stream.id) === stream) this.#streams.delete(stream.id);
  }

  #hold(holder: unknown): void {
    if (!this.signal.aborted) this.#reading.hold(holder);
  }

  /** Sends a small frame without waiting; a peer that asks for many and reads none loses the connection. */
  #answer(frame: Buffer): void {
    if (this.signal.aborted || this.#transport.destroyed) return;
    this.#transport.write(frame);
    if (this.#transport.writableLength > maxUnreadAnswerBytes) {
      this.destroy(invalidInput('SPDY peer sends frames that must be answered and does not read the answers'));
    }
  }

  #fail(error: Error): void {
    this.#answer(goAwayFrame(this.#lastPeerStreamId, goAwayStatus.protocolError));
    this.destroy(error);
  }

  #lost(error: Error): void {
    if (!this.signal.aborted) {
      this.#error = error;
      this.#end(error, (stream) => stream.receiveLoss(error));
    }
    const flushing = this.#transport.writableEnded && !this.#transport.writableFinished;
    if (this.#transport.readableEnded && !flushing) this.#transport.destroy();
  }

  /** The one end of everything this connection holds. */
  #end(reason: Error, tell: (stream: SpdyStream) => void): void {
    this.#idle?.stop();
    this.#reading.stop();
    this.#headerReader.close();
    this.#ended.abort(reason);
    this.#sender.stop(reason);
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#pings.clear();
    for (const opening of this.#opening.values()) opening.reject(reason);
    for (const stream of streams) tell(stream);
  }

  /** Closes the transport once everything is sent; what the peer still says is dropped. */
  #linger(): void {
    this.#transport.end(() => {
      if (this.#transport.readableEnded) this.#transport.destroy();
    });
    this.#transport.resume();
    this.#cancelLinger = this.#options.clock.after(lingerMs, () => this.#transport.destroy());
  }
}
