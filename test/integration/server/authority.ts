import { webcrypto } from 'node:crypto';

import '../../../src/server/reflect-metadata.ts';

// Imported only now: as a static import it would be loaded before what it needs is in place.
const x509 = await import('@peculiar/x509');

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const yearMs = 365 * 24 * 3_600_000;

export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  /** Default `client`. */
  readonly usage?: 'client' | 'server';
  readonly names?: readonly string[];
  /** Default a span of decades around now. */
  readonly notAfter?: Date;
}

/** A certificate authority of a test's own. */
export interface Authority {
  readonly cert: string;
  issue(subject: Subject): Promise<Issued>;
}

const validity = (notAfter = new Date(Date.now() + 20 * yearMs)) => ({
  notBefore: new Date(Date.now() - 20 * yearMs),
  notAfter,
});

export async function createAuthority(commonName: string): Promise<Authority> {
  const keys = await newKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: algorithm,
    ...validity(),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    cert: authority.toString('pem'),
    async issue({ commonName: name, organizations = [], usage = 'client', names = [], notAfter }) {
      const own = await newKeys();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: [...organizations.map((organization) => ({ O: [organization] })), { CN: [name] }],
        issuer: authority.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validity(notAfter),
        extensions: [
          new x509.ExtendedKeyUsageExtension([
            usage === 'client' ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth,
          ]),
          ...(names.length === 0
            ? []
            : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: 'ip' as const, value })))]),
        ],
      });
      const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', own.privateKey), 'PRIVATE KEY');
      return { cert: certificate.toString('pem'), key };
    },
  };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}
