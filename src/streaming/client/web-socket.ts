import { WebSocket } from 'ws';

import { unavailable } from '../../core/errors.ts';
import { refusalOf } from './upgrade-request.ts';
import type { StreamingTarget } from './upgrade-request.ts';

/**
 * Opens a WebSocket, paused; `protocol` is what the server chose, '' for none. Rejects with {@link UpgradeRefused} when the server
 * answers anything but 101, with `Unavailable` when it cannot be reached.
 */
export function openWebSocket(
  target: StreamingTarget,
  protocols: readonly string[],
): Promise<{ socket: WebSocket; protocol: string }> {
  const url = new URL(target.url);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return new Promise((resolve, reject) => {
    let protocol = '';
    const socket = new WebSocket(url, {
      ...target.tls,
      headers: { ...target.headers, ...(protocols.length > 0 && { 'Sec-WebSocket-Protocol': protocols.join(', ') }) },
      perMessageDeflate: false,
      // `ws` refuses subprotocols with a slash in their name, such as the tunnel's, so it is shown neither offer nor choice.
      finishRequest(request) {
        request.prependListener('upgrade', ({ headers }) => {
          protocol = headers['sec-websocket-protocol'] ?? '';
          delete headers['sec-websocket-protocol'];
        });
        request.end();
      },
    });
    const { signal } = target;
    const aborted = () => {
      reject(signal?.reason as Error);
      socket.terminate();
    };
    if (signal?.aborted === true) aborted();
    signal?.addEventListener('abort', aborted, { once: true });
    socket.on('error', (error) => reject(unavailable(`cannot reach ${url.host}: ${error.message}`, error)));
    socket.on('unexpected-response', (request, response) => {
      refusalOf(response)
        .then(reject, reject)
        .finally(() => request.destroy());
    });
    socket.on('close', () => signal?.removeEventListener('abort', aborted));
    socket.on('open', () => {
      socket.pause();
      resolve({ socket, protocol });
    });
  });
}
