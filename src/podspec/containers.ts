import { invalidInput } from '../core/errors.ts';
import type { Container, EphemeralContainer, Pod, PodSpec } from '../core/objects.ts';

/** A sidecar: an init container that restarts, and so runs during the pod's whole life. */
export function isSidecar(container: Pick<Container, 'restartPolicy'>): boolean {
  return container.restartPolicy === 'Always';
}

/** Every container of a pod: init, regular, ephemeral, in the order of the spec. */
export function allContainers(spec: PodSpec): readonly (Container | EphemeralContainer)[] {
  return [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])];
}

/** The container of that name, of any kind. Rejects with `InvalidInput` when the pod has none. */
export function containerOf(pod: Pod, name: string): Container | EphemeralContainer {
  const found = allContainers(pod.spec).find((container) => container.name === name);
  if (found === undefined) throw invalidInput(`container ${name} not found`);
  return found;
}

/** How the kubelet names a pod in its messages: `name_namespace(uid)`. */
export function formatPod(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
}
