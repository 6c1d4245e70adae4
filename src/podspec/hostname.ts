import { invalidInput } from '../core/errors.ts';
import type { Pod } from '../core/objects.ts';

const longestHostname = 63;
const longestFqdn = 64;

/** A pod's name in its own world. */
export interface PodName {
  /** The short name, at most 63 characters. */
  readonly hostname: string;
  /** `<subdomain>.<namespace>.svc.<cluster domain>`; empty without a subdomain. */
  readonly domain: string;
}

/**
 * The short host name and the domain of a pod: `hostnameOverride`, else `hostname`, else its name, cut to 63
 * characters. Follows `GeneratePodHostNameAndDomain` of pkg/kubelet/kubelet_pods.go.
 */
export function podName(pod: Pod, clusterDomain = 'cluster.local'): PodName {
  const { hostnameOverride, hostname, subdomain } = pod.spec;
  if (hostnameOverride !== undefined) return { hostname: shorten(pod, hostnameOverride), domain: '' };
  const chosen = hostname === undefined || hostname === '' ? pod.metadata.name : hostname;
  const domain =
    subdomain === undefined || subdomain === '' ? '' : `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}`;
  return { hostname: shorten(pod, chosen), domain };
}

/**
 * The host name that a pod's sandbox gets: the short name, or the full one when the pod sets `setHostnameAsFQDN`,
 * which is refused with `InvalidInput` when it does not fit the kernel's 64 characters. A pod on the node's network
 * has the node's name, which its runtime knows: this is then still the pod's own.
 */
export function podHostname(pod: Pod, clusterDomain?: string): string {
  const { hostname, domain } = podName(pod, clusterDomain);
  if (domain === '' || pod.spec.setHostnameAsFQDN !== true) return hostname;
  const fqdn = `${hostname}.${domain}`;
  if (fqdn.length > longestFqdn)
    throw invalidInput(
      `failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long (${longestFqdn} characters is the max, ${fqdn.length} characters requested)`,
    );
  return fqdn;
}

function shorten(pod: Pod, hostname: string): string {
  if (hostname.length <= longestHostname) return hostname;
  const cut = hostname.slice(0, longestHostname).replace(/[-.]+$/, '');
  if (cut === '') throw invalidInput(`hostname for pod "${pod.metadata.name}" was invalid: "${hostname}"`);
  return cut;
}
