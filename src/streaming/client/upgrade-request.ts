import { request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions } from 'node:tls';

import { unavailable } from '../../core/errors.ts';
import { UpgradeRefused } from '../upgrade.ts';

/** Where a streaming server is and how to reach it. */
export interface StreamingTarget {
  /** `http:` or `https:`, with the query that says what is wanted. */
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: SecureContextOptions & { readonly rejectUnauthorized?: boolean; readonly servername?: string };
  /** Aborting it before the connection is open gives up; afterwards it closes the connection. */
  readonly signal?: AbortSignal;
}

/** Most bytes of a refusal's body that are kept. */
const maxBodyBytes = 64 * 1024;

/**
 * Asks for a SPDY connection. Resolves with the transport and the protocol that the server chose; rejects with
 * {@link UpgradeRefused} when the server answers anything but 101, with `Unavailable` when it cannot be reached.
 */
export function requestSpdy(
  target: StreamingTarget,
  protocols: readonly string[],
): Promise<{ transport: Duplex; protocol: string }> {
  const { url, headers, tls, signal } = target;
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
      ...tls,
      method: 'POST',
      agent: false,
      ...(signal && { signal }),
      headers: {
        ...headers,
        Connection: 'Upgrade',
        Upgrade: 'SPDY/3.1',
        'X-Stream-Protocol-Version': [...protocols],
        'Content-Length': '0',
      },
    });
    request.on('upgrade', (response, transport, head) => {
      if (head.length > 0) transport.unshift(head);
      transport.setNoDelay(true);
      transport.on('error', () => {});
      resolve({ transport, protocol: String(response.headers['x-stream-protocol-version'] ?? '') });
    });
    request.on('response', (response) => {
      refusalOf(response).then(reject, reject);
    });
    request.on('error', (error) => {
      reject(
        signal?.aborted === true
          ? (signal.reason as Error)
          : unavailable(`cannot reach ${url.host}: ${error.message}`, error),
      );
    });
    request.end();
  });
}

/** What a server said instead of 101. Reads the response's body. */
export async function refusalOf(response: IncomingMessage): Promise<UpgradeRefused> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length <= maxBodyBytes) parts.push(part);
  }
  const headers = Object.entries(response.headers).map(([name, value]) => [name, value ?? '']);
  return new UpgradeRefused(
    response.statusCode ?? 0,
    Buffer.concat(parts).toString('utf8'),
    Object.fromEntries(headers),
  );
}
