import type { Pki } from './pki.ts';

/** What becomes of a flag: `true` and numbers are written as they are. */
type Flags = Record<string, string | number | boolean>;

/** etcd's flags (see etcd.go). */
export function etcdFlags(dataDir: string, clientUrl: string, peerUrl: string): string[] {
  return toArgs({ 'data-dir': dataDir, 'client-url': clientUrl, 'peer-url': peerUrl });
}

/** What the API server is started with. */
export interface ApiServerSettings {
  port: number;
  etcdUrl: string;
  serviceClusterIpRange: string;
  auditPolicyPath?: string;
  auditLogPath?: string;
}

/** The API server's flags: what kubeadm sets, on loopback only, with more requests in flight. */
export function apiServerFlags(settings: ApiServerSettings, { files }: Pki): string[] {
  const { auditPolicyPath, auditLogPath } = settings;
  return toArgs({
    'bind-address': '127.0.0.1',
    'secure-port': settings.port,
    // Nothing reaches a loopback address through the Service `kubernetes`: it gets no endpoints.
    'advertise-address': '127.0.0.1',
    'endpoint-reconciler-type': 'none',
    'etcd-servers': settings.etcdUrl,
    'service-cluster-ip-range': settings.serviceClusterIpRange,
    'tls-cert-file': files.serving.cert,
    'tls-private-key-file': files.serving.key,
    'client-ca-file': files.ca.cert,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'enable-bootstrap-token-auth': true,
    'allow-privileged': true,
    'kubelet-client-certificate': files.kubeletClient.cert,
    'kubelet-client-key': files.kubeletClient.key,
    'kubelet-preferred-address-types': 'InternalIP,Hostname',
    'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
    'service-account-key-file': files.serviceAccountPublicKey,
    'service-account-signing-key-file': files.serviceAccountKey,
    'requestheader-client-ca-file': files.frontProxyCa,
    'requestheader-allowed-names': 'front-proxy-client',
    'requestheader-username-headers': 'X-Remote-User',
    'requestheader-group-headers': 'X-Remote-Group',
    'requestheader-extra-headers-prefix': 'X-Remote-Extra-',
    'proxy-client-cert-file': files.frontProxyClient.cert,
    'proxy-client-key-file': files.frontProxyClient.key,
    'max-requests-inflight': 4000,
    'max-mutating-requests-inflight': 2000,
    ...(auditPolicyPath ? { 'audit-policy-file': auditPolicyPath } : {}),
    ...(auditLogPath ? { 'audit-log-path': auditLogPath } : {}),
  });
}

/** The controller manager's flags; its client is not slowed down, so that tests with many pods measure the node. */
export function controllerManagerFlags(
  kubeconfig: string,
  nodeMonitorGracePeriodSeconds: number,
  { files }: Pki,
): string[] {
  return toArgs({
    kubeconfig,
    'secure-port': 0,
    'leader-elect': false,
    controllers: '*,bootstrap-signer-controller,token-cleaner-controller',
    'use-service-account-credentials': true,
    'root-ca-file': files.ca.cert,
    'service-account-private-key-file': files.serviceAccountKey,
    'cluster-signing-cert-file': files.ca.cert,
    'cluster-signing-key-file': files.ca.key,
    'node-monitor-grace-period': `${nodeMonitorGracePeriodSeconds}s`,
    'kube-api-qps': 1000,
    'kube-api-burst': 2000,
  });
}

/** The scheduler's flags. */
export function schedulerFlags(kubeconfig: string): string[] {
  return toArgs({
    kubeconfig,
    'secure-port': 0,
    'leader-elect': false,
    'kube-api-qps': 1000,
    'kube-api-burst': 2000,
  });
}

function toArgs(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}
