import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import './control-plane/reflect-metadata.ts';
import { parse, stringify } from 'yaml';

import type { Wire } from '../../src/core/objects.ts';
import type { V1CertificateSigningRequest } from '@kubernetes/client-node';
import { kubectl } from './kubectl.ts';

/** The cluster that this run of the suites uses; see `run-cluster.ts`. */
export const cluster = {
  get kubeconfig(): string {
    return required('ANYLET_E2E_KUBECONFIG');
  },
  /** The address that nodes of the suites report. */
  get nodeIP(): string {
    return required('ANYLET_E2E_NODE_IP');
  },
  /** Whether the API server agrees to proxy to {@link nodeIP}. */
  get canProxyToNodes(): boolean {
    return !this.nodeIP.startsWith('127.');
  },
  /** Whether it was made for this run, with the components' own flags known to be ours. */
  get isOurs(): boolean {
    return process.env['ANYLET_E2E_OWN_CLUSTER'] === '1';
  },
};

function required(variable: string): string {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: run the suites by 'npm run test:e2e'`);
  return value;
}

interface Kubeconfig {
  clusters: { name: string; cluster: Record<string, unknown> }[];
  contexts: { name: string; context: { cluster: string; user: string } }[];
  users: { name: string; user: Record<string, unknown> }[];
  'current-context': string;
  [key: string]: unknown;
}

/** The admin's kubeconfig as data, flattened, its files read. */
export async function adminKubeconfig(): Promise<Kubeconfig> {
  return parse(await kubectl(['config', 'view', '--raw', '--flatten', '--minify'])) as Kubeconfig;
}

/** Writes a kubeconfig for the same cluster with other credentials; resolves to its path. */
export async function writeKubeconfig(
  file: string,
  user: Record<string, unknown>,
  cluster: Record<string, unknown> = {},
): Promise<string> {
  const config = await adminKubeconfig();
  config.users = [{ name: config.contexts[0]!.context.user, user }];
  Object.assign(config.clusters[0]!.cluster, cluster);
  await writeFile(file, stringify(config), { mode: 0o600 });
  return file;
}

/**
 * Writes a kubeconfig with a client certificate for a user and its groups, signed as any cluster does it: through a
 * CertificateSigningRequest that the admin approves.
 */
export async function kubeconfigFor(directory: string, user: string, groups: readonly string[] = []): Promise<string> {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  const request = await certificateRequest(key.toString(), user, groups);
  const name = `anylet-e2e-${user.replaceAll(/[^a-z0-9]+/g, '-')}-${process.pid}`;
  const csr = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: {
      request: Buffer.from(request).toString('base64'),
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
    },
  };
  await kubectl(['create', '-f', '-'], { input: JSON.stringify(csr) });
  try {
    await kubectl(['certificate', 'approve', name]);
    await kubectl(['wait', '--for=jsonpath={.status.certificate}', `csr/${name}`, '--timeout=30s']);
    const signed = JSON.parse(await kubectl(['get', 'csr', name, '-o', 'json'])) as Wire<V1CertificateSigningRequest>;
    return await writeKubeconfig(join(directory, `${name}.kubeconfig`), {
      'client-certificate-data': signed.status?.certificate,
      'client-key-data': Buffer.from(key).toString('base64'),
    });
  } finally {
    await kubectl(['delete', 'csr', name, '--wait=false']);
  }
}

async function certificateRequest(keyPem: string, user: string, groups: readonly string[]): Promise<string> {
  // Not a static import: jest would load this CommonJS package before the polyfill that it asks for.
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  const privateKey = await crypto.subtle.importKey('pkcs8', new Uint8Array(der), algorithm, true, ['sign']);
  const { d: _private, key_ops: _operations, ...publicJwk } = await crypto.subtle.exportKey('jwk', privateKey);
  const publicKey = await crypto.subtle.importKey('jwk', publicJwk, algorithm, true, ['verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [user] }, ...groups.map((group) => ({ O: [group] }))],
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}
