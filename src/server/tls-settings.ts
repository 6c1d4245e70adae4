import { constants } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

import { invalidInput, messageOf } from '../core/errors.ts';

/** What the server shows to clients and what it accepts of them. PEM throughout. */
export interface TlsSettings {
  readonly cert: string;
  readonly key: string;
  /** Certificate authorities whose client certificates are trusted; without it none is. */
  readonly clientCA?: string;
}

/** Checks the settings and turns them into what Node.js wants. Throws `InvalidInput` when key or certificate is wrong. */
export function secureContextOptions({ cert, key, clientCA }: TlsSettings): SecureContextOptions {
  const options: SecureContextOptions = {
    cert,
    key,
    // Without `ca` Node.js would trust every public authority; an empty list trusts none.
    ca: clientCA ?? [],
    minVersion: 'TLSv1.2',
    // A resumed session would keep a verdict on a client certificate from before the authorities changed.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
  try {
    createSecureContext(options);
  } catch (err) {
    throw invalidInput(`the serving certificate, its key or the client CA cannot be used: ${messageOf(err)}`, err);
  }
  return options;
}
