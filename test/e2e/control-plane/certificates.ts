import { webcrypto } from 'node:crypto';
import type { X509Certificate } from '@peculiar/x509';
import './reflect-metadata.ts';

// Not a static import: jest loads a CommonJS package before any ES module beside it has run.
const x509 = await import('@peculiar/x509');

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const HOUR_MS = 3_600_000;
const LIFETIME_MS = 365 * 24 * HOUR_MS;

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyPair {
  certPem: string;
  keyPem: string;
}

/** What a certificate says about its holder. Kubernetes reads a user from `commonName` and groups from `organizations`. */
export interface CertificateRequest {
  commonName: string;
  organizations?: readonly string[];
  usage: 'client' | 'server';
  dnsNames?: readonly string[];
  ips?: readonly string[];
}

/** A certificate authority with its key in memory. */
export interface CertificateAuthority extends KeyPair {
  /** Makes a key and signs a certificate for it, valid for a year. */
  issue(request: CertificateRequest): Promise<KeyPair>;
}

/** Makes a self-signed certificate authority. */
export async function createCertificateAuthority(commonName: string): Promise<CertificateAuthority> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [commonName] }],
    keys,
    ...validity(),
    signingAlgorithm: KEY_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    ...(await toPem(certificate, keys)),
    issue: (request) => issue(certificate, keys, request),
  };
}

/** Makes a private key (PKCS #8 PEM) and its public key, as for service account tokens. */
export async function createSigningKey(): Promise<{ privatePem: string; publicPem: string }> {
  const keys = await generateKeys();
  return {
    privatePem: await exportPem('pkcs8', keys.privateKey, 'PRIVATE KEY'),
    publicPem: await exportPem('spki', keys.publicKey, 'PUBLIC KEY'),
  };
}

async function issue(
  authority: X509Certificate,
  authorityKeys: webcrypto.CryptoKeyPair,
  request: CertificateRequest,
): Promise<KeyPair> {
  const { commonName, organizations = [], usage, dnsNames = [], ips = [] } = request;
  const keys = await generateKeys();
  const alternativeNames = [
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ips.map((value) => ({ type: 'ip' as const, value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [...organizations.map((name) => ({ O: [name] })), { CN: [commonName] }],
    issuer: authority.subject,
    publicKey: keys.publicKey,
    signingKey: authorityKeys.privateKey,
    signingAlgorithm: KEY_ALGORITHM,
    ...validity(),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        usage === 'client' ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth,
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey),
      ...(alternativeNames.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternativeNames)] : []),
    ],
  });
  return toPem(certificate, keys);
}

function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

function validity(): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - HOUR_MS), notAfter: new Date(now + LIFETIME_MS) };
}

async function toPem(certificate: X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyPair> {
  return {
    certPem: `${certificate.toString('pem')}\n`,
    keyPem: await exportPem('pkcs8', keys.privateKey, 'PRIVATE KEY'),
  };
}

async function exportPem(format: 'pkcs8' | 'spki', key: webcrypto.CryptoKey, tag: string): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey(format, key), tag)}\n`;
}
