/** The files of a cluster's keys. */
export interface Pki {
  readonly ca: { readonly cert: string; readonly key: string };
  readonly serving: { readonly cert: string; readonly key: string };
  readonly kubeletClient: { readonly cert: string; readonly key: string };
  readonly tokenKey: string;
  readonly tokenPublicKey: string;
}

type Flags = Readonly<Record<string, string | number | boolean>>;

/** A cluster of one member whose data need not outlive a power cut. */
export function etcdFlags(dataDir: string, clientUrl: string, peerUrl: string): string[] {
  return toArgs({
    'data-dir': dataDir,
    'listen-client-urls': clientUrl,
    'advertise-client-urls': clientUrl,
    'listen-peer-urls': peerUrl,
    'initial-advertise-peer-urls': peerUrl,
    'initial-cluster': `default=${peerUrl}`,
    'unsafe-no-fsync': true,
  });
}

/** What kubeadm sets, on loopback only. Without a controller manager, less what would wait for one. */
export function apiServerFlags(
  { port, etcdUrl, manages }: { port: number; etcdUrl: string; manages: boolean },
  pki: Pki,
): string[] {
  return toArgs({
    'bind-address': '127.0.0.1',
    'secure-port': port,
    // Nothing reaches a loopback address through the Service `kubernetes`: it gets no endpoints.
    'advertise-address': '127.0.0.1',
    'endpoint-reconciler-type': 'none',
    'etcd-servers': etcdUrl,
    'service-cluster-ip-range': '10.96.0.0/16',
    'tls-cert-file': pki.serving.cert,
    'tls-private-key-file': pki.serving.key,
    'client-ca-file': pki.ca.cert,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    // Service accounts are made, and taints taken away again, by the controller manager.
    ...(manages ? {} : { 'disable-admission-plugins': 'ServiceAccount,TaintNodesByCondition' }),
    'allow-privileged': true,
    'kubelet-client-certificate': pki.kubeletClient.cert,
    'kubelet-client-key': pki.kubeletClient.key,
    'kubelet-preferred-address-types': 'InternalIP,Hostname',
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': pki.tokenPublicKey,
    'service-account-signing-key-file': pki.tokenKey,
    // A watch that is open must not delay the end.
    'shutdown-delay-duration': '0s',
  });
}

export function controllerManagerFlags(kubeconfig: string, pki: Pki): string[] {
  return toArgs({
    kubeconfig,
    'secure-port': 0,
    'leader-elect': false,
    'use-service-account-credentials': true,
    'root-ca-file': pki.ca.cert,
    'cluster-signing-cert-file': pki.ca.cert,
    'cluster-signing-key-file': pki.ca.key,
    'service-account-private-key-file': pki.tokenKey,
  });
}

export function schedulerFlags(kubeconfig: string): string[] {
  return toArgs({ kubeconfig, 'secure-port': 0, 'leader-elect': false });
}

function toArgs(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}
