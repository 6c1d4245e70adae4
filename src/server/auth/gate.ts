import type { RequestHandler } from 'express';

import { codeOf, messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { Refusal } from '../refusal.ts';
import { attributesOf } from './attributes.ts';
import type { Authenticator } from './authenticator.ts';
import type { Authorizer } from './authorizer.ts';
import type { User } from './user.ts';

export interface GateOptions {
  readonly nodeName: string;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly log: Logger;
}

/**
 * Lets nobody through who is not known and allowed (`pkg/kubelet/server/server.go`, `InstallAuthFilter`). Upgrade
 * requests pass the same gate, since they take the same way. Whatever fails here, fails closed.
 */
export function gate({ nodeName, authenticator, authorizer, log }: GateOptions): RequestHandler {
  return async (req, res, next) => {
    const user = await authenticator.authenticate(req).catch((err: unknown) => {
      // A wrong credential is the client's affair; a review that got no answer is the operator's.
      const level = codeOf(err) === 'Forbidden' || codeOf(err) === 'InvalidInput' ? 'debug' : 'warn';
      log[level]('unable to authenticate the request', { err: messageOf(err) });
      return undefined;
    });
    if (user === undefined) throw new Refusal(401, 'Unauthorized');
    res.locals['user'] = user.name;

    const attempts = attributesOf(req.method, req.path, nodeName);
    for (const attributes of attempts) {
      const about = `user=${user.name}, verb=${attributes.verb}, resource=${attributes.resource}`;
      let allowed: boolean;
      try {
        allowed = await authorizer.authorize(user, attributes);
      } catch (err) {
        log.warn('authorization error', { user: user.name, ...attributes, err: messageOf(err) });
        throw new Refusal(500, `Authorization error (${about}, subresource=${attributes.subresource})`);
      }
      if (allowed) return next();
    }
    throw forbiddenTo(
      user,
      attempts[0].verb,
      attempts.map(({ subresource }) => subresource),
    );
  };
}

function forbiddenTo(user: User, verb: string, subresources: readonly string[]): Refusal {
  return new Refusal(
    403,
    `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])\n`,
  );
}
