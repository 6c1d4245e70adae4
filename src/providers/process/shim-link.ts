import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { messageOf, unavailable, unsupported } from '../../core/errors.ts';
import { type DataChannel, type FrameHandlers, FrameParser, sendMessage } from './frames.ts';
import {
  protocolVersion,
  type ShimEvent,
  type ShimHello,
  type ShimMethod,
  type ShimMethods,
  type ShimReply,
  type StoredContainer,
  type StreamReply,
  type StreamRequest,
} from './protocol.ts';
import { fromWire } from './wire-error.ts';

/** What a link tells its owner. */
export interface ShimLinkHandlers {
  container(container: StoredContainer): void;
  removed(id: string): void;
  /** The connection has ended: the shim has, or cannot be told from one that has. Called once. */
  gone(link: ShimLink): void;
}

interface Pending {
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** How long a shim may take to answer its first call: it is on the same machine and never blocks for long. */
const helloTimeoutMs = 10_000;

/** The daemon's end of the control connection with one shim. */
export class ShimLink {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #pending = new Map<number, Pending>();
  #handlers: ShimLinkHandlers | undefined;
  #hello: ShimHello | undefined;
  #synced: (() => void) | undefined;
  #nextID = 1;

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    readFrames(socket, { message: (message) => this.#receive(message as ShimReply | ShimEvent) });
    socket.once('close', () => this.#closed());
  }

  /** Connects and greets. @throws when nobody listens there. */
  static async connect(path: string, version: string): Promise<ShimLink> {
    const link = new ShimLink(await connectTo(path), path);
    const timer = setTimeout(() => link.#socket.destroy(), helloTimeoutMs);
    try {
      link.#hello = await link.call('hello', { protocol: protocolVersion, version });
      return link;
    } catch (err) {
      link.#socket.destroy();
      throw err;
    } finally {
      clearTimeout(timer);
    }
  }

  get hello(): ShimHello {
    return this.#hello as ShimHello;
  }

  get id(): string {
    return this.hello.id;
  }

  /** Starts to report; resolves when everything that the shim holds has been reported. */
  async watch(handlers: ShimLinkHandlers): Promise<void> {
    this.#handlers = handlers;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#synced = resolve;
    await this.call('watch', {});
    await Promise.race([promise, once(this.#socket, 'close')]);
  }

  /** @throws what the shim answered, or CodedError `Unavailable` when it ended first. */
  call<M extends ShimMethod>(method: M, params: ShimMethods[M]['params']): Promise<ShimMethods[M]['result']> {
    if (this.#hello !== undefined && (method === 'create' || method === 'start')) this.#requireProtocol(method);
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(ended());
      const id = this.#nextID++;
      this.#pending.set(id, { resolve: (result) => resolve(result as ShimMethods[M]['result']), reject });
      sendMessage(this.#socket, { id, method, params });
    });
  }

  /** A connection of its own that carries one exec or attach; resolves when the shim has joined the streams. */
  async openStream(request: StreamRequest, handlers: StreamHandlers): Promise<Socket> {
    this.#requireProtocol(request.stream);
    const socket = await connectTo(this.#path);
    const { promise: joined, resolve, reject } = Promise.withResolvers<void>();
    readFrames(socket, {
      message: (message) => {
        const reply = message as StreamReply;
        if (reply.type === 'joined') resolve();
        else if (reply.type === 'error') reject(fromWire(reply.error));
        else handlers.reply(reply);
      },
      data: (channel, bytes) => handlers.data(channel, bytes, socket),
    });
    socket.once('close', () => reject(ended()));
    sendMessage(socket, request);
    try {
      await joined;
    } catch (err) {
      socket.destroy();
      throw err;
    }
    return socket;
  }

  /** Leaves the shim; its containers go on. */
  close(): void {
    this.#socket.destroy();
  }

  #requireProtocol(what: string): void {
    if (this.hello.protocol === protocolVersion) return;
    const who = `the shim of version ${this.hello.version} that owns this container`;
    throw unsupported(
      `${what}: ${who} speaks protocol ${this.hello.protocol}, this daemon ${protocolVersion}; restart the pod`,
    );
  }

  #receive(message: ShimReply | ShimEvent): void {
    if ('event' in message) {
      if (message.event === 'container') this.#handlers?.container(message.container);
      else if (message.event === 'removed') this.#handlers?.removed(message.id);
      else this.#synced?.();
      return;
    }
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if ('error' in message) pending?.reject(fromWire(message.error));
    else pending?.resolve(message.result);
  }

  #closed(): void {
    for (const pending of this.#pending.values()) pending.reject(ended());
    this.#pending.clear();
    this.#handlers?.gone(this);
  }
}

export interface StreamHandlers {
  data(channel: DataChannel, bytes: Buffer, socket: Socket): void;
  reply(reply: Exclude<StreamReply, { type: 'joined' | 'error' }>): void;
}

function ended(): Error {
  return unavailable('the shim that owns the container has ended');
}

async function connectTo(path: string): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => {}); // Shows as `close`, and as the rejection below.
  try {
    await once(socket, 'connect');
  } catch (err) {
    throw unavailable(`the shim at ${path} cannot be reached: ${messageOf(err)}`, err);
  }
  return socket;
}

function readFrames(socket: Socket, handlers: FrameHandlers): void {
  const parser = new FrameParser(handlers);
  socket.on('data', (chunk: Buffer) => {
    try {
      parser.push(chunk);
    } catch (err) {
      socket.destroy(new Error(`the shim sent what cannot be read: ${messageOf(err)}`));
    }
  });
}
