import type { Pod } from '../../core/objects.ts';
import { Refusal } from '../refusal.ts';
import { statusOf } from '../pod-source.ts';

/** Go's `%q`, for names as Kubernetes allows them. */
const quoted = (text: string) => JSON.stringify(text);

/**
 * Which instance of a container a log request is about: its ID, or undefined when any running one will do
 * (`validateContainerLogStatus` in `pkg/kubelet/kubelet_pods.go`). Throws 400 with the sentence that kubectl shows
 * when there is none.
 */
export function logInstance(pod: Pod, container: string, previous: boolean): string | undefined {
  const about = `container ${quoted(container)} in pod ${quoted(pod.metadata.name)}`;
  const status = statusOf(pod.status, container);
  if (status === undefined) throw none(`${about} is not available`);
  const last = status.lastState?.terminated;
  const { running, terminated, waiting } = status.state ?? {};

  if (previous) return last?.containerID || refuse(`previous terminated ${about} not found`);
  if (running !== undefined) return status.containerID || undefined;
  // When the next instance did not start there is no ID here, and the one before is the one that has logs.
  if (terminated !== undefined) return terminated.containerID || last?.containerID || refuse(`${about} is terminated`);
  if (last !== undefined) return last.containerID || refuse(`${about} is terminated`);
  if (waiting !== undefined) throw none(`${about} is waiting to start: ${waitingText(waiting.reason)}`);
  throw none(`${about} is waiting to start - no logs yet`);
}

function waitingText(reason = ''): string {
  if (reason === 'ErrImagePull') return "image can't be pulled";
  if (reason === 'ImagePullBackOff') return 'trying and failing to pull image';
  return reason;
}

function refuse(text: string): never {
  throw none(text);
}

function none(text: string): Refusal {
  return new Refusal(400, text);
}
