import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';

import type { LaunchedProcess } from '../../../host/launcher.ts';
import type { Sweeper } from '../belongings.ts';
import { channels, type DataChannel, sendData, sendEnd, sendMessage } from '../frames.ts';
import type { StreamControl, StreamReply, StreamRequest } from '../protocol.ts';
import { toWire } from '../wire-error.ts';
import type { ShimContainer } from './container.ts';

/** What a connection's frames are handed to once its first message has said what it is. */
export interface StreamSession {
  stdin(bytes: Buffer): void;
  stdinEnd(): void;
  control(message: StreamControl): void;
}

/** How far an attached client may fall behind before it is dropped rather than slow the container down. */
const longestBacklog = 4 * 1024 * 1024;

/** How long a pipe may stay open and silent after its process has ended: a child in the background may hold it. */
const silenceMs = 1_000;

/**
 * Feeds a process from a connection. The window of the protocol bounds what is buffered here; each piece is
 * acknowledged when the process has taken it, and at once when it wants no more.
 */
class StdinFeed {
  readonly #socket: Socket;
  readonly #target: Writable | undefined;

  constructor(socket: Socket, target: Writable | undefined) {
    this.#socket = socket;
    this.#target = target;
    target?.on('error', () => {}); // EPIPE: the process closed its input.
  }

  write(bytes: Buffer): void {
    const taken = () => reply(this.#socket, { type: 'taken', bytes: bytes.length });
    if (this.#target === undefined || !this.#target.writable) return taken();
    this.#target.write(bytes, taken);
  }
}

function reply(socket: Socket, message: StreamReply): void {
  sendMessage(socket, message);
}

/** Runs a command beside a container's main process for as long as the connection lasts. */
export async function startExec(
  socket: Socket,
  request: Extract<StreamRequest, { stream: 'exec' }>,
  container: ShimContainer,
  sweeper: Sweeper,
): Promise<StreamSession> {
  const launched = await container.exec(request.command, request);
  reply(socket, { type: 'joined' });
  const outputs = [relay(launched.stdout, socket, channels.stdout), relay(launched.stderr, socket, channels.stderr)];
  let ended = false;
  socket.once('close', () => {
    for (const output of outputs) output.destroy();
    launched.stdin?.destroy();
    if (!ended) void sweeper.kill({ main: launched.identity });
  });
  const finish = async () => {
    const { exitCode } = await launched.exited;
    ended = true;
    await Promise.all(outputs.map((output) => output.drained()));
    reply(socket, { type: 'exit', exitCode });
    socket.end();
  };
  void finish();
  return sessionOf(socket, launched);
}

function sessionOf(socket: Socket, launched: LaunchedProcess): StreamSession {
  const feed = new StdinFeed(socket, launched.stdin);
  return {
    stdin: (bytes) => feed.write(bytes),
    stdinEnd: () => void launched.stdin?.end(),
    control: (message) => launched.resize?.(message.size),
  };
}

interface Relay {
  /** Resolves when all has been sent, or when nothing more is to be expected of an ended process. */
  drained(): Promise<void>;
  destroy(): void;
}

/** Sends what a process writes, at the pace of the connection. */
function relay(source: Readable | undefined, socket: Socket, channel: DataChannel): Relay {
  if (source === undefined) return { drained: async () => {}, destroy() {} };
  let lastByteAt = 0;
  source.on('data', (bytes: Buffer) => {
    lastByteAt = performance.now();
    if (!sendData(socket, channel, bytes)) source.pause();
  });
  const resume = () => void source.resume();
  socket.on('drain', resume);
  source.on('error', () => source.destroy());
  source.once('end', () => source.destroy());
  const closed = new Promise<void>((resolve) => {
    source.once('close', () => {
      socket.off('drain', resume);
      sendEnd(socket, channel);
      resolve();
    });
  });
  return {
    async drained() {
      lastByteAt = Math.max(lastByteAt, performance.now());
      const watchdog = setInterval(() => {
        if (!source.isPaused() && performance.now() - lastByteAt >= silenceMs) source.destroy();
      }, silenceMs / 4);
      await closed;
      clearInterval(watchdog);
    },
    destroy: () => void source.destroy(),
  };
}

/** Joins a container's own streams for as long as both last. */
export function startAttach(
  socket: Socket,
  request: Extract<StreamRequest, { stream: 'attach' }>,
  container: ShimContainer,
): StreamSession {
  const attachment = container.attach((stream, bytes) => {
    if (!request[stream]) return;
    sendData(socket, channels[stream], bytes);
    if (socket.writableLength > longestBacklog) socket.destroy();
  });
  reply(socket, { type: 'joined' });
  const feed = new StdinFeed(socket, request.stdin ? attachment.stdin : undefined);
  const endStdin = () => {
    if (request.stdin) attachment.endStdin();
  };
  socket.once('close', () => {
    attachment.leave();
    endStdin();
  });
  const finish = async () => {
    await attachment.ended;
    reply(socket, { type: 'exit', exitCode: container.exitCode ?? 0 });
    socket.end();
  };
  void finish();
  return {
    stdin: (bytes) => feed.write(bytes),
    stdinEnd: endStdin,
    control: (message) => attachment.resize(message.size),
  };
}

/** Answers a stream request that cannot be served. */
export function refuseStream(socket: Socket, error: unknown): void {
  reply(socket, { type: 'error', error: toWire(error) });
  socket.end();
}
