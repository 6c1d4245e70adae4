import { posix } from 'node:path';

import type { Container, EphemeralContainer, VolumeMount } from '../../core/objects.ts';
import { containerWaiting, createContainerConfigError } from '../../podspec/container-waiting.ts';
import { expand } from '../../podspec/expand.ts';
import type { Mount } from '../../providers/contract.ts';
import type { PreparedVolumes } from './prepare-volumes.ts';
import { safeSubPath } from './sub-path.ts';

/**
 * What a container has mounted, outer paths before those inside them. `env` is its environment, for `subPathExpr`.
 * Rejects with `ContainerWaiting`, reason `CreateContainerConfigError`, in the kubelet's words. Follows `makeMounts`
 * of pkg/kubelet/kubelet_pods.go.
 */
export async function mountsFor(
  container: Pick<Container | EphemeralContainer, 'name' | 'volumeMounts'>,
  volumes: PreparedVolumes,
  env: Readonly<Record<string, string>>,
): Promise<readonly Mount[]> {
  const mounts: Mount[] = [];
  for (const mount of container.volumeMounts ?? []) {
    const volume = volumes.get(mount.name);
    if (volume === undefined)
      throw refuse(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
    const subPath = chosenSubPath(mount, env);
    mounts.push({
      name: mount.name,
      hostPath:
        subPath === '' ? volume.hostPath : await prepareSubPath(volume.hostPath, subPath, mount.name, container.name),
      containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : posix.join('/', mount.mountPath),
      readOnly: volume.readOnly || (mount.readOnly ?? false),
    });
  }
  return mounts.sort((a, b) => depth(a) - depth(b));
}

function chosenSubPath({ subPath = '', subPathExpr = '' }: VolumeMount, env: Readonly<Record<string, string>>): string {
  const chosen = subPathExpr === '' ? subPath : expandAll(subPathExpr, env);
  if (chosen.startsWith('/')) throw refuse(`error SubPath \`${chosen}\` must not be an absolute path`);
  if (chosen.split('/').includes('..'))
    throw refuse(`unable to provision SubPath \`${chosen}\`: must not contain '..'`);
  return chosen;
}

/** Unlike in a command, a variable that is missing or empty is an error here. */
function expandAll(text: string, env: Readonly<Record<string, string>>): string {
  const missing = new Set<string>();
  const expanded = expand(text, (name) => {
    const value = Object.hasOwn(env, name) ? (env[name] ?? '') : '';
    if (value === '') missing.add(name);
    return value;
  });
  if (missing.size > 0) throw refuse(`missing value for ${[...missing].sort().join(', ')}`);
  return expanded;
}

async function prepareSubPath(volume: string, subPath: string, mount: string, container: string): Promise<string> {
  try {
    return await safeSubPath(volume, subPath);
  } catch (err) {
    // The reason could tell a pod what lies on the node outside its volume: it stays in the cause.
    throw refuse(`failed to prepare subPath for volumeMount "${mount}" of container "${container}"`, err);
  }
}

function refuse(message: string, cause?: unknown) {
  return containerWaiting(createContainerConfigError, message, cause);
}

function depth({ containerPath }: Mount): number {
  return containerPath.split('/').filter((name) => name !== '').length;
}
