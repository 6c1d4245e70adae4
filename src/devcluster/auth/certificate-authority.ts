import './reflect-metadata.ts';
import { webcrypto } from 'node:crypto';

import type { ExtendedKeyUsage, JsonGeneralNames } from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const yearMs = 365 * 24 * 3_600_000;

const subjectAlternativeName = '2.5.29.17';
/** Kubernetes' words for usages, and what they are in a certificate (RFC 5280). */
const keyUsages: Readonly<Record<string, number>> = {
  'digital signature': 1,
  signing: 1,
  'content commitment': 2,
  'key encipherment': 4,
  'data encipherment': 8,
  'key agreement': 16,
  'cert sign': 32,
  'crl sign': 64,
  'encipher only': 128,
  'decipher only': 256,
};
const extendedUsages: Readonly<Record<string, string[]>> = {
  'server auth': ['1.3.6.1.5.5.7.3.1'],
  'client auth': ['1.3.6.1.5.5.7.3.2'],
  'code signing': ['1.3.6.1.5.5.7.3.3'],
  'email protection': ['1.3.6.1.5.5.7.3.4'],
  timestamping: ['1.3.6.1.5.5.7.3.8'],
  'ocsp signing': ['1.3.6.1.5.5.7.3.9'],
};

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

/** The authority itself, to be kept and used again. */
export type AuthorityKeys = KeyPair;

/** What a signing request asks for, as far as signers look at it. */
export interface CertificateRequest {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
  /** Names that are neither of these. */
  readonly otherNames: readonly string[];
}

export interface CertificateAuthority {
  readonly certPem: string;
  /** Certificate and key, as `createCertificateAuthority` takes them back. */
  keys(): Promise<AuthorityKeys>;
  /** Reads a PEM signing request; throws when it is none, or is not signed by its own key. */
  readRequest(requestPem: string): Promise<CertificateRequest>;
  /** Signs a request as it is for `usages`, for `seconds`. */
  sign(requestPem: string, usages: readonly string[], seconds: number): Promise<string>;
  issueClient(subject: Subject): Promise<KeyPair>;
  issueServer(subject: Subject, dnsNames: readonly string[], ips: readonly string[]): Promise<KeyPair>;
}

/** Makes a certificate authority, or the one that `kept` is of. */
export async function createCertificateAuthority(
  commonName: string,
  kept?: AuthorityKeys,
): Promise<CertificateAuthority> {
  // Only now, for it must find the metadata functions in place; and it takes its time to load.
  const x509 = await import('@peculiar/x509');
  const keys = kept === undefined ? await makeKeys() : await importKeys(kept);
  const certificate = kept === undefined ? await selfSigned() : new x509.X509Certificate(kept.certPem);

  async function selfSigned() {
    return x509.X509CertificateGenerator.createSelfSigned({
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
  }

  async function importKeys({ certPem, keyPem }: AuthorityKeys) {
    const [pkcs8] = x509.PemConverter.decode(keyPem);
    const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8 as ArrayBuffer, algorithm, true, ['sign']);
    const spki = new x509.X509Certificate(certPem).publicKey.rawData;
    return { privateKey, publicKey: await webcrypto.subtle.importKey('spki', spki, algorithm, true, ['verify']) };
  }

  async function sign(requestPem: string, usages: readonly string[], seconds: number): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    const names = request.extensions.filter((extension) => extension.type === subjectAlternativeName);
    const extended = usages.flatMap((usage) => extendedUsages[usage] ?? []);
    const plain = usages.reduce((flags, usage) => flags | (keyUsages[usage] ?? 0), 0);
    const issued = await x509.X509CertificateGenerator.create({
      subject: request.subject,
      issuer: certificate.subject,
      publicKey: request.publicKey,
      signingKey: keys.privateKey,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - 300_000),
      notAfter: new Date(Math.min(Date.now() + seconds * 1000, certificate.notAfter.getTime())),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- a sum of flags is none of them
        ...(plain === 0 ? [] : [new x509.KeyUsagesExtension(plain, true)]),
        ...(extended.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(extended)]),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        ...names,
      ],
    });
    return `${issued.toString('pem')}\n`;
  }

  async function readRequest(requestPem: string): Promise<CertificateRequest> {
    const request = new x509.Pkcs10CertificateRequest(requestPem);
    if (!(await request.verify())) throw new Error('the request is not signed by the key that it is for');
    const names = request.extensions
      .filter((extension) => extension.type === subjectAlternativeName)
      .flatMap((extension) => new x509.SubjectAlternativeNameExtension(extension.rawData).names.toJSON());
    const ofType = (type: string) => names.filter((name) => name.type === type).map(({ value }) => value);
    return {
      commonName: request.subjectName.getField('CN')[0] ?? '',
      organizations: request.subjectName.getField('O'),
      dnsNames: ofType('dns'),
      ips: ofType('ip'),
      otherNames: names.filter(({ type }) => type !== 'dns' && type !== 'ip').map(({ value }) => value),
    };
  }

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
    async keys() {
      const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
      return {
        certPem: `${certificate.toString('pem')}\n`,
        keyPem: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n`,
      };
    },
    readRequest,
    sign,
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
