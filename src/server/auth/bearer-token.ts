import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import type { Clock } from '../../core/clock.ts';
import { forbidden, invalidInput } from '../../core/errors.ts';
import { AnswerCache } from './answer-cache.ts';
import type { Authenticator } from './authenticator.ts';
import type { User } from './user.ts';

/** Asks the API server (TokenReview) whose token this is; `undefined` when it is nobody's. Rejects when unanswered. */
export type ReviewToken = (token: string, signal: AbortSignal) => Promise<User | undefined>;

export interface BearerTokenOptions {
  readonly review: ReviewToken;
  readonly clock: Clock;
  /** How long an answer is good. Default 2 min (`authentication.webhook.cacheTTL`). */
  readonly cacheTtlMs?: number;
  /** Default 1,024. */
  readonly maxEntries?: number;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

const subprotocolPrefix = 'base64url.bearer.authorization.k8s.io.';

/**
 * Authenticates by `Authorization: Bearer`, or by the WebSocket subprotocol that browsers use in its stead
 * (`apiserver/pkg/authentication/request/{bearertoken,websocket}`). The credential is taken out of the request, so
 * that nothing further on sees it.
 */
export function bearerTokens(options: BearerTokenOptions): Authenticator {
  const { review, clock, cacheTtlMs = 120_000, maxEntries = 1024, timeoutMs = 10_000 } = options;
  const cache = new AnswerCache<{ readonly user?: User }>({ clock, maxEntries, timeoutMs });
  // Tokens themselves are not kept in memory, and the key is of this process only.
  const secret = randomBytes(32);
  const keyOf = (token: string) => createHmac('sha256', secret).update(token).digest('base64');

  return {
    async authenticate(request) {
      const found = tokenOf(request);
      if (found === undefined) return undefined;
      const ask = async (signal: AbortSignal) => {
        const user = await review(found.token, signal);
        return user === undefined || user.name === '' ? {} : { user };
      };
      const { user } = await cache.get(keyOf(found.token), ask, () => cacheTtlMs);
      if (user === undefined) throw forbidden('the bearer token is not valid');
      found.remove();
      return user;
    },
  };
}

/** A token in a request, and how to take it out. */
interface FoundToken {
  readonly token: string;
  remove(): void;
}

/** The request's token, by header or else by subprotocol. Throws `InvalidInput` when the subprotocol is malformed. */
function tokenOf(request: IncomingMessage): FoundToken | undefined {
  const { headers } = request;
  const [scheme = '', token = ''] = (headers.authorization ?? '').trim().split(' ');
  if (scheme.toLowerCase() === 'bearer' && token !== '') {
    return { token, remove: () => delete headers.authorization };
  }
  return headers.upgrade?.toLowerCase() === 'websocket' ? tokenOfSubprotocol(request) : undefined;
}

function tokenOfSubprotocol({ headers }: IncomingMessage): FoundToken | undefined {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  const [carrier, ...more] = offered.filter((protocol) => protocol.startsWith(subprotocolPrefix));
  if (carrier === undefined) return undefined;
  if (more.length > 0) throw invalidInput('multiple base64url.bearer.authorization tokens specified');
  const rest = offered.filter((protocol) => protocol !== carrier && protocol !== '');
  // A server must answer with one of the offered subprotocols, and the token must not be sent back.
  if (rest.length === 0) throw invalidInput('missing additional subprotocol');
  const encoded = carrier.slice(subprotocolPrefix.length);
  if (!/^[\w-]+$/.test(encoded)) throw invalidInput('invalid base64url.bearer.authorization token encoding');
  return {
    token: Buffer.from(encoded, 'base64url').toString('utf8'),
    remove: () => void (headers['sec-websocket-protocol'] = rest.join(', ')),
  };
}
