import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { parse } from 'yaml';

import { conflict, messageOf } from '../core/errors.ts';
import { writeFileAtomic } from '../host/atomic-file.ts';
import { openStateDirectory } from '../host/state-directory.ts';
import { clusterName } from './kubeconfig.ts';

/** The folder of one development cluster and its node: one process at a time has it. */
export interface DevFolder {
  /** What people use. */
  readonly kubeconfig: string;
  /** What the node uses. */
  readonly nodeKubeconfig: string;
  /** The node's state directory. */
  readonly node: string;
  /** The objects that a kept cluster left; need not exist. */
  readonly snapshot: string;
  /** Keys, logs and data of real control plane programs; need not exist. */
  readonly controlPlane: string;
  /** Replaces both kubeconfigs. */
  writeKubeconfigs(texts: { readonly admin: string; readonly node: string }): void;
  /** Removes what was made here, unless it is kept, and lets others have the folder. */
  close(): void;
}

/**
 * Takes a folder, making it when it is not there. What is kept and what is not lie apart, so that a start without
 * `keep` touches nothing that an earlier one has kept.
 *
 * @throws Conflict when another process uses it, or its `kubeconfig` names clusters of others
 */
export function openDevFolder(path: string, keep: boolean): DevFolder {
  const lock = openStateDirectory(path);
  const kubeconfig = join(path, 'kubeconfig');
  const nodeKubeconfig = join(path, 'node.kubeconfig');
  const data = join(path, keep ? 'kept' : 'passing');
  const node = join(data, 'node');
  const controlPlane = join(data, 'control-plane');
  try {
    refuseForeignKubeconfig(kubeconfig);
    // What a crash has left; the node's own it needs, for containers may still run.
    if (!keep) rmSync(controlPlane, { recursive: true, force: true });
    // Passable: a container of another user must get to its volumes below.
    mkdirSync(node, { recursive: true, mode: 0o711 });
  } catch (err) {
    lock.release();
    throw err;
  }
  return {
    kubeconfig,
    nodeKubeconfig,
    node,
    controlPlane,
    snapshot: join(data, 'cluster.json'),
    writeKubeconfigs(texts) {
      writeFileAtomic(nodeKubeconfig, texts.node);
      writeFileAtomic(kubeconfig, texts.admin);
    },
    close() {
      rmSync(kubeconfig, { force: true });
      rmSync(nodeKubeconfig, { force: true });
      if (!keep) rmSync(data, { recursive: true, force: true });
      lock.release();
      const left = readdirSync(path);
      if (left.length === 1 && left[0] === 'anylet.json') rmSync(path, { recursive: true });
    },
  };
}

function refuseForeignKubeconfig(path: string): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw conflict(`${path} cannot be read: ${messageOf(err)}`, err);
  }
  if (!isOurs(text))
    throw conflict(
      `${path} is not a kubeconfig of anylet dev: move it away, or name another directory with --state-dir`,
    );
}

/** As we wrote it, or as kubectl changed it since: a namespace may have been set, but there is no other cluster. */
function isOurs(text: string): boolean {
  try {
    const { clusters } = parse(text) as { clusters?: { name?: unknown }[] };
    return clusters !== undefined && clusters.length > 0 && clusters.every(({ name }) => name === clusterName);
  } catch {
    return false;
  }
}
