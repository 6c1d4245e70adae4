import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';

import { SpdyConnection } from '../../../src/streaming/spdy/connection.ts';
import type { SpdyOptions } from '../../../src/streaming/spdy/connection.ts';
import { FrameParser } from '../../../src/streaming/spdy/frame-parser.ts';
import type { Frame } from '../../../src/streaming/spdy/frames.ts';
import type { SpdyStream } from '../../../src/streaming/spdy/stream.ts';
import { FakeClock } from '../../../src/testing/fake-clock.ts';

/** A server connection, the streams it was given, and a peer that speaks bare frames to it. */
export class ServerAndPeer {
  readonly clock = new FakeClock();
  readonly streams: SpdyStream[] = [];
  /** What the server has sent, DATA in the pieces in which it came. */
  readonly received: Frame[] = [];
  readonly server: SpdyConnection;
  readonly peer: Duplex;
  readonly #parser = new FrameParser(64 * 1024);

  constructor(options: Partial<SpdyOptions> = {}) {
    const [near, far] = duplexPair();
    this.peer = far;
    far.on('error', () => {});
    far.on('data', (chunk: Buffer) => {
      this.#parser.push(chunk);
      for (let frame = this.#parser.next(); frame !== undefined; frame = this.#parser.next()) this.received.push(frame);
    });
    this.server = new SpdyConnection(near, {
      role: 'server',
      clock: this.clock,
      onStream: (stream) => this.streams.push(stream),
      ...options,
    });
  }

  /** The kinds of frames that the server has sent, in order. */
  get receivedTypes(): string[] {
    return this.received.map(({ type }) => type);
  }
}

/** A client and a server connection that talk to each other. */
export function spdyPair(serverOptions: Partial<SpdyOptions> = {}): {
  readonly client: SpdyConnection;
  readonly server: SpdyConnection;
  readonly streams: SpdyStream[];
  readonly clock: FakeClock;
} {
  const [near, far] = duplexPair();
  const clock = new FakeClock();
  const streams: SpdyStream[] = [];
  const server = new SpdyConnection(near, {
    role: 'server',
    clock,
    onStream: (stream) => streams.push(stream),
    ...serverOptions,
  });
  const client = new SpdyConnection(far, { role: 'client', clock });
  return { client, server, streams, clock };
}

/** Resolves when `check` is true; looks again after every turn of the event loop. Fails by the test's own timeout. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

/** Everything that comes out of a stream. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}
