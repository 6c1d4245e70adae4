import { stringify } from 'yaml';

/** What a kubeconfig of ours calls its cluster: by this we know it again. */
export const clusterName = 'anylet-dev';

/** A kubeconfig for one user of one cluster, with all data inline. */
export function kubeconfigText({
  server,
  caPem,
  user,
  certPem,
  keyPem,
}: {
  server: string;
  caPem: string;
  user: string;
  certPem: string;
  keyPem: string;
}): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const name = clusterName;
  return stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(caPem) } }],
      users: [{ name: user, user: { 'client-certificate-data': base64(certPem), 'client-key-data': base64(keyPem) } }],
      contexts: [{ name: `${user}@${name}`, context: { cluster: name, user } }],
      'current-context': `${user}@${name}`,
    },
    { lineWidth: 0 },
  );
}
