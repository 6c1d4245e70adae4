import type { ClientRequest, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { ApiError, badRequest } from '../api-error.ts';

/** What an upgrade request came with. */
export interface Upgrade {
  readonly socket: Duplex;
  /** Bytes that the client sent right after its request. */
  readonly head: Buffer;
}

/** The client's headers as they go on to a kubelet: the identity stays here, the origin is noted. */
export function forwardedHeaders(request: IncomingMessage): OutgoingHttpHeaders {
  const { authorization: _authorization, host: _host, ...headers } = request.headers;
  const offered = headers['sec-websocket-protocol'];
  // A bearer token among the subprotocols is meant for us.
  const protocols = offered
    ?.split(',')
    .filter((protocol) => !protocol.trim().startsWith('base64url.bearer.authorization.k8s.io.'));
  const from = request.socket.remoteAddress;
  return {
    ...headers,
    ...(protocols !== undefined && { 'sec-websocket-protocol': protocols.join(',').trim() }),
    ...(from !== undefined && { 'x-forwarded-for': [headers['x-forwarded-for'], from].filter(Boolean).join(', ') }),
  };
}

/**
 * Passes an upgraded connection through: once the kubelet has switched protocols, bytes go both ways unread. A
 * refusal of the kubelet is passed on as it is. Follows k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go.
 */
export async function relayUpgrade(
  upstream: ClientRequest,
  response: ServerResponse,
  { socket, head }: Upgrade,
): Promise<void> {
  upstream.end();
  const answer = await new Promise<{ reply: IncomingMessage; kubelet?: Socket; early?: Buffer }>((resolve, reject) => {
    upstream.once('upgrade', (reply, kubelet, early) => resolve({ reply, kubelet, early }));
    upstream.once('response', (reply) => resolve({ reply }));
    upstream.once('error', (error) =>
      reject(
        new ApiError(500, 'InternalError', `error dialing backend: ${error.message}`, {
          causes: [{ message: `error dialing backend: ${error.message}` }],
        }),
      ),
    );
    socket.once('close', () => upstream.destroy());
  });
  const { reply, kubelet, early } = answer;
  const status = reply.statusCode ?? 0;
  if (kubelet === undefined || early === undefined) {
    if (status < 400) {
      reply.destroy();
      throw new ApiError(500, 'InternalError', `invalid upgrade response: status code ${status}`);
    }
    response.writeHead(status, reply.statusMessage ?? '', endToEndHeaders(reply));
    reply.pipe(response);
    return;
  }
  response.detachSocket(socket as Socket);
  socket.write(`HTTP/1.1 ${status} ${reply.statusMessage ?? ''}\r\n${rawHeaders(reply)}\r\n`);
  socket.write(early);
  kubelet.write(head);
  joined(socket, kubelet);
  joined(kubelet, socket);
}

/** Refuses what is not an upgrade where only an upgrade makes sense. */
export function upgradeRequired(): ApiError {
  return badRequest('Upgrade request required');
}

/** Bytes from one side to the other; the end of one is the end of the other's, its loss the other's loss. */
function joined(from: Duplex, to: Duplex): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
  from.on('close', () => {
    // After a proper end what was read is still on its way, and a TLS socket that has finished writing may still
    // hold some of it: the other side closes when it has seen the end.
    if (!from.readableEnded) to.destroy();
  });
}

function rawHeaders({ rawHeaders }: IncomingMessage): string {
  let text = '';
  for (let i = 0; i < rawHeaders.length; i += 2) text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  return text;
}

/** Headers about the message, without those about one connection. */
export function endToEndHeaders({ headers }: IncomingMessage): OutgoingHttpHeaders {
  const { connection: _c, 'keep-alive': _k, 'transfer-encoding': _t, upgrade: _u, ...rest } = headers;
  return rest;
}
