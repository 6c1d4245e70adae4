import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';

import { conflict, messageOf, notFound, unsupported } from '../../../core/errors.ts';
import type { NamedPipes } from '../../../host/named-pipes.ts';
import type { ProcessIdentity } from '../../../host/process-table.ts';
import { Sweeper } from '../belongings.ts';
import type { StateFiles } from '../files.ts';
import { channels, FrameParser, sendMessage } from '../frames.ts';
import {
  protocolVersion,
  type ShimArguments,
  type ShimEvent,
  type ShimHello,
  type ShimMethods,
  type ShimRequest,
  type StreamControl,
  type StreamRequest,
} from '../protocol.ts';
import { toWire } from '../wire-error.ts';
import { ShimContainer } from './container.ts';
import { refuseStream, startAttach, startExec, type StreamSession } from './streams.ts';

export interface ShimServerOptions {
  readonly arguments: ShimArguments;
  readonly process: ProcessIdentity;
  readonly files: StateFiles;
  readonly pipes: NamedPipes;
  log(message: string): void;
  /** Called when nothing runs and nobody is connected, or after `drain` when nothing runs. */
  onIdle(): void;
}

/** Time for a client that only connects anew. */
const idleMs = 200;

/** Nobody has connected since the start: whoever started it has died in between. */
const firstClientMs = 10_000;

/** The containers of one shim and the connections to it. */
export class ShimServer {
  readonly #options: ShimServerOptions;
  readonly #sweeper: Sweeper;
  readonly #containers = new Map<string, ShimContainer>();
  readonly #clients = new Set<Socket>();
  readonly #watchers = new Set<Socket>();
  readonly #server: Server;
  #draining = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: ShimServerOptions) {
    this.#options = options;
    this.#sweeper = new Sweeper((left) =>
      options.log(`processes could not be killed: ${left.map(({ pid }) => pid).join(' ')}`),
    );
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get hello(): ShimHello {
    const { id, version, bootID, socket } = this.#options.arguments;
    return {
      id,
      protocol: protocolVersion,
      version,
      process: this.#options.process,
      bootID,
      socket,
      draining: this.#draining,
    };
  }

  async listen(): Promise<void> {
    const path = this.#options.arguments.socket;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    this.#waitForWork(firstClientMs);
  }

  /** Takes no further connection; the socket's file goes. */
  close(): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  #accept(socket: Socket): void {
    this.#clients.add(socket);
    clearTimeout(this.#idle);
    let session: Promise<StreamSession> | undefined;
    let begun: StreamSession | undefined;
    // Frames that come before an exec has started wait for it; the client sends none before it has joined.
    const parser = new FrameParser({
      message: (message) => {
        if (session !== undefined) begun?.control(message as StreamControl);
        else if (isStreamRequest(message)) {
          session = this.#startStream(socket, message);
          session.then(
            (started) => (begun = started),
            (err: unknown) => refuseStream(socket, err),
          );
        } else void this.#answer(socket, message as ShimRequest);
      },
      data: (channel, bytes) => channel === channels.stdin && begun?.stdin(bytes),
      end: (channel) => channel === channels.stdin && begun?.stdinEnd(),
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        parser.push(chunk);
      } catch (err) {
        this.#options.log(`connection dropped: ${messageOf(err)}`);
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#clients.delete(socket);
      this.#watchers.delete(socket);
      this.#waitForWork(idleMs);
    });
  }

  async #startStream(socket: Socket, request: StreamRequest): Promise<StreamSession> {
    const container = this.#container(request.id);
    return request.stream === 'exec'
      ? await startExec(socket, request, container, this.#sweeper)
      : startAttach(socket, request, container);
  }

  async #answer(socket: Socket, request: ShimRequest): Promise<void> {
    try {
      const result = await this.#perform(socket, request);
      sendMessage(socket, { id: request.id, result });
    } catch (err) {
      sendMessage(socket, { id: request.id, error: toWire(err) });
    }
    if (request.method === 'watch') this.#startWatch(socket);
  }

  async #perform(_socket: Socket, request: ShimRequest): Promise<ShimMethods[typeof request.method]['result']> {
    switch (request.method) {
      case 'hello':
        return this.hello;
      case 'drain':
        this.#draining = true;
        this.#waitForWork(0);
        return null;
      case 'watch':
        return null;
      case 'create':
        this.#create(request.params);
        return null;
      case 'start':
        await this.#container(request.params.id).start();
        return null;
      case 'stop':
        await this.#containers.get(request.params.id)?.stop(request.params.graceSeconds);
        return null;
      case 'remove':
        await this.#remove(request.params.id);
        return null;
      default:
        throw unsupported(`this shim does not know the request ${String((request as { method: unknown }).method)}`);
    }
  }

  #create({ container, plan }: ShimMethods['create']['params']): void {
    if (this.#draining) throw conflict('this shim takes no new containers');
    const { id } = container.record;
    const created = ShimContainer.create(container, plan, {
      files: this.#options.files,
      pipes: this.#options.pipes,
      sweeper: this.#sweeper,
      bootID: this.#options.arguments.bootID,
      changed: (stored) => {
        this.#tell({ event: 'container', container: stored });
        if (stored.status.state === 'exited') this.#waitForWork(idleMs);
      },
      log: (message) => this.#options.log(message),
    });
    this.#containers.set(id, created);
  }

  async #remove(id: string): Promise<void> {
    const container = this.#containers.get(id);
    if (container === undefined) return;
    await container.remove();
    if (this.#containers.delete(id)) this.#tell({ event: 'removed', id });
  }

  #container(id: string): ShimContainer {
    const container = this.#containers.get(id);
    if (container === undefined) throw notFound(`container ${id} is not known to the shim`);
    return container;
  }

  #startWatch(socket: Socket): void {
    for (const { stored } of this.#containers.values()) sendMessage(socket, { event: 'container', container: stored });
    sendMessage(socket, { event: 'synced' } satisfies ShimEvent);
    this.#watchers.add(socket);
  }

  #tell(event: ShimEvent): void {
    for (const watcher of this.#watchers) sendMessage(watcher, event);
  }

  /** Looks after `ms` whether there is still a reason to be. */
  #waitForWork(ms: number): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const live = [...this.#containers.values()].some((container) => container.live);
      if (!live && (this.#draining || this.#clients.size === 0)) this.#options.onIdle();
    }, ms);
  }
}

function isStreamRequest(message: unknown): message is StreamRequest {
  return message instanceof Object && 'stream' in message;
}
