import { invalidInput } from '../core/errors.ts';
import type { Container, EphemeralContainer, Pod } from '../core/objects.ts';
import { Quantity } from '../core/quantity.ts';
import { goQuote } from './go-quote.ts';
import { isPodLevelResource } from './resources.ts';

/** What a pod's own object does not say, known only when a container is about to start. */
export interface RuntimeAddresses {
  /** The node's addresses, primary family first. */
  readonly hostIPs: readonly string[];
  /** The pod's addresses; empty while it has none. */
  readonly podIPs: readonly string[];
}

/** Names a resource of a container, as a volume or a variable does. */
export interface ResourceSelector {
  readonly resource: string;
  readonly divisor?: string | number;
}

/** Limits that a container without its own shows instead: the node's allocatable, by resource name. */
export type Allocatable = Readonly<Record<string, string>>;

const subscripted = /^(.+?)\['(.*)'\]$/s;

/**
 * The value of a field for an environment variable. Rejects with `InvalidInput` for a path that Kubernetes does not
 * offer. Follows `podFieldSelectorRuntimeValue` of pkg/kubelet/kubelet_pods.go.
 */
export function environmentField(pod: Pod, fieldPath: string, { hostIPs, podIPs }: RuntimeAddresses): string {
  switch (fieldPath) {
    case 'spec.nodeName':
      return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
      return hostIPs[0] ?? '';
    case 'status.hostIPs':
      return hostIPs.join(',');
    case 'status.podIP':
      return podIPs[0] ?? '';
    case 'status.podIPs':
      return podIPs.join(',');
    default:
      return metadataField(pod, fieldPath);
  }
}

/**
 * The value of a metadata field, for a variable or a file. Labels and annotations as a whole are `key="value"` lines
 * in the order of their keys; a missing key of one is the empty string. Follows pkg/fieldpath/fieldpath.go.
 */
export function metadataField(pod: Pod, fieldPath: string): string {
  const [, path, key = ''] = subscripted.exec(fieldPath) ?? [];
  switch (path ?? fieldPath) {
    case 'metadata.annotations':
      return ofMap(pod.metadata.annotations ?? {}, path === undefined ? undefined : key);
    case 'metadata.labels':
      return ofMap(pod.metadata.labels ?? {}, path === undefined ? undefined : key);
  }
  if (path !== undefined) throw invalidInput(`fieldPath ${goQuote(path)} does not support subscript`);
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    default:
      throw invalidInput(`unsupported fieldPath: ${fieldPath}`);
  }
}

function ofMap(map: Readonly<Record<string, string>>, key: string | undefined): string {
  if (key !== undefined) return Object.hasOwn(map, key) ? (map[key] ?? '') : '';
  return Object.keys(map)
    .sort()
    .map((name) => `${name}=${goQuote(map[name] ?? '')}`)
    .join('\n');
}

/**
 * A container's limit or request in units of the divisor, rounded up. A limit that the container lacks is the pod's,
 * else the node's allocatable; a request that it lacks is 0. CPU counts in thousandths, so 500m is 1 core. Rejects with
 * `InvalidInput` for a resource that the downward API does not offer. Follows pkg/api/v1/resource/helpers.go.
 */
export function resourceField(
  pod: Pod,
  container: Container | EphemeralContainer,
  { resource, divisor }: ResourceSelector,
  allocatable: Allocatable,
): string {
  const [, kind, name = ''] = /^(limits|requests)\.(.+)$/.exec(resource) ?? [];
  const isHugePages = name.startsWith('hugepages-');
  if (kind === undefined || !(name === 'cpu' || name === 'memory' || name === 'ephemeral-storage' || isHugePages))
    throw invalidInput(`unsupported container resource : ${resource}`);
  const own = quantityOf(container.resources?.[kind as 'limits' | 'requests']?.[name]);
  const amount = kind === 'limits' && !isHugePages && own.isZero ? defaultLimit(pod, name, allocatable) : own;
  const unit = quantityOf(divisor);
  const scale = (q: Quantity) => (name === 'cpu' ? q.milliValue() : q.value());
  return String(Quantity.of(scale(amount)).dividedBy(Quantity.of(scale(unit.isZero ? Quantity.of(1) : unit))));
}

function defaultLimit(pod: Pod, name: string, allocatable: Allocatable): Quantity {
  const ofNode = quantityOf(allocatable[name]);
  const ofPod = isPodLevelResource(name) ? quantityOf(pod.spec.resources?.limits?.[name]) : Quantity.zero;
  return ofPod.isZero || allocatable[name] === undefined ? ofNode : ofPod;
}

function quantityOf(text: string | number | undefined): Quantity {
  return text === undefined ? Quantity.zero : Quantity.parse(text);
}
