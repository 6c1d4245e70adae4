import type { KubeNode, Pod } from '../../core/objects.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { canonicalJson } from './hash.ts';
import { controllerReference, isNamespaceTerminating } from './pod-control.ts';
import { isPodReady, isPodTerminating } from './pod-state.ts';
import { backendsOf, enqueueServices, hasBackends, hostnameOf, isHeadless, targetPort } from './service-backends.ts';
import type { EndpointSlice, StoredService } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'endpointslice-controller.k8s.io';
const serviceLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const headlessLabel = 'service.kubernetes.io/headless';
/** As many endpoints fit into one slice (--max-endpoints-per-slice). */
const perSlice = 100;

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];
type Port = NonNullable<EndpointSlice['ports']>[number];

interface WantedSlice {
  readonly addressType: 'IPv4' | 'IPv6';
  readonly ports: readonly Port[];
  readonly endpoints: readonly Endpoint[];
}

/** Keeps the EndpointSlices of Services that select pods. Follows k8s.io/endpointslice/reconciler.go. */
export class EndpointSliceController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, 'endpoint-slice-controller', (key) => this.#sync(key));
    enqueueServices(context, this.#queue);
    // Somebody who deletes a slice gets it back.
    context.objects.watch('EndpointSlice', ({ type, object }) => {
      const { labels, namespace } = object.metadata;
      if (type === 'DELETED' && labels?.[managedByLabel] === component)
        this.#queue.add(
          keyOf({
            metadata: { ...object.metadata, namespace, name: labels[serviceLabel] ?? '' } as typeof object.metadata,
          }),
        );
    });
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects } = this.#context;
    const { namespace, name } = fromKey(key);
    const service = objects.find<StoredService>('Service', namespace, name);
    if (service === undefined || service.metadata.deletionTimestamp !== undefined || !hasBackends(service)) return;
    const existing = objects
      .controlledBy<EndpointSlice>('EndpointSlice', service.metadata.uid)
      .filter(({ metadata }) => metadata.labels?.[managedByLabel] === component);
    const pods = backendsOf(this.#context, service, true);
    const wanted = (service.spec.ipFamilies ?? ['IPv4']).flatMap((family) =>
      this.#slices(service, pods, family as 'IPv4' | 'IPv6'),
    );
    for (const slice of wanted) this.#keep(service, slice, existing);
    for (const slice of existing) objects.delete(slice);
  }

  /** Puts the endpoints into a slice with the same ports, taken out of `spare`, or into a new one. */
  #keep(service: StoredService, { addressType, ports, endpoints }: WantedSlice, spare: EndpointSlice[]): void {
    const { objects } = this.#context;
    const { name, namespace } = service.metadata;
    const labels = {
      ...service.metadata.labels,
      ...(isHeadless(service) && { [headlessLabel]: '' }),
      [serviceLabel]: name,
      [managedByLabel]: component,
    };
    const i = spare.findIndex(
      (slice) => slice.addressType === addressType && canonicalJson(slice.ports ?? []) === canonicalJson(ports),
    );
    const before = i < 0 ? undefined : spare.splice(i, 1)[0];
    if (before !== undefined) {
      const changed = { metadata: { ...before.metadata, labels }, endpoints: [...endpoints], ports: [...ports] };
      objects.update(before, changed);
      return;
    }
    const metadata = {
      generateName: `${name}-`,
      labels,
      ownerReferences: [controllerReference({ kind: 'Service', apiVersion: 'v1', metadata: service.metadata })],
    };
    try {
      objects.create('EndpointSlice', namespace, { metadata, addressType, endpoints, ports });
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error;
    }
  }

  /** The endpoints of one address family, by their ports; an empty slice says that there are none. */
  #slices(service: StoredService, pods: readonly Pod[], addressType: 'IPv4' | 'IPv6'): WantedSlice[] {
    const groups = new Map<string, { ports: Port[]; endpoints: Endpoint[] }>();
    for (const pod of pods) {
      const addresses = (pod.status?.podIPs ?? [])
        .map(({ ip }) => ip)
        .filter((ip) => ip.includes(':') === (addressType === 'IPv6'));
      if (addresses.length === 0) continue;
      const ports = (service.spec.ports ?? []).flatMap((port): Port[] => {
        const number = targetPort(pod, port);
        if (number === undefined) return [];
        const { name = '', protocol = 'TCP', appProtocol } = port;
        return [{ name, port: number, protocol, ...(appProtocol !== undefined && { appProtocol }) }];
      });
      const key = canonicalJson(ports);
      const group = groups.get(key) ?? { ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(this.#endpoint(service, pod, addresses));
    }
    if (groups.size === 0) return [{ addressType, ports: [], endpoints: [] }];
    return [...groups.values()].flatMap(({ ports, endpoints }) => {
      const slices: WantedSlice[] = [];
      for (let at = 0; at < endpoints.length; at += perSlice)
        slices.push({ addressType, ports, endpoints: endpoints.slice(at, at + perSlice) });
      return slices;
    });
  }

  #endpoint(service: StoredService, pod: Pod, addresses: string[]): Endpoint {
    const serving = isPodReady(pod);
    const terminating = isPodTerminating(pod);
    const { name, namespace, uid } = pod.metadata;
    const { nodeName } = pod.spec;
    const node = nodeName ? this.#context.objects.find<KubeNode>('Node', undefined, nodeName) : undefined;
    const zone = node?.metadata?.labels?.['topology.kubernetes.io/zone'];
    return {
      addresses,
      conditions: {
        ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
        serving,
        terminating,
      },
      ...hostnameOf(pod, service),
      ...(nodeName && { nodeName }),
      targetRef: { kind: 'Pod', namespace, name, uid },
      ...(zone !== undefined && { zone }),
    };
  }
}
