import type { Pod } from '../../core/objects.ts';
import { fromKey } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import { canonicalJson } from './hash.ts';
import { isNamespaceTerminating } from './pod-control.ts';
import { isPodReady } from './pod-state.ts';
import { backendsOf, enqueueServices, hasBackends, hostnameOf, isHeadless, targetPort } from './service-backends.ts';
import type { EndpointPort, StoredEndpoints, StoredService } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'endpoint-controller';
const headlessLabel = 'service.kubernetes.io/headless';
const managedByLabel = 'endpoints.kubernetes.io/managed-by';
/** The controller truncates what is longer. */
const most = 1000;

type Subset = NonNullable<StoredEndpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

/** Keeps the Endpoints of Services that select pods. Follows pkg/controller/endpoint/endpoints_controller.go. */
export class EndpointsController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueServices(context, this.#queue);
  }

  stop(): void {
    this.#queue.stop();
  }

  #sync(key: string): void {
    const { objects } = this.#context;
    const { namespace, name } = fromKey(key);
    const service = objects.find<StoredService>('Service', namespace, name);
    const before = objects.find<StoredEndpoints>('Endpoints', namespace, name);
    if (service === undefined) {
      if (before?.metadata.labels?.[managedByLabel] === component) objects.delete(before);
      return;
    }
    if (!hasBackends(service)) return;
    const subsets = subsetsOf(
      service,
      backendsOf(this.#context, service, service.spec.publishNotReadyAddresses === true),
    );
    const labels = {
      ...service.metadata.labels,
      ...(isHeadless(service) && { [headlessLabel]: '' }),
      [managedByLabel]: component,
    };
    if (before === undefined) {
      try {
        objects.create('Endpoints', namespace, { metadata: { name, labels }, subsets });
      } catch (error) {
        if (!isNamespaceTerminating(error)) throw error;
      }
      return;
    }
    objects.update(before, { metadata: { ...before.metadata, labels }, subsets });
  }
}

/** The addresses by the ports that they have in common, as RepackSubsets orders them. */
export function subsetsOf(service: StoredService, pods: readonly Pod[]): Subset[] {
  const { ports = [], publishNotReadyAddresses } = service.spec;
  const groups = new Map<string, { ports: EndpointPort[]; ready: Address[]; notReady: Address[] }>();
  for (const pod of pods.slice(0, most)) {
    const open = ports.flatMap((port): EndpointPort[] => {
      const number = targetPort(pod, port);
      if (number === undefined) return [];
      const { name, protocol = 'TCP', appProtocol } = port;
      return [{ ...(name && { name }), port: number, protocol, ...(appProtocol && { appProtocol }) }];
    });
    if (open.length === 0 && !(ports.length === 0 && isHeadless(service))) continue;
    const key = canonicalJson(open);
    const group = groups.get(key) ?? { ports: open, ready: [], notReady: [] };
    groups.set(key, group);
    (publishNotReadyAddresses === true || isPodReady(pod) ? group.ready : group.notReady).push(addressOf(service, pod));
  }
  const byIP = (a: Address, b: Address) => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, group]) => ({
      ...(group.ready.length > 0 && { addresses: group.ready.sort(byIP) }),
      ...(group.notReady.length > 0 && { notReadyAddresses: group.notReady.sort(byIP) }),
      ...(group.ports.length > 0 && { ports: group.ports }),
    }));
}

function addressOf(service: StoredService, pod: Pod): Address {
  const { name, namespace, uid } = pod.metadata;
  return {
    ip: pod.status?.podIP ?? '',
    ...hostnameOf(pod, service),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}
