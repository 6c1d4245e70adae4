/** Which pods stand behind a Service, and by which ports. Follows k8s.io/endpointslice and pkg/controller/endpoint. */
import type { Container, Pod } from '../../core/objects.ts';
import type { AnyObject } from './cluster-objects.ts';
import { keyOf } from './cluster-objects.ts';
import type { ControllerContext } from './controller.ts';
import { hasLabels } from './label-selector.ts';
import { isPodFinished, isPodTerminating } from './pod-state.ts';
import type { StoredService } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

type ServicePort = NonNullable<StoredService['spec']['ports']>[number];

/** The pods whose addresses belong to the Service; ready or not. */
export function backendsOf({ objects }: ControllerContext, service: StoredService, terminating: boolean): Pod[] {
  const { selector } = service.spec;
  return objects
    .list<Pod>('Pod', service.metadata.namespace)
    .filter(
      (pod) =>
        hasLabels(pod.metadata.labels, selector) &&
        !isPodFinished(pod) &&
        pod.status?.podIP !== undefined &&
        (terminating || !isPodTerminating(pod)),
    );
}

/** Whether controllers see to the Service's endpoints at all. */
export function hasBackends({ spec }: StoredService): boolean {
  return Object.keys(spec.selector ?? {}).length > 0 && spec.type !== 'ExternalName';
}

export function isHeadless({ spec }: StoredService): boolean {
  return spec.clusterIP === 'None' || !spec.clusterIP;
}

/** A pod has a name of its own below a headless Service that is its subdomain. */
export function hostnameOf(pod: Pod, { metadata }: StoredService): { hostname?: string } {
  const { hostname, subdomain } = pod.spec;
  return hostname && subdomain === metadata.name ? { hostname } : {};
}

/** The number of the pod's port that the Service's port leads to, undefined when it has none of that name (FindPort). */
export function targetPort(pod: Pod, { targetPort: target, port, protocol = 'TCP' }: ServicePort): number | undefined {
  if (typeof target === 'number') return target === 0 ? port : target;
  if (target === undefined || target === '') return port;
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const containers: Container[] = [...pod.spec.containers, ...sidecars];
  return containers
    .flatMap(({ ports = [] }) => ports)
    .find((candidate) => candidate.name === target && (candidate.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** Adds Services to the queue when they, or pods that they select or selected, change what matters to endpoints. */
export function enqueueServices({ objects }: ControllerContext, queue: WorkQueue): void {
  objects.watch('Service', ({ object }) => queue.add(keyOf(object)));
  objects.watch('Pod', ({ type, object, previous }) => {
    const pod = object as unknown as Pod;
    const before = previous as unknown as Pod | undefined;
    if (type === 'MODIFIED' && before !== undefined && facts(pod) === facts(before)) return;
    for (const service of objects.list<StoredService & AnyObject>('Service', pod.metadata.namespace)) {
      if (!hasBackends(service)) continue;
      const { selector } = service.spec;
      if (hasLabels(pod.metadata.labels, selector) || (before && hasLabels(before.metadata.labels, selector)))
        queue.add(keyOf(service));
    }
  });
}

function facts({ metadata, spec, status }: Pod): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  return JSON.stringify([
    metadata.labels,
    metadata.deletionTimestamp,
    spec.nodeName,
    status?.phase,
    status?.podIPs,
    ready,
  ]);
}
