import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCertificateAuthority, createSigningKey } from './certificates.ts';
import type { CertificateAuthority, CertificateRequest, KeyPair } from './certificates.ts';

/** The cluster's own names, by which pods and people reach the API server. */
const SERVER_NAMES = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];

/** Files of one key pair. */
export interface KeyPairFiles {
  cert: string;
  key: string;
}

/** All the keys and certificates of a cluster; the files lie in the directory they were written to. */
export interface Pki {
  ca: CertificateAuthority;
  admin: KeyPair;
  controllerManager: KeyPair;
  scheduler: KeyPair;
  files: {
    ca: KeyPairFiles;
    serving: KeyPairFiles;
    kubeletClient: KeyPairFiles;
    frontProxyCa: string;
    frontProxyClient: KeyPairFiles;
    serviceAccountKey: string;
    serviceAccountPublicKey: string;
  };
}

/** Makes new keys and certificates for one cluster, as kubeadm names them. */
export async function createPki(directory: string, serverIps: readonly string[]): Promise<Pki> {
  const [ca, frontProxyCa, serviceAccount] = await Promise.all([
    createCertificateAuthority('kubernetes'),
    createCertificateAuthority('front-proxy-ca'),
    createSigningKey(),
  ]);
  const client = (commonName: string, organization?: string): CertificateRequest => ({
    commonName,
    usage: 'client',
    ...(organization ? { organizations: [organization] } : {}),
  });
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(directory, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const writePair = async (name: string, pair: KeyPair): Promise<KeyPairFiles> => ({
    cert: await write(`${name}.crt`, pair.certPem),
    key: await write(`${name}.key`, pair.keyPem),
  });
  const serving = await ca.issue({
    commonName: 'kube-apiserver',
    usage: 'server',
    dnsNames: SERVER_NAMES,
    ips: serverIps,
  });
  const kubeletClient = await ca.issue(client('kube-apiserver-kubelet-client', 'system:masters'));
  const frontProxyClient = await frontProxyCa.issue(client('front-proxy-client'));
  return {
    ca,
    admin: await ca.issue(client('kubernetes-admin', 'system:masters')),
    controllerManager: await ca.issue(client('system:kube-controller-manager')),
    scheduler: await ca.issue(client('system:kube-scheduler')),
    files: {
      ca: await writePair('ca', ca),
      serving: await writePair('apiserver', serving),
      kubeletClient: await writePair('apiserver-kubelet-client', kubeletClient),
      frontProxyCa: await write('front-proxy-ca.crt', frontProxyCa.certPem),
      frontProxyClient: await writePair('front-proxy-client', frontProxyClient),
      serviceAccountKey: await write('sa.key', serviceAccount.privatePem),
      serviceAccountPublicKey: await write('sa.pub', serviceAccount.publicPem),
    },
  };
}
