import type { RequestHandler } from 'express';

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import { isUpgrade } from './upgrade.ts';

/**
 * One debug line per request when it is over. The query is left out: the command of an exec may carry secrets.
 */
export function requestLog(log: Logger, clock: Clock): RequestHandler {
  return (req, res, next) => {
    const startedAt = clock.now();
    const { method, path } = req;
    // A response that was given up for an upgrade never closes; its connection does.
    (isUpgrade(req) ? req.socket : res).once('close', () => {
      const user: unknown = res.locals['user'];
      log.debug('kubelet API request', {
        method,
        path,
        status: res.statusCode,
        user,
        durationMs: clock.now() - startedAt,
      });
    });
    next();
  };
}
