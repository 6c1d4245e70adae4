import type { IncomingMessage } from 'node:http';

import { anonymousUser, authenticated, type User } from './user.ts';

/** Says who a request is from; asked once per request, upgraded ones included. */
export interface Authenticator {
  /**
   * Resolves with the user; with `undefined` when the request presents nothing to go by; rejects when what it
   * presents is not valid or could not be checked. The caller answers 401 to both.
   */
  authenticate(request: IncomingMessage): Promise<User | undefined>;
}

export interface AuthenticatorOptions {
  /** In the order they are tried: client certificate, then bearer token. The first that knows the user wins. */
  readonly methods: readonly Authenticator[];
  /** Let requests without any credential in as `system:anonymous`. Default false, as the kubelet's. */
  readonly anonymous?: boolean;
}

/**
 * The kubelet's chain (`apiserver/pkg/authentication/authenticatorfactory/delegating.go`): one valid credential is
 * enough, and a request that presents an invalid one and no valid one is never taken for an anonymous one.
 */
export function createAuthenticator({ methods, anonymous = false }: AuthenticatorOptions): Authenticator {
  return {
    async authenticate(request) {
      const failures: unknown[] = [];
      for (const method of methods) {
        try {
          const user = await method.authenticate(request);
          if (user !== undefined) return authenticated(user);
        } catch (err) {
          failures.push(err);
        }
      }
      if (failures.length === 1) throw failures[0];
      if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '));
      return anonymous ? anonymousUser : undefined;
    },
  };
}
