import { readFile, realpath, rmdir } from 'node:fs/promises';

import { conflict } from '../../core/errors.ts';
import { removeTree, systemCode } from './directories.ts';
import { volumePaths } from './volume-paths.ts';

/**
 * Removes a pod's volumes and all they hold, and the pod's folder when nothing else is in it. Links are removed, never
 * followed, and nothing is removed while something is still mounted below: that is a `Conflict`, to be tried again.
 * Unknown is success.
 */
export async function removeVolumes(
  stateDir: string,
  uid: string,
  mountPoints: () => Promise<readonly string[]> = currentMountPoints,
): Promise<void> {
  const volumes = volumePaths.volumes(stateDir, uid);
  const real = await realpathOf(volumes);
  if (real === undefined) return;
  const mounted = (await mountPoints()).find((path) => path.startsWith(`${real}/`));
  if (mounted !== undefined) throw conflict(`volumes of pod ${uid} are still in use: ${mounted} is mounted`);
  await removeTree(volumes);
  try {
    await rmdir(volumePaths.pod(stateDir, uid));
  } catch (err) {
    if (systemCode(err) !== 'ENOTEMPTY' && systemCode(err) !== 'ENOENT') throw err;
  }
}

async function realpathOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (err) {
    if (systemCode(err) === 'ENOENT') return undefined;
    throw err;
  }
}

/** Where something is mounted now; nothing on a system that does not say. */
async function currentMountPoints(): Promise<readonly string[]> {
  try {
    const table = await readFile('/proc/self/mountinfo', 'utf8');
    // The fifth field, in which blanks are octal escapes.
    return table
      .split('\n')
      .map((line) =>
        (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
      );
  } catch (err) {
    if (systemCode(err) === 'ENOENT') return [];
    throw err;
  }
}
