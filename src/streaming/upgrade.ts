import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { STATUS_CODES } from 'node:http';

import { CodedError } from '../core/errors.ts';

/** What Node's `upgrade` event hands over. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** Bytes after the request's head, already read. */
  readonly head: Buffer;
}

/** Response headers; a name with several values is sent several times. */
export type RefusalHeaders = Readonly<Record<string, string | readonly string[]>>;

/** The upgrade was refused before any 101: answer with these, in plain text, and nothing has been written yet. */
export class UpgradeRefused extends CodedError {
  readonly status: number;
  readonly headers: RefusalHeaders;
  readonly body: string;

  constructor(status: number, body: string, headers: RefusalHeaders = {}) {
    super(status === 403 ? 'Forbidden' : 'InvalidInput', body.trimEnd());
    this.status = status;
    this.headers = { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff', ...headers };
    this.body = body;
  }
}

/** Writes a refusal to a socket that no HTTP response object guards, and closes it. */
export function writeRefusal(socket: Duplex, refused: UpgradeRefused): void {
  const lines = [`HTTP/1.1 ${refused.status} ${STATUS_CODES[refused.status] ?? 'Refused'}`];
  const length = String(Buffer.byteLength(refused.body));
  for (const [name, values] of Object.entries({ ...refused.headers, 'Content-Length': length, Connection: 'close' })) {
    for (const value of [values].flat()) lines.push(`${name}: ${value}`);
  }
  socket.end(`${lines.join('\r\n')}\r\n\r\n${refused.body}`);
}

/**
 * Which of the two upgrades a request asks for, as `wsstream.IsWebSocketRequest` decides it. What is not an upgrade at
 * all is refused as the kubelet's `UpgradeAwareHandler` does.
 */
export function upgradeKind(request: IncomingMessage): 'websocket' | 'spdy' {
  const wanted = request.headers.upgrade?.toLowerCase() ?? '';
  const connection = request.headers.connection?.toLowerCase() ?? '';
  if (wanted === '' || !connection.includes('upgrade')) throw new UpgradeRefused(500, 'Upgrade request required\n');
  return wanted === 'websocket' ? 'websocket' : 'spdy';
}

/** The comma-separated values of a request header that may also be repeated; undefined when it is absent. */
export function headerValues(request: IncomingMessage, name: string): readonly string[] | undefined {
  const header = request.headers[name];
  if (header === undefined) return undefined;
  return [header]
    .flat()
    .flatMap((line) => line.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

/** Makes an HTTP server's socket one for long-lived streams; `head` becomes the first bytes to read. */
export function takeSocket({ socket, head }: Upgrade): Duplex {
  const { setNoDelay, setKeepAlive, setTimeout } = socket as Partial<Socket>;
  setNoDelay?.call(socket, true);
  setKeepAlive?.call(socket, true, 30_000);
  setTimeout?.call(socket, 0);
  // Whoever reads it will see the error; until then it must not end the process.
  socket.on('error', () => {});
  if (head.length > 0) socket.unshift(head);
  return socket;
}
