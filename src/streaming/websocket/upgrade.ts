import type { IncomingMessage } from 'node:http';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

import { headerValues, takeSocket, UpgradeRefused } from '../upgrade.ts';
import type { Upgrade } from '../upgrade.ts';

/** Longest message taken, as golang.org/x/net/websocket, the kubelet's server, limits it. */
const maxMessageBytes = 32 * 1024 * 1024;

/**
 * The first subprotocol in the client's order that is among `supported`, where '' stands for naming none.
 * The refusal is golang.org/x/net/websocket's 403.
 */
export function negotiateWebSocket({ request }: Upgrade, supported: readonly string[]): string {
  if (request.method !== 'GET') throw new UpgradeRefused(405, 'bad method\n');
  const offered = headerValues(request, 'sec-websocket-protocol') ?? [];
  const protocol = (offered.length === 0 ? [''] : offered).find((name) => supported.includes(name));
  if (protocol !== undefined) return protocol;
  throw new UpgradeRefused(
    403,
    `requested protocol(s) are not supported: [${offered.join(' ')}]; supports [${supported.join(' ')}]`,
  );
}

/** Answers the handshake; the WebSocket is paused. A malformed one is refused with what is wrong. Extensions are not negotiated. */
export function acceptWebSocket(upgrade: Upgrade, protocol: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: maxMessageBytes,
    });
    if (protocol !== '') server.on('headers', (headers) => headers.push(`Sec-WebSocket-Protocol: ${protocol}`));
    // With this listener the server writes nothing of its own to the socket.
    server.on('wsClientError', (error) => reject(new UpgradeRefused(400, `${error.message}\n`)));
    // `ws` refuses subprotocols with a slash in their name, such as the tunnel's, so it is shown none.
    const { 'sec-websocket-protocol': _, ...headers } = upgrade.request.headers;
    const request = Object.create(upgrade.request, { headers: { value: headers } }) as IncomingMessage;
    server.handleUpgrade(request, takeSocket({ ...upgrade, head: Buffer.alloc(0) }), upgrade.head, (socket) => {
      socket.pause();
      resolve(socket);
    });
  });
}
