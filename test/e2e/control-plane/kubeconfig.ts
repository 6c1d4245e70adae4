import { stringify } from 'yaml';
import type { KeyPair } from './certificates.ts';

/** Who a kubeconfig lets its reader be. */
export type Credentials = KeyPair | { token: string };

/** A kubeconfig with one cluster, one user and one context, as YAML text. Certificates are embedded. */
export function kubeconfig(server: string, caPem: string, user: string, credentials: Credentials): string {
  const cluster = 'anylet-test';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: cluster, cluster: { server, 'certificate-authority-data': base64(caPem) } }],
    users: [{ name: user, user: userFields(credentials) }],
    contexts: [{ name: cluster, context: { cluster, user } }],
    'current-context': cluster,
  });
}

function userFields(credentials: Credentials): Record<string, string> {
  if ('token' in credentials) return { token: credentials.token };
  return {
    'client-certificate-data': base64(credentials.certPem),
    'client-key-data': base64(credentials.keyPem),
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
