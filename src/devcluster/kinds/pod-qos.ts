import type { Container, PodSpec } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';

/** The QoS class that the API server writes at creation (pkg/apis/core/v1/helper/qos/qos.go). */
export function qosClassOf(spec: PodSpec): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const owners: Pick<Container, 'resources'>[] = spec.resources
    ? [{ resources: spec.resources }]
    : [...(spec.containers ?? []), ...(spec.initContainers ?? [])];
  const amount = (list: Record<string, string> | undefined, name: string) => Quantity.parse(list?.[name] ?? '0').nanos;
  let anything = false;
  let guaranteed = true;
  for (const { resources } of owners) {
    for (const name of ['cpu', 'memory']) {
      const request = amount(resources?.requests, name);
      const limit = amount(resources?.limits, name);
      if (request > 0n || limit > 0n) anything = true;
      if (limit === 0n || request !== limit) guaranteed = false;
    }
  }
  return !anything ? 'BestEffort' : guaranteed ? 'Guaranteed' : 'Burstable';
}
