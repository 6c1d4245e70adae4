import { ServerResponse, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { Duplex } from 'node:stream';

import type { Response } from 'express';

import { UpgradeRefused, type Upgrade } from '../streaming/index.ts';
import { goError } from './refusal.ts';

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** Whether this request offers a protocol that the kubelet speaks; other offers (`h2c`) are ignored, as HTTP allows. */
export function offersUpgrade({ headers }: IncomingMessage): boolean {
  const offered = (headers.upgrade ?? '').toLowerCase();
  return offered.includes('spdy/3.1') || offered.includes('websocket');
}

/** Whether the request came by the server's `upgrade` event. */
export function isUpgrade(request: IncomingMessage): boolean {
  return upgrades.has(request);
}

/**
 * Leads upgrade requests through the same handler as all others: Node.js hands them out as bare sockets, and what is
 * checked for `request` only is then not checked at all. A request that no route takes over gets its HTTP answer and
 * the connection ends.
 */
export function bridgeUpgrades(server: Server, handle: RequestListener): void {
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Without a listener a reset connection would end the process.
    socket.on('error', () => {});
    upgrades.set(request, { request, socket, head });
    const res = new ServerResponse(request);
    res.shouldKeepAlive = false;
    res.assignSocket(request.socket);
    res.on('finish', () => {
      res.detachSocket(request.socket);
      request.socket.destroySoon();
    });
    handle(request, res);
  });
}

/**
 * Gives the connection to `serve`, which closes it. When `serve` refuses before it has written anything, the client
 * gets that as an HTTP answer. Throws 500 `Upgrade request required` when the request is not one for an upgrade.
 */
export async function takeOver(
  req: IncomingMessage,
  res: Response,
  serve: (upgrade: Upgrade) => Promise<void>,
): Promise<void> {
  const upgrade = upgrades.get(req);
  if (upgrade === undefined) throw goError(500, 'Upgrade request required');
  // The client may have left while it was being authenticated; nothing would tell `serve` so.
  if (req.socket.destroyed) return;
  res.detachSocket(req.socket);
  res.statusCode = 101;
  try {
    await serve(upgrade);
  } catch (err) {
    if (err instanceof UpgradeRefused && !req.socket.destroyed) res.assignSocket(req.socket);
    else req.socket.destroy();
    throw err;
  }
  req.socket.destroySoon();
}
