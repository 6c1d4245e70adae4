import type { RawData, WebSocket } from 'ws';

import type { Clock } from '../../core/clock.ts';
import { invalidInput, timedOut, unavailable } from '../../core/errors.ts';
import { IdleTimer } from '../idle-timer.ts';
import { Channel } from './channel.ts';
import type { ChannelLink } from './channel.ts';
import { WebSocketFlow } from './flow.ts';

export interface ChannelSocketOptions {
  /** Number of channels of the protocol; others are ignored. */
  readonly channels: number;
  /** Text messages: the channel as a digit, then base64. Otherwise binary: a byte, then the bytes. */
  readonly base64: boolean;
  /** v5: message `FF n` closes the peer's half of channel n. */
  readonly closeSignal: boolean;
  /** The socket is closed when no message came or went for this long. Default: never. */
  readonly idleTimeoutMs?: number;
  readonly clock: Clock;
}

const closeSignalByte = 255;
/** Longest payload of a message that we write. */
const maxPayloadBytes = 32 * 1024;

/** Close codes of RFC 6455. */
const closeCode = { normal: 1000, protocolError: 1002 } as const;

/**
 * A WebSocket whose messages begin with a channel number: the family of `channel.k8s.io` subprotocols
 * (`k8s.io/apimachinery/pkg/util/httpstream/wsstream`).
 */
export class ChannelSocket {
  /** Aborts when the socket closes, for whatever reason and from either side. */
  readonly signal: AbortSignal;
  /** Resolves, never rejects, when the socket is closed. */
  readonly closed: Promise<void>;

  readonly #socket: WebSocket;
  readonly #options: ChannelSocketOptions;
  readonly #flow: WebSocketFlow;
  readonly #channels = new Map<number, Channel>();
  readonly #link: ChannelLink;
  readonly #ended = new AbortController();
  readonly #idle: IdleTimer | undefined;

  constructor(socket: WebSocket, options: ChannelSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#flow = new WebSocketFlow(socket, options.clock);
    this.signal = this.#ended.signal;
    this.#link = {
      send: (channel, chunks, done) => this.#sendAll(channel, chunks, done),
      hold: (channel) => this.#flow.hold(channel),
      release: (channel) => this.#flow.release(channel),
    };
    if (options.idleTimeoutMs !== undefined) {
      const idle = `WebSocket was idle for ${options.idleTimeoutMs} ms`;
      this.#idle = new IdleTimer(options.clock, options.idleTimeoutMs, () => this.close(timedOut(idle)));
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('message', (data) => this.#receive(data));
    socket.on('ping', () => this.#idle?.touch());
    socket.on('error', (error) => this.#end(unavailable(`WebSocket broke: ${error.message}`, error)));
    socket.on('close', (code) => {
      const reason = unavailable(`WebSocket was closed by the peer with code ${code}`);
      this.#end(reason, code === closeCode.normal ? (channel) => channel.receiveEnd() : undefined);
      resolve();
    });
  }

  /** The stream of a channel. Messages of channels without a stream are dropped. Once per channel. */
  channel(number: number, directions: { readonly reads: boolean; readonly writes: boolean }): Channel {
    const channel = new Channel(this.#link, number, directions);
    this.#channels.set(number, channel);
    return channel;
  }

  /** Sends one message, even an empty one, without waiting. */
  notify(number: number, payload: Buffer): void {
    this.#send(number, payload, () => {});
  }

  /** Says that this side will send no more on a channel (v5 only). */
  endChannel(number: number): void {
    this.#flow.send(Buffer.from([closeSignalByte, number]), () => {});
  }

  /** Closes the socket with code 1000 after everything that was sent. Idempotent; await {@link closed}. */
  close(reason: Error = unavailable('WebSocket was closed')): void {
    this.#end(reason);
    this.#flow.close(closeCode.normal);
  }

  /** Closes the socket at once. Idempotent. */
  destroy(reason: Error): void {
    this.#end(reason);
    this.#socket.terminate();
  }

  #receive(data: RawData): void {
    if (this.signal.aborted) return;
    this.#idle?.touch();
    const message = data as Buffer;
    const first = message[0];
    if (first === undefined) return;
    if (this.#options.closeSignal && first === closeSignalByte) return this.#receiveClose(message);
    const number = this.#options.base64 ? first - 0x30 : first;
    const payload = message.subarray(1);
    this.#channels
      .get(number)
      ?.receive(this.#options.base64 ? Buffer.from(payload.toString('latin1'), 'base64') : payload);
  }

  #receiveClose(message: Buffer): void {
    const number = message[1];
    if (message.length === 2 && number !== undefined && number < this.#options.channels) {
      return this.#channels.get(number)?.receiveEnd();
    }
    this.#end(invalidInput('WebSocket message closes a channel that the protocol does not have'));
    this.#flow.close(closeCode.protocolError);
  }

  #sendAll(number: number, chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    const next = (at: number): void => {
      const end = at + maxPayloadBytes;
      const payload = bytes.subarray(at, end);
      this.#send(number, payload, (error) => {
        if (error instanceof Error || end >= bytes.length) done(error);
        else next(end);
      });
    };
    next(0);
  }

  #send(number: number, payload: Buffer, done: (error?: Error | null) => void): void {
    this.#idle?.touch();
    if (this.#options.base64) return this.#flow.send(`${number}${payload.toString('base64')}`, done);
    const message = Buffer.allocUnsafe(payload.length + 1);
    message[0] = number;
    payload.copy(message, 1);
    this.#flow.send(message, done);
  }

  /** The one end of everything this socket holds. */
  #end(reason: Error, tell: (channel: Channel) => void = (channel) => channel.receiveLoss(reason)): void {
    if (this.signal.aborted) return;
    this.#idle?.stop();
    this.#ended.abort(reason);
    const channels = [...this.#channels.values()];
    this.#channels.clear();
    for (const channel of channels) tell(channel);
  }
}
