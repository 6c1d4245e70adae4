import { chownSync, mkdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';

import { reasonOf, type RunAs } from '../../host/find-program.ts';
import type { Mount } from '../contract.ts';
import { containerWaiting } from '../../podspec/container-waiting.ts';

/**
 * Without isolation a volume cannot be at its mountPath, which is a path of the host. It is a symbolic link under
 * the container's own folder instead: `$CONTAINER_SANDBOX_MOUNT_POINT/<mountPath>`.
 * @throws ContainerWaiting `CreateContainerError`.
 */
export function prepareMountPoint(mountPoint: string, mounts: readonly Mount[], owner: RunAs | undefined): void {
  const sorted = mounts
    .map((mount) => ({ ...mount, path: resolve('/', mount.containerPath) }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  try {
    mkdirSync(mountPoint, { recursive: true, mode: 0o755 });
    if (owner !== undefined) chownSync(mountPoint, owner.uid, owner.gid);
    for (const [index, mount] of sorted.entries()) {
      const outer = sorted.slice(0, index).find((other) => isWithin(mount.path, other.path));
      if (outer !== undefined) throw nested(mount, outer);
      const link = join(mountPoint, mount.path);
      if (mount.path === '/')
        throw containerWaiting('CreateContainerError', `volume "${mount.name}" cannot be mounted at /`);
      mkdirSync(dirname(link), { recursive: true, mode: 0o755 });
      symlinkSync(mount.hostPath, link);
    }
  } catch (err) {
    rmSync(mountPoint, { recursive: true, force: true });
    if (err instanceof Error && 'waitingReason' in err) throw err;
    throw containerWaiting(
      'CreateContainerError',
      `cannot prepare the container's mount point: ${(err as Error).message}`,
      err,
    );
  }
}

function nested(mount: Mount & { path: string }, outer: Mount & { path: string }): Error {
  const what = `volume "${mount.name}" at ${mount.path} lies inside volume "${outer.name}" at ${outer.path}`;
  return containerWaiting('CreateContainerError', `${what}: without isolation a volume inside another cannot be shown`);
}

/** True for `outer` itself and all below it; both absolute and normalised. */
export function isWithin(path: string, outer: string): boolean {
  const rest = relative(outer, path);
  return rest === '' || (rest !== '..' && !rest.startsWith(`..${sep}`));
}

/**
 * The working directory must exist, since nothing outside the state directory is ever created; below the
 * container's own mount point it is made, as a container runtime would.
 * @throws ContainerWaiting `CreateContainerError`.
 */
export function prepareWorkingDirectory(directory: string, mountPoint: string, owner: RunAs | undefined): void {
  if (isWithin(directory, mountPoint)) {
    const first = mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (first !== undefined && owner !== undefined) {
      for (let made = directory; isWithin(made, first); made = dirname(made)) chownSync(made, owner.uid, owner.gid);
    }
    return;
  }
  let reason: string | undefined;
  try {
    if (!statSync(directory).isDirectory()) reason = 'not a directory';
  } catch (err) {
    reason = reasonOf(err);
  }
  if (reason === undefined) return;
  const sentence =
    'without isolation a working directory must exist on the node or lie below $(CONTAINER_SANDBOX_MOUNT_POINT)';
  throw containerWaiting('CreateContainerError', `working directory "${directory}": ${reason}; ${sentence}`);
}
