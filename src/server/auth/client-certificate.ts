import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';

import type { Clock } from '../../core/clock.ts';
import { forbidden } from '../../core/errors.ts';
import type { Authenticator } from './authenticator.ts';
import type { User } from './user.ts';

const clientAuth = '1.3.6.1.5.5.7.3.2';
const anyExtendedKeyUsage = '2.5.29.37.0';

/** What of a peer's certificate decides who it is; the shape of `TLSSocket.getPeerCertificate()`. */
export interface PeerCertificate {
  readonly subject: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Object identifiers; absent when the certificate does not limit its use. */
  readonly extendedKeyUsage?: readonly string[];
  /** Milliseconds since the epoch. */
  readonly notAfterMs: number;
}

/**
 * Authenticates by the TLS client certificate (`apiserver/pkg/authentication/request/x509`): the user is the
 * subject's common name, the groups are its organizations. The server verified the chain against its client CA at
 * the handshake; without a client CA no certificate passes that, so this method then knows nobody.
 */
export function clientCertificates(clock: Clock): Authenticator {
  return {
    authenticate(request) {
      return Promise.resolve().then(() => {
        const peer = peerCertificate(request);
        return peer === undefined ? undefined : userOfCertificate(peer.certificate, peer.authorized, clock.now());
      });
    },
  };
}

/**
 * The user that a certificate stands for; `undefined` when it names none. Throws `Forbidden` when it is not one to
 * trust: not issued by the client CA, not for client authentication, or expired since the connection was made.
 */
export function userOfCertificate(certificate: PeerCertificate, authorized: boolean, nowMs: number): User | undefined {
  if (!authorized) throw forbidden('the client certificate is not signed by the client CA');
  const usage = certificate.extendedKeyUsage;
  if (usage !== undefined && !usage.includes(clientAuth) && !usage.includes(anyExtendedKeyUsage)) {
    throw forbidden('the client certificate is not meant for client authentication');
  }
  if (nowMs > certificate.notAfterMs) throw forbidden('the client certificate has expired');
  const name = values(certificate.subject['CN']).at(-1);
  if (name === undefined || name === '') return undefined;
  return { name, groups: values(certificate.subject['O']) };
}

function peerCertificate({
  socket,
}: IncomingMessage): { certificate: PeerCertificate; authorized: boolean } | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const peer = socket.getPeerCertificate();
  if (peer === null || peer.subject === undefined) return undefined;
  return {
    authorized: socket.authorized,
    certificate: {
      subject: peer.subject,
      ...(peer.ext_key_usage === undefined ? {} : { extendedKeyUsage: peer.ext_key_usage }),
      notAfterMs: Date.parse(peer.valid_to),
    },
  };
}

function values(attribute: string | readonly string[] | undefined): readonly string[] {
  return attribute === undefined ? [] : typeof attribute === 'string' ? [attribute] : attribute;
}
