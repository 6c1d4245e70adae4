import { createHash } from 'node:crypto';

import type { Clock } from '../../core/clock.ts';
import { AnswerCache } from './answer-cache.ts';
import type { Attributes } from './attributes.ts';
import type { User } from './user.ts';

/** Says whether a user may do a thing; asked after authentication, for every request. */
export interface Authorizer {
  /** Rejects when it cannot say, which the caller takes for no. */
  authorize(user: User, attributes: Attributes): Promise<boolean>;
}

/** Asks the API server (SubjectAccessReview). Rejects when unanswered. */
export type ReviewAccess = (user: User, attributes: Attributes, signal: AbortSignal) => Promise<boolean>;

export interface AuthorizerOptions {
  readonly allowed: ReviewAccess;
  readonly clock: Clock;
  /** Default 5 min (`authorization.webhook.cacheAuthorizedTTL`). */
  readonly authorizedTtlMs?: number;
  /** Default 30 s (`authorization.webhook.cacheUnauthorizedTTL`). */
  readonly unauthorizedTtlMs?: number;
  /** Default 4,096. */
  readonly maxEntries?: number;
  /** Default 10 s. */
  readonly timeoutMs?: number;
}

/** The kubelet's mode `Webhook`: answers of the API server, cached with bounded size. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { allowed, clock, maxEntries = 4096, timeoutMs = 10_000 } = options;
  const { authorizedTtlMs = 300_000, unauthorizedTtlMs = 30_000 } = options;
  const cache = new AnswerCache<{ readonly allowed: boolean }>({ clock, maxEntries, timeoutMs });
  return {
    async authorize(user, attributes) {
      const ask = async (signal: AbortSignal) => ({ allowed: await allowed(user, attributes, signal) });
      const ttlMs = (answer: { allowed: boolean }) => (answer.allowed ? authorizedTtlMs : unauthorizedTtlMs);
      return (await cache.get(keyOf(user, attributes), ask, ttlMs)).allowed;
    },
  };
}

/** Everything that the review is told, at a fixed size however many groups and extras a token carries. */
function keyOf(user: User, { verb, resource, subresource, name }: Attributes): string {
  const extra = Object.entries(user.extra ?? {});
  const said = [user.name, user.uid ?? '', user.groups, extra, verb, resource, subresource, name];
  return createHash('sha256').update(JSON.stringify(said)).digest('base64');
}
