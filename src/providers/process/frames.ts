import type { Socket } from 'node:net';

/**
 * What flows on a connection with the shim: frames of a channel (1 byte), a length (4 bytes, big endian) and that
 * many bytes. Channel 0 carries one JSON message per frame; the others carry bytes, an empty frame being their end.
 */
export const channels = { message: 0, stdin: 1, stdout: 2, stderr: 3 } as const;
export type DataChannel = 1 | 2 | 3;

const headerLength = 5;

/** A message longer than this is a broken peer; a pod's whole environment is far below it. */
const longestMessage = 64 * 1024 * 1024;

export function sendMessage(socket: Socket, message: unknown): boolean {
  const body = Buffer.from(JSON.stringify(message));
  return send(socket, channels.message, body);
}

/** Sends bytes; false when the socket would rather not take more now. */
export function sendData(socket: Socket, channel: DataChannel, bytes: Uint8Array): boolean {
  return bytes.length === 0 ? true : send(socket, channel, bytes);
}

export function sendEnd(socket: Socket, channel: DataChannel): boolean {
  return send(socket, channel, Buffer.alloc(0));
}

function send(socket: Socket, channel: number, body: Uint8Array): boolean {
  if (socket.destroyed) return true;
  const header = Buffer.allocUnsafe(headerLength);
  header.writeUInt8(channel, 0);
  header.writeUInt32BE(body.length, 1);
  socket.cork();
  socket.write(header);
  const more = body.length === 0 ? !socket.writableNeedDrain : socket.write(body);
  socket.uncork();
  return more;
}

export interface FrameHandlers {
  message(message: unknown): void;
  /** A piece of a frame: frames of bytes are handed on as they come, not put together. */
  data?(channel: DataChannel, bytes: Buffer): void;
  end?(channel: DataChannel): void;
}

/** Takes a connection's bytes apart. Throws on what no peer of ours sends; the connection is then to be dropped. */
export class FrameParser {
  readonly #handlers: FrameHandlers;
  #header = Buffer.alloc(0);
  #channel = 0;
  #left = 0;
  #message: Buffer[] = [];

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left === 0) {
        rest = this.#readHeader(rest);
        continue;
      }
      const piece = rest.subarray(0, this.#left);
      rest = rest.subarray(piece.length);
      this.#left -= piece.length;
      this.#take(piece);
    }
  }

  #readHeader(bytes: Buffer): Buffer {
    const missing = headerLength - this.#header.length;
    const header = this.#header.length === 0 ? bytes : Buffer.concat([this.#header, bytes.subarray(0, missing)]);
    if (header.length < headerLength) {
      this.#header = Buffer.from(header);
      return bytes.subarray(bytes.length);
    }
    this.#header = Buffer.alloc(0);
    this.#channel = header.readUInt8(0);
    this.#left = header.readUInt32BE(1);
    if (this.#channel > channels.stderr) throw new Error(`frame of unknown channel ${this.#channel}`);
    if (this.#channel === channels.message && this.#left > longestMessage) throw new Error('message too long');
    if (this.#left === 0) this.#handlers.end?.(this.#channel as DataChannel);
    return bytes.subarray(missing);
  }

  #take(piece: Buffer): void {
    if (this.#channel !== channels.message) {
      this.#handlers.data?.(this.#channel as DataChannel, piece);
      return;
    }
    this.#message.push(piece);
    if (this.#left > 0) return;
    const whole = this.#message.length === 1 ? piece : Buffer.concat(this.#message);
    this.#message = [];
    this.#handlers.message(JSON.parse(whole.toString('utf8')));
  }
}
