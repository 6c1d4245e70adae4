import { join } from 'node:path';

/**
 * The provider's state directory:
 *
 * ```
 * sandboxes/<id>.json      by the daemon
 * containers/<id>.json     by the shim that owns the container; after the shim's end by the daemon
 * mounts/<id>/             $CONTAINER_SANDBOX_MOUNT_POINT of a container
 * shims/<id>/              shim.json, sock, log
 * ```
 */
export class StateFiles {
  readonly root: string;
  readonly sandboxes: string;
  readonly containers: string;
  readonly mounts: string;
  readonly shims: string;

  constructor(root: string) {
    this.root = root;
    this.sandboxes = join(root, 'sandboxes');
    this.containers = join(root, 'containers');
    this.mounts = join(root, 'mounts');
    this.shims = join(root, 'shims');
  }

  sandbox(id: string): string {
    return join(this.sandboxes, `${id}.json`);
  }

  container(id: string): string {
    return join(this.containers, `${id}.json`);
  }

  mountPoint(id: string): string {
    return join(this.mounts, id);
  }

  shim(id: string): string {
    return join(this.shims, id);
  }
}
