import type { Pod } from '../core/objects.ts';
import { podName } from './hostname.ts';

const header = '# Kubernetes-managed hosts file.\n';
const hostNetworkHeader = '# Kubernetes-managed hosts file (host network).\n';
const local =
  '127.0.0.1\tlocalhost\n' +
  '::1\tlocalhost ip6-localhost ip6-loopback\n' +
  'fe00::0\tip6-localnet\n' +
  'fe00::0\tip6-mcastprefix\n' +
  'fe00::1\tip6-allnodes\n' +
  'fe00::2\tip6-allrouters\n';

/**
 * The `/etc/hosts` of a pod's containers: its own names at its addresses, then its host aliases. A pod on the node's
 * network gets `nodeHosts`, the node's own file, instead of the first part. Follows pkg/kubelet/kubelet_pods.go.
 */
export function hostsFile(pod: Pod, podIPs: readonly string[], nodeHosts: string, clusterDomain?: string): string {
  if (pod.spec.hostNetwork === true) return hostNetworkHeader + nodeHosts + aliases(pod);
  const { hostname, domain } = podName(pod, clusterDomain);
  const names = domain === '' ? hostname : `${hostname}.${domain}\t${hostname}`;
  return header + local + podIPs.map((ip) => `${ip}\t${names}\n`).join('') + aliases(pod);
}

function aliases(pod: Pod): string {
  const lines = (pod.spec.hostAliases ?? []).map(({ ip, hostnames }) => `${ip}\t${(hostnames ?? []).join('\t')}\n`);
  return lines.length === 0 ? '' : `\n# Entries added by HostAliases.\n${lines.join('')}`;
}
