import type { Container, EphemeralContainer, Pod } from '../core/objects.ts';
import type { ContainerUser } from '../providers/contract.ts';
import { containerWaiting, createContainerConfigError } from './container-waiting.ts';
import { allContainers, formatPod } from './containers.ts';

/** The user that an image names: a number, or a name that only the image can resolve. */
export interface ImageUser {
  readonly uid?: number;
  readonly username?: string;
}

/**
 * Whom a container runs as: its own security context over the pod's; groups are the pod's alone. Follows
 * pkg/securitycontext/util.go.
 */
export function containerUser(pod: Pod, container: Container | EphemeralContainer): ContainerUser {
  const ofPod = pod.spec.securityContext;
  const own = container.securityContext;
  const runAsUser = own?.runAsUser ?? ofPod?.runAsUser;
  const runAsGroup = own?.runAsGroup ?? ofPod?.runAsGroup;
  const runAsNonRoot = own?.runAsNonRoot ?? ofPod?.runAsNonRoot;
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    ...(runAsNonRoot === undefined ? {} : { runAsNonRoot }),
    ...(ofPod?.supplementalGroups === undefined ? {} : { supplementalGroups: ofPod.supplementalGroups }),
    ...(ofPod?.fsGroup === undefined ? {} : { fsGroup: ofPod.fsGroup }),
  };
}

/**
 * Refuses to run as root a container that must not, with the kubelet's words and the waiting reason
 * `CreateContainerConfigError`. `image` is the user that applies when the spec names none; a runtime without images
 * says whom it would run the container as. Follows `verifyRunAsNonRoot` of pkg/kubelet/kuberuntime.
 */
export function verifyRunAsNonRoot(pod: Pod, container: Container | EphemeralContainer, image: ImageUser): void {
  const { runAsNonRoot, runAsUser } = containerUser(pod, container);
  if (runAsNonRoot !== true) return;
  const refuse = (why: string) =>
    containerWaiting(createContainerConfigError, `${why} (pod: "${formatPod(pod)}", container: ${container.name})`);
  if (runAsUser !== undefined) {
    if (runAsUser === 0) throw refuse("container's runAsUser breaks non-root policy");
    return;
  }
  if (image.uid === 0) throw refuse('container has runAsNonRoot and image will run as root');
  if (image.uid === undefined && image.username !== undefined && image.username !== '')
    throw refuse(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root`,
    );
}

/**
 * The one user of all containers of a pod, when they have one: it owns the files of projected tokens. Follows
 * `FsUserFrom` of pkg/volume/util/util.go.
 */
export function uniformUser(pod: Pod): number | undefined {
  const users = new Set(allContainers(pod.spec).map((container) => containerUser(pod, container).runAsUser));
  return users.size === 1 ? [...users][0] : undefined;
}
