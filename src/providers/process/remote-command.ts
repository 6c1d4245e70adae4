import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

import { messageOf, unavailable } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { RemoteStreams } from '../contract.ts';
import { channels, sendData, sendEnd, sendMessage } from './frames.ts';
import { type StreamControl, type StreamRequest, stdinWindow } from './protocol.ts';
import type { ShimLink } from './shim-link.ts';

/**
 * Carries a client's streams to a shim and back until the command or container has ended. Resolves with the exit
 * code after the last byte of output was taken; rejects with the signal's reason when the client leaves, upon which
 * the shim ends what it started.
 */
export async function runRemote(
  link: ShimLink,
  request: StreamRequest,
  streams: RemoteStreams,
  log: Logger,
): Promise<number> {
  streams.signal.throwIfAborted();
  const exit = Promise.withResolvers<number>();
  exit.promise.catch(() => {}); // It may be rejected before anybody waits.
  let stdin: StdinPump | undefined;
  const socket = await link.openStream(request, {
    reply(message) {
      if (message.type === 'taken') stdin?.taken(message.bytes);
      else exit.resolve(message.exitCode);
    },
    data(channel, bytes, from) {
      const target = channel === channels.stdout ? streams.stdout : streams.stderr;
      deliverTo(target, bytes, from);
    },
  });
  const abort = () => void socket.destroy();
  streams.signal.addEventListener('abort', abort, { once: true });
  socket.once('close', () => exit.reject(unavailable('the shim that owns the container has ended')));
  if (streams.signal.aborted) abort();
  if (streams.stdin !== undefined) stdin = new StdinPump(streams.stdin, socket);
  if (streams.resize !== undefined) void relayResize(streams.resize, socket, log);
  try {
    const exitCode = await exit.promise;
    await Promise.all([flushed(streams.stdout, streams.signal), flushed(streams.stderr, streams.signal)]);
    return exitCode;
  } catch (err) {
    streams.signal.throwIfAborted();
    throw err;
  } finally {
    streams.signal.removeEventListener('abort', abort);
    stdin?.stop();
    socket.destroy();
  }
}

/** Writes what the process said; a consumer that is full stops the connection, and with it the process. */
function deliverTo(target: Writable | undefined, bytes: Buffer, socket: Socket): void {
  if (target === undefined || !target.writable || target.write(bytes) || socket.isPaused()) return;
  socket.pause();
  const resume = () => {
    target.off('drain', resume).off('close', resume);
    socket.resume();
  };
  target.once('drain', resume).once('close', resume);
}

/** Ends an output and waits until the consumer has taken all of it, or has gone. */
async function flushed(target: Writable | undefined, signal: AbortSignal): Promise<void> {
  if (target === undefined) return;
  target.end();
  try {
    await finished(target, { signal, readable: false });
  } catch {
    signal.throwIfAborted(); // A consumer that broke off has what it wanted.
  }
}

/** Sends stdin no faster than the process takes it. Never destroys the caller's stream. */
class StdinPump {
  readonly #source: Readable;
  readonly #socket: Socket;
  #window = stdinWindow;

  constructor(source: Readable, socket: Socket) {
    this.#source = source;
    this.#socket = socket;
    source.on('data', this.#send);
    source.once('end', this.#end);
    source.once('error', this.#end);
    if (source.readableEnded) this.#end();
  }

  taken(bytes: number): void {
    this.#window += bytes;
    if (this.#window > 0 && this.#source.isPaused()) this.#source.resume();
  }

  stop(): void {
    this.#source.off('data', this.#send).off('end', this.#end).off('error', this.#end);
    this.#source.pause();
  }

  readonly #send = (bytes: Buffer | string) => {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    sendData(this.#socket, channels.stdin, chunk);
    this.#window -= chunk.length;
    if (this.#window <= 0) this.#source.pause();
  };

  readonly #end = () => void sendEnd(this.#socket, channels.stdin);
}

async function relayResize(sizes: NonNullable<RemoteStreams['resize']>, socket: Socket, log: Logger): Promise<void> {
  try {
    for await (const size of sizes) {
      if (socket.destroyed) return;
      sendMessage(socket, { type: 'resize', size } satisfies StreamControl);
    }
  } catch (err) {
    log.debug('terminal sizes ended', { err: messageOf(err) });
  }
}
