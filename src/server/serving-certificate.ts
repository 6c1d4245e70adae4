import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import path from 'node:path';

import type { Clock } from '../core/clock.ts';
import { invalidInput, messageOf } from '../core/errors.ts';

/** A certificate to serve with and its private key, PEM. */
export interface ServingCertificate {
  readonly cert: string;
  readonly key: string;
  /** When to make or read it anew: after four fifths of its life. Milliseconds since the epoch. */
  readonly renewAtMs: number;
}

export interface SelfSignedOptions {
  /** Folder that keeps `kubelet.crt` and `kubelet.key`; made when it is not there. */
  readonly directory: string;
  readonly nodeName: string;
  /** Addresses of the node, IPs or host names: what clients dial. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 3_600_000;
const lifetimeMs = 365 * dayMs;

/**
 * The certificate that was made before, while it is good for long enough and names exactly these addresses; else a
 * new self-signed one, valid for a year (the kubelet's `pki/kubelet.crt` when it is given no other).
 */
export async function selfSignedServingCertificate(options: SelfSignedOptions): Promise<ServingCertificate> {
  const { directory, nodeName, addresses, clock } = options;
  const certFile = path.join(directory, 'kubelet.crt');
  const keyFile = path.join(directory, 'kubelet.key');
  const names = [...new Set([nodeName, ...addresses])];

  const kept = await readServingCertificate({ certFile, keyFile }).catch(() => undefined);
  if (kept !== undefined && clock.now() < kept.renewAtMs && namesOf(kept.cert) === namesToString(names)) return kept;

  const made = await generate(nodeName, names, clock.now());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // A crash in between leaves a pair that does not match, which is then made anew.
  await replaceFile(keyFile, made.key);
  await replaceFile(certFile, made.cert);
  return { ...made, renewAtMs: renewalOf(made.cert) };
}

/** A certificate and key from files of the operator's. Throws `InvalidInput` when they cannot be read or do not match. */
export async function readServingCertificate(files: {
  certFile: string;
  keyFile: string;
}): Promise<ServingCertificate> {
  const { certFile, keyFile } = files;
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key is not the one of the certificate');
    return { cert, key, renewAtMs: renewalOf(cert) };
  } catch (err) {
    throw invalidInput(`the serving certificate in ${certFile} and ${keyFile} cannot be used: ${messageOf(err)}`, err);
  }
}

async function generate(
  nodeName: string,
  names: readonly string[],
  nowMs: number,
): Promise<{ cert: string; key: string }> {
  // Loaded only when a certificate is made, which is once a year.
  await import('./reflect-metadata.ts');
  const x509 = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [nodeName] }],
    keys,
    signingAlgorithm: algorithm,
    // Clocks differ between machines.
    notBefore: new Date(nowMs - 3_600_000),
    notAfter: new Date(nowMs + lifetimeMs),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
    ],
  });
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
  return { cert: `${certificate.toString('pem')}\n`, key: `${key}\n` };
}

async function replaceFile(file: string, content: string): Promise<void> {
  const next = `${file}.${process.pid}.tmp`;
  try {
    await writeFile(next, content, { mode: 0o600, flush: true });
    await rename(next, file);
  } catch (err) {
    await rm(next, { force: true });
    throw err;
  }
}

function renewalOf(cert: string): number {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  return validFromDate.getTime() + (validToDate.getTime() - validFromDate.getTime()) * 0.8;
}

/** The alternative names of a certificate, comparable with {@link namesToString}. */
function namesOf(cert: string): string {
  const names = (new X509Certificate(cert).subjectAltName ?? '').split(', ');
  return namesToString(names.map((name) => name.replace(/^(DNS|IP Address):/, '')));
}

function namesToString(names: readonly string[]): string {
  return names.map(canonicalName).sort().join(',');
}

/** One spelling for each IPv6 address. */
function canonicalName(name: string): string {
  return isIP(name) === 6 ? new URL(`https://[${name}]`).hostname : name.toLowerCase();
}
