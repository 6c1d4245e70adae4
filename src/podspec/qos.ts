import type { Pod, PodSpec } from '../core/objects.ts';
import { Quantity } from '../core/quantity.ts';
import { containerLimits, containerRequests, type ResourceList } from './resources.ts';

/** A pod's quality-of-service class. */
export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const counted = ['cpu', 'memory'] as const;

/**
 * The class that the API server gave the pod at its creation, else computed: Guaranteed when every container (or the
 * pod as a whole, where it says) limits CPU and memory to what it requests, BestEffort when none names either,
 * Burstable otherwise. Follows pkg/apis/core/v1/helper/qos/qos.go.
 */
export function qosClass(pod: Pod): QosClass {
  return (pod.status?.qosClass as QosClass | undefined) ?? computeQosClass(pod.spec);
}

/** {@link qosClass} from the spec alone. */
export function computeQosClass(spec: PodSpec): QosClass {
  const claims =
    spec.resources === undefined
      ? [...spec.containers, ...(spec.initContainers ?? [])]
      : [{ resources: spec.resources }];
  const requests = new Map<string, Quantity>();
  const limits = new Map<string, Quantity>();
  let allLimited = true;
  for (const claim of claims) {
    addPositive(requests, containerRequests(claim));
    if (!addPositive(limits, containerLimits(claim))) allLimited = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  const same =
    requests.size === limits.size &&
    [...requests].every(([name, quantity]) => limits.get(name)?.equals(quantity) === true);
  return allLimited && same ? 'Guaranteed' : 'Burstable';
}

/** Adds what is more than zero of the resources that count; true when that was all of them. */
function addPositive(sum: Map<string, Quantity>, list: ResourceList): boolean {
  let found = 0;
  for (const name of counted) {
    const quantity = list.get(name);
    if (quantity?.isPositive !== true) continue;
    sum.set(name, (sum.get(name) ?? Quantity.zero).add(quantity));
    found++;
  }
  return found === counted.length;
}
