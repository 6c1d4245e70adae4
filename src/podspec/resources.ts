import type { Container, PodSpec, ResourceRequirements } from '../core/objects.ts';
import { Quantity } from '../core/quantity.ts';
import { isSidecar } from './containers.ts';

/** Amounts by resource name. */
export type ResourceList = ReadonlyMap<string, Quantity>;

type Kind = 'requests' | 'limits';

/**
 * What a pod asks of its node: the sum of its containers and sidecars, or what its init containers need at their
 * peak if that is more; pod-level requests instead where they are set; and the overhead of its runtime class.
 * Follows `PodRequests` of component-helpers/resource/helpers.go.
 */
export function podRequests(spec: PodSpec): ResourceList {
  const requests = ofPod(spec, 'requests');
  addAll(requests, listOf(spec.overhead));
  return requests;
}

/**
 * The most a pod may use: as {@link podRequests}, but overhead counts only on top of a limit that is set. A resource
 * that only some containers limit is the sum of those limits. Follows `PodLimits` of component-helpers.
 */
export function podLimits(spec: PodSpec): ResourceList {
  const limits = ofPod(spec, 'limits');
  for (const [name, overhead] of listOf(spec.overhead)) {
    const limit = limits.get(name);
    if (limit !== undefined && !limit.isZero) limits.set(name, limit.add(overhead));
  }
  return limits;
}

/** A container's requests, by resource name. */
export function containerRequests(container: Pick<Container, 'resources'>): ResourceList {
  return ofContainer(container, 'requests');
}

/** A container's limits, by resource name. */
export function containerLimits(container: Pick<Container, 'resources'>): ResourceList {
  return ofContainer(container, 'limits');
}

/** Resources that a pod may ask for as a whole. */
export function isPodLevelResource(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');
}

function ofPod(spec: PodSpec, kind: Kind): Map<string, Quantity> {
  const total = new Map<string, Quantity>();
  for (const container of spec.containers) addAll(total, ofContainer(container, kind));
  const sidecars = new Map<string, Quantity>();
  const peak = new Map<string, Quantity>();
  for (const container of spec.initContainers ?? []) {
    const own = ofContainer(container, kind);
    if (isSidecar(container)) {
      addAll(total, own);
      addAll(sidecars, own);
      raise(peak, sidecars);
    } else {
      const together = new Map(own);
      addAll(together, sidecars);
      raise(peak, together);
    }
  }
  raise(total, peak);
  for (const [name, quantity] of listOf(spec.resources?.[kind]))
    if (isPodLevelResource(name)) total.set(name, quantity);
  return total;
}

function ofContainer(container: Pick<Container, 'resources'>, kind: Kind): Map<string, Quantity> {
  return listOf(container.resources?.[kind]);
}

function listOf(amounts: ResourceRequirements[Kind] | undefined): Map<string, Quantity> {
  return new Map(Object.entries(amounts ?? {}).map(([name, text]) => [name, Quantity.parse(text)]));
}

function addAll(sum: Map<string, Quantity>, more: ResourceList): void {
  for (const [name, quantity] of more) sum.set(name, sum.get(name)?.add(quantity) ?? quantity);
}

function raise(floor: Map<string, Quantity>, candidates: ResourceList): void {
  for (const [name, quantity] of candidates) {
    const present = floor.get(name);
    if (present === undefined || present.compare(quantity) < 0) floor.set(name, quantity);
  }
}
