import type { Pod } from '../core/objects.ts';
import type { Quantity } from '../core/quantity.ts';
import { isSidecar } from '../podspec/containers.ts';
import { podRequests } from '../podspec/resources.ts';

export interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

interface Share {
  readonly requests: ReadonlyMap<string, bigint>;
  readonly ports: readonly HostPort[];
}

/** What the pods of this node take up, kept as a running sum: admission asks it for every new pod. */
export class NodeUsage {
  readonly #shares = new Map<string, Share>();
  readonly #sums = new Map<string, bigint>();
  readonly #ports = new Map<string, HostPort[]>();

  get pods(): number {
    return this.#shares.size;
  }

  /** The sum of requests, in the unit of {@link amountOf}. */
  used(resource: string): bigint {
    return this.#sums.get(resource) ?? 0n;
  }

  /** Whether some pod has this port, on this address or on all of them. */
  holds(wanted: HostPort): boolean {
    const held = this.#ports.get(portKey(wanted)) ?? [];
    return held.some((have) => have.ip === wanted.ip || have.ip === anyAddress || wanted.ip === anyAddress);
  }

  add(pod: Pod): void {
    this.remove(pod.metadata.uid);
    const share: Share = { requests: requestsOf(pod), ports: hostPortsOf(pod) };
    this.#shares.set(pod.metadata.uid, share);
    for (const [resource, amount] of share.requests) this.#sums.set(resource, this.used(resource) + amount);
    for (const port of share.ports) this.#ports.set(portKey(port), [...(this.#ports.get(portKey(port)) ?? []), port]);
  }

  remove(uid: string): void {
    const share = this.#shares.get(uid);
    if (share === undefined) return;
    this.#shares.delete(uid);
    for (const [resource, amount] of share.requests) this.#sums.set(resource, this.used(resource) - amount);
    for (const port of share.ports) {
      const rest = (this.#ports.get(portKey(port)) ?? []).filter((held) => held !== port);
      if (rest.length > 0) this.#ports.set(portKey(port), rest);
      else this.#ports.delete(portKey(port));
    }
  }
}

const anyAddress = '0.0.0.0';

function portKey({ protocol, port }: HostPort): string {
  return `${protocol} ${port}`;
}

/** CPU is counted in thousandths, everything else in whole units, as the kubelet's messages show them. */
export function amountOf(resource: string, quantity: Quantity): bigint {
  return resource === 'cpu' ? quantity.milliValue() : quantity.value();
}

/** What a pod asks of the node, in the unit of {@link amountOf}. */
export function requestsOf(pod: Pod): Map<string, bigint> {
  return new Map([...podRequests(pod.spec)].map(([resource, quantity]) => [resource, amountOf(resource, quantity)]));
}

export function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar);
  return [...pod.spec.containers, ...sidecars].flatMap((container) =>
    (container.ports ?? []).flatMap((p) =>
      p.hostPort === undefined || p.hostPort === 0
        ? []
        : [{ ip: p.hostIP || anyAddress, protocol: p.protocol ?? 'TCP', port: p.hostPort }],
    ),
  );
}
