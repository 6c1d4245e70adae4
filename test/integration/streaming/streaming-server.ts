import '../../e2e/control-plane/reflect-metadata.ts';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { webcrypto } from 'node:crypto';
import type { Duplex } from 'node:stream';

import { servePortForward, serveRemoteCommand, UpgradeRefused, writeRefusal } from '../../../src/streaming/index.ts';
import type { DialPort, RemoteCommandOptions, RunRemoteCommand, Upgrade } from '../../../src/streaming/index.ts';

/** What the server under test does with requests for `/exec` and `/portForward`. */
export interface ServedStreams {
  readonly run?: RunRemoteCommand;
  readonly dial?: DialPort;
  readonly options?: RemoteCommandOptions;
}

/** A real HTTP(S) server on a free loopback port that hands upgrades straight to the streaming room. */
export class StreamingServer {
  readonly #server: ReturnType<typeof createHttpServer>;
  readonly #sockets = new Set<Socket>();
  readonly secure: boolean;
  /** Requests that are being served now. */
  serving = 0;
  /** What a request failed with after its 101: must stay empty. */
  readonly failures: unknown[] = [];

  private constructor(server: ReturnType<typeof createHttpServer>, served: ServedStreams, secure: boolean) {
    this.#server = server;
    this.secure = secure;
    server.on('upgrade', (request, socket, head) => void this.#serve({ request, socket, head }, served));
    server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(served: ServedStreams, tls?: { key: string; cert: string }): Promise<StreamingServer> {
    const server = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    const streaming = new StreamingServer(server, served, tls !== undefined);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return streaming;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The server's ends of open TCP connections. */
  get sockets(): readonly Socket[] {
    return [...this.#sockets];
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(upgrade: Upgrade, { run, dial, options }: ServedStreams): Promise<void> {
    this.serving++;
    try {
      const query = new URL(upgrade.request.url ?? '/', 'http://node').searchParams;
      const on = (name: string) => query.get(name) === '1';
      if (pathOf(upgrade.request) === '/portForward') {
        if (dial === undefined) throw new Error('no dial');
        await servePortForward(upgrade, dial, { ...options, pod: 'sandbox' });
      } else {
        if (run === undefined) throw new Error('no run');
        await serveRemoteCommand(
          upgrade,
          { stdin: on('input'), stdout: on('output'), stderr: on('error'), tty: on('tty') },
          run,
          options,
        );
      }
    } catch (error) {
      if (error instanceof UpgradeRefused) writeRefusal(upgrade.socket, error);
      else this.failures.push(error);
    } finally {
      this.serving--;
    }
  }
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://node').pathname;
}

/** A self-signed certificate for 127.0.0.1. */
export async function selfSigned(): Promise<{ key: string; cert: string }> {
  // Imported late: jest evaluates CommonJS before the polyfill above, which this needs.
  const { KeyUsageFlags, KeyUsagesExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } =
    await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=streaming-test',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    ],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`, cert: certificate.toString('pem') };
}

/** Resolves when `check` is true; looks again after every turn of the event loop. Fails by the test's own timeout. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setImmediate(resolve));
}

/** Counts what comes out of a stream, holding nothing. */
export async function countBytes(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const chunk of stream) count += chunk.length;
  return count;
}

/** Everything that comes out of a stream. */
export async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes `size` bytes in chunks, waiting when the stream is full. Counts what was accepted as it goes. */
export async function pour(
  stream: Duplex | NodeJS.WritableStream,
  size: number,
  onProgress: (written: number) => void = () => {},
): Promise<void> {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let written = 0;
  while (written < size) {
    const piece = chunk.subarray(0, Math.min(chunk.length, size - written));
    written += piece.length;
    const more = stream.write(piece);
    onProgress(written);
    if (!more) await new Promise((resolve) => stream.once('drain', resolve));
  }
}
