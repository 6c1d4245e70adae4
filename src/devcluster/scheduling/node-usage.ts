/** What is taken on each node, kept up to date as pods come and go. */
import type { KubeNode, Pod } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import { plus, podRequests, type Resources } from './pod-resources.ts';

/** A port on a node's address; `0.0.0.0` is all of them. */
interface HostPort {
  readonly ip: string;
  readonly protocol: string;
  readonly port: number;
}

interface Placed {
  readonly pod: Pod;
  readonly requests: Resources;
  readonly ports: readonly HostPort[];
}

/** Resources that every node is measured by; others must be among its allocatable ones. */
const basic = ['cpu', 'memory', 'ephemeral-storage'];

export class NodeUsage {
  readonly #placed = new Map<string, Placed>();
  #requests: Resources = new Map();

  /** How many pods are on the node. */
  get size(): number {
    return this.#placed.size;
  }

  pods(): Pod[] {
    return [...this.#placed.values()].map(({ pod }) => pod);
  }

  add(pod: Pod): void {
    this.remove(pod.metadata.uid);
    const placed = { pod, requests: podRequests(pod.spec), ports: hostPorts(pod) };
    this.#placed.set(pod.metadata.uid, placed);
    this.#requests = plus(this.#requests, placed.requests);
  }

  remove(uid: string): void {
    const placed = this.#placed.get(uid);
    if (placed === undefined) return;
    this.#placed.delete(uid);
    const rest = new Map(this.#requests);
    for (const [name, amount] of placed.requests) rest.set(name, (rest.get(name) ?? Quantity.of(0)).subtract(amount));
    this.#requests = rest;
  }

  /** What the pod would find too little of, in the words of plugins/noderesources/fit.go. */
  lacking(pod: Pod, { status }: KubeNode): string[] {
    const allocatable = status?.allocatable ?? status?.capacity ?? {};
    const reasons: string[] = [];
    if (this.size >= Number(allocatable['pods'] ?? Number.POSITIVE_INFINITY)) reasons.push('Too many pods');
    for (const [name, wanted] of podRequests(pod.spec)) {
      if (wanted.isZero) continue;
      const known = allocatable[name];
      // A node that does not say what it has of a basic resource has enough.
      if (known === undefined && basic.includes(name)) continue;
      const left = Quantity.parse(known ?? '0').subtract(this.#requests.get(name) ?? Quantity.of(0));
      if (left.compare(wanted) < 0) reasons.push(`Insufficient ${name}`);
    }
    return reasons;
  }

  /** True when a host port that the pod wants is taken (plugins/nodeports). */
  hasPortConflict(pod: Pod): boolean {
    const wanted = hostPorts(pod);
    if (wanted.length === 0) return false;
    const clash = (a: HostPort, b: HostPort) =>
      a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0');
    return [...this.#placed.values()].some(({ ports }) =>
      ports.some((taken) => wanted.some((port) => clash(taken, port))),
    );
  }
}

function hostPorts({ spec }: Pod): HostPort[] {
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  return [...spec.containers, ...sidecars].flatMap(({ ports = [] }) =>
    ports.flatMap(({ hostPort, hostIP, protocol = 'TCP' }) =>
      hostPort ? [{ port: hostPort, ip: hostIP || '0.0.0.0', protocol }] : [],
    ),
  );
}
