import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { TLSSocket, type PeerCertificate } from 'node:tls';

import { unauthorized } from '../api-error.ts';
import { issuer, type ServiceAccountTokens } from './service-account-tokens.ts';
import { authenticated, type User } from './user.ts';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const webSocketTokenPrefix = 'base64url.bearer.authorization.k8s.io.';

/** Finds out who makes a request: by client certificate, else by bearer token. */
export class Authenticator {
  readonly #tokens = new Map<string, User>();
  readonly #serviceAccounts: ServiceAccountTokens;
  /** A connection keeps its certificate for life. */
  readonly #certificateUsers = new WeakMap<TLSSocket, User | null>();

  constructor(serviceAccounts: ServiceAccountTokens, staticTokens: Readonly<Record<string, User>>) {
    this.#serviceAccounts = serviceAccounts;
    for (const [token, user] of Object.entries(staticTokens)) this.#tokens.set(token, user);
  }

  /** A new static token for `user`. */
  issueToken(user: User): string {
    const token = randomBytes(24).toString('base64url');
    this.#tokens.set(token, user);
    return token;
  }

  /** Makes a token worthless at once. */
  revokeToken(token: string): void {
    this.#tokens.delete(token);
  }

  /** Who makes the request; undefined when it shows no credentials, a 401 when they are no good. */
  authenticate(request: IncomingMessage): User | undefined {
    const socket = request.socket instanceof TLSSocket ? request.socket : undefined;
    const token = bearerToken(request);
    const user =
      (socket && this.#byCertificate(socket)) ?? (token === undefined ? undefined : this.byToken(token)?.user);
    if (user === undefined && (token !== undefined || (socket !== undefined && isStranger(socket))))
      throw unauthorized();
    return user;
  }

  /** The user behind a bearer token and those of `audiences` that it is good for. */
  byToken(
    token: string,
    audiences: readonly string[] = [issuer],
  ): { user: User; audiences: readonly string[] } | undefined {
    const known = this.#tokens.get(token);
    const found =
      known === undefined ? this.#serviceAccounts.authenticate(token, audiences) : { user: known, audiences };
    return found && { user: authenticated(found.user), audiences: found.audiences };
  }

  /** Whom a service account's token is for, when it is one and valid otherwise. */
  audiencesOf(token: string): readonly string[] | undefined {
    return this.#serviceAccounts.audiencesOf(token);
  }

  #byCertificate(socket: TLSSocket): User | undefined {
    let user = this.#certificateUsers.get(socket);
    if (user === undefined) this.#certificateUsers.set(socket, (user = userOf(socket) ?? null));
    return user ?? undefined;
  }
}

/** True when the client has a certificate, but of another authority. */
function isStranger(socket: TLSSocket): boolean {
  return !socket.authorized && Object.keys(socket.getPeerCertificate() ?? {}).length > 0;
}

function userOf(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const name = listOf(certificate.subject?.CN)[0];
  if (name === undefined || !certificate.ext_key_usage?.includes(clientAuth)) return undefined;
  const digest = createHash('sha256')
    .update(certificate.raw ?? '')
    .digest('hex');
  return authenticated({
    name,
    groups: listOf(certificate.subject?.O),
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${digest}`] },
  });
}

function bearerToken({ headers }: IncomingMessage): string | undefined {
  const [scheme, token] = (headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() === 'bearer' && token) return token;
  // Browsers cannot set headers on a WebSocket, so the token may come as a subprotocol.
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  const encoded = offered
    .find((protocol) => protocol.startsWith(webSocketTokenPrefix))
    ?.slice(webSocketTokenPrefix.length);
  return encoded === undefined ? undefined : Buffer.from(encoded, 'base64url').toString();
}

/** Node gives a name that occurs several times as a list. */
function listOf(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}
