import type { RequestHandler } from 'express';

import { Refusal } from './refusal.ts';
import { isUpgrade } from './upgrade.ts';

/**
 * No endpoint takes a body. What a client sends all the same is read and dropped, so that the connection can go on;
 * beyond `limitBytes` it is refused and the connection ends.
 */
export function bodyLimit(limitBytes: number): RequestHandler {
  return (req, res, next) => {
    if (isUpgrade(req)) return next();
    if (Number(req.headers['content-length'] ?? 0) > limitBytes) {
      // Whatever is still under way is cut once the answer is out: it is not worth reading.
      res.once('finish', () => req.socket.destroySoon());
      throw new Refusal(413, 'Request Entity Too Large', { Connection: 'close' });
    }
    let received = 0;
    req.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received > limitBytes) req.socket.destroy();
    });
    next();
  };
}
