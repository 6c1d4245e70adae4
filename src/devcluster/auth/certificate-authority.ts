import './reflect-metadata.ts';
import { webcrypto } from 'node:crypto';

import type { ExtendedKeyUsage, JsonGeneralNames } from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const yearMs = 365 * 24 * 3_600_000;

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

/** What a certificate says about its holder: Kubernetes reads the user from CN and the groups from O. */
export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export interface CertificateAuthority {
  readonly certPem: string;
  issueClient(subject: Subject): Promise<KeyPair>;
  issueServer(subject: Subject, dnsNames: readonly string[], ips: readonly string[]): Promise<KeyPair>;
}

/** Makes a certificate authority whose key never leaves memory. */
export async function createCertificateAuthority(commonName: string): Promise<CertificateAuthority> {
  // Only now, for it must find the metadata functions in place; and it takes its time to load.
  const x509 = await import('@peculiar/x509');
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    signingAlgorithm: algorithm,
    ...validity(),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });

  async function issue(subject: Subject, usage: ExtendedKeyUsage, names: JsonGeneralNames): Promise<KeyPair> {
    const own = await makeKeys();
    const issued = await x509.X509CertificateGenerator.create({
      subject: [...(subject.organizations ?? []).map((name) => ({ O: [name] })), { CN: [subject.commonName] }],
      issuer: certificate.subject,
      publicKey: own.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      ...validity(),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ],
    });
    const key = await webcrypto.subtle.exportKey('pkcs8', own.privateKey);
    return { certPem: `${issued.toString('pem')}\n`, keyPem: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n` };
  }

  return {
    certPem: `${certificate.toString('pem')}\n`,
    issueClient: (subject) => issue(subject, x509.ExtendedKeyUsage.clientAuth, []),
    issueServer: (subject, dnsNames, ips) =>
      issue(subject, x509.ExtendedKeyUsage.serverAuth, [
        ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ...ips.map((value) => ({ type: 'ip' as const, value })),
      ]),
  };
}

function makeKeys() {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

/** From an hour ago, for clocks that differ, for a year. */
function validity() {
  return { notBefore: new Date(Date.now() - 3_600_000), notAfter: new Date(Date.now() + yearMs) };
}
