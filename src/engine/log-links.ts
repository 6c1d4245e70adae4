import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { ContainerRecord } from '../providers/contract.ts';

/**
 * The folder of links by which log agents find containers' logs: `<pod>_<namespace>_<container>-<id>.log`, as the
 * kubelet's `/var/log/containers`. A link that cannot be made is logged and no more: the container matters more.
 *
 * Follows pkg/kubelet/kuberuntime/legacy.go `legacyLogSymlink`.
 */
export class LogLinks {
  readonly #directory: string | undefined;
  readonly #log: Logger;

  /** Without a folder nothing is linked. */
  constructor(directory: string | undefined, log: Logger) {
    this.#directory = directory;
    this.#log = log;
  }

  async make(record: ContainerRecord): Promise<void> {
    if (this.#directory === undefined) return;
    const link = pathOf(this.#directory, record);
    try {
      await mkdir(this.#directory, { recursive: true });
      await rm(link, { force: true });
      await symlink(record.logPath, link);
    } catch (err) {
      this.#log.warn('log link not made', { link, err: messageOf(err) });
    }
  }

  async remove(record: ContainerRecord): Promise<void> {
    if (this.#directory !== undefined) await rm(pathOf(this.#directory, record), { force: true });
  }
}

function pathOf(directory: string, { pod, name, id }: ContainerRecord): string {
  return join(directory, `${pod.name}_${pod.namespace}_${name}-${id}.log`);
}
