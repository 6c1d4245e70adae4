import type { ContainerStatus, Pod } from '../core/objects.ts';
import type { ContainerInstance } from '../providers/contract.ts';
import { Refusal } from './refusal.ts';

/** The pods of this node with their current status; given by the daemon. */
export interface PodSource {
  list(): readonly Pod[];
  byName(namespace: string, name: string): Pod | undefined;
}

/** A pod that has something running, as `/runningpods/` shows it. */
export interface RunningPod {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** Those that run now. */
  readonly containers: readonly { readonly name: string; readonly image: string }[];
}

/** The pod that exec, attach, run and portForward are about. Throws 404 in the kubelet's words. */
export function existingPod(pods: PodSource, namespace: string, name: string): Pod {
  const pod = pods.byName(namespace, name);
  if (pod === undefined) throw new Refusal(404, 'pod does not exist');
  return pod;
}

/** The instance of a container that runs now, or undefined. `uid` is the optional path segment. */
export function runningInstance(pod: Pod, uid: string, container: string): ContainerInstance | undefined {
  if (uid !== '' && uid !== pod.metadata.uid) return undefined;
  const status = statusOf(pod.status, container);
  if (status?.state?.running === undefined) return undefined;
  return instanceOf(pod, container, status.containerID);
}

export function instanceOf(pod: Pod, container: string, containerID: string | undefined): ContainerInstance {
  const known = containerID === undefined || containerID === '' ? {} : { containerID };
  return { uid: pod.metadata.uid, container, ...known };
}

/** A container of the spec by name, of whichever kind. */
export function specOf(
  { spec }: Pod,
  container: string,
): { readonly name: string; readonly tty?: boolean } | undefined {
  const all = [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])];
  return all.find(({ name }) => name === container);
}

/** A container's status by name, of whichever kind. */
export function statusOf(status: Pod['status'], container: string): ContainerStatus | undefined {
  const all = [
    ...(status?.containerStatuses ?? []),
    ...(status?.initContainerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ];
  return all.find(({ name }) => name === container);
}

/** Whether the pod has its network: it was given an address and has not ended. */
export function hasSandbox({ status }: Pod): boolean {
  const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
  return !ended && (status?.podIP ?? '') !== '';
}
