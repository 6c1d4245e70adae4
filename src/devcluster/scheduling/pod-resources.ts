/** What a pod asks of its node. Follows k8s.io/component-helpers/resource/helpers.go. */
import type { Container, PodSpec } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';

/** Resource name → amount; what is not named is not asked for. */
export type Resources = ReadonlyMap<string, Quantity>;

/** Requests, with the pod's overhead. */
export function podRequests(spec: PodSpec): Resources {
  return total(spec, 'requests');
}

/** Limits; the overhead counts only where there is a limit. */
export function podLimits(spec: PodSpec): Resources {
  return total(spec, 'limits');
}

function total(spec: PodSpec, part: 'requests' | 'limits'): Resources {
  const of = (container: Container) => read(container.resources?.[part]);
  let sum: Resources = spec.containers.map(of).reduce(plus, new Map());
  // Sidecars run beside all that starts after them; other init containers run alone.
  let sidecars: Resources = new Map();
  let start: Resources = new Map();
  for (const container of spec.initContainers ?? []) {
    if (container.restartPolicy === 'Always') {
      sidecars = plus(sidecars, of(container));
      start = most(start, sidecars);
    } else start = most(start, plus(sidecars, of(container)));
  }
  sum = most(plus(sum, sidecars), start);
  const whole = read(spec.resources?.[part]);
  sum = new Map([...sum, ...whole]);
  if (part === 'requests') return plus(sum, read(spec.overhead));
  return plus(sum, new Map([...read(spec.overhead)].filter(([name]) => sum.has(name))));
}

function read(amounts: Readonly<Record<string, string>> | undefined): Resources {
  return new Map(Object.entries(amounts ?? {}).map(([name, amount]) => [name, Quantity.parse(amount)]));
}

/** Sums amounts; the result is new. */
export function plus(a: Resources, b: Resources): Resources {
  const sum = new Map(a);
  for (const [name, amount] of b) sum.set(name, sum.get(name)?.add(amount) ?? amount);
  return sum;
}

function most(a: Resources, b: Resources): Resources {
  const greatest = new Map(a);
  for (const [name, amount] of b) {
    const other = greatest.get(name);
    if (other === undefined || other.compare(amount) < 0) greatest.set(name, amount);
  }
  return greatest;
}
