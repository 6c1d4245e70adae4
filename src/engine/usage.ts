import { readdir, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { FileSystemUsage, UsageScope } from '../core/resource-usage.ts';
import type { ContainerRecord, ContainerUsage, PodRef, PodUsage, RuntimeUsage } from '../providers/contract.ts';

/** One pod's records. */
interface PodContainers {
  readonly ref: PodRef;
  readonly containers: readonly ContainerRecord[];
}

/**
 * The runtime's figures by pod, with what the engine knows itself: names, start times and the size of logs. Only
 * pods of which something runs.
 */
export async function podUsages(
  pods: Iterable<PodContainers>,
  usages: readonly RuntimeUsage[],
  { scope, type, at }: { scope: UsageScope; type: string; at: number },
): Promise<PodUsage[]> {
  const byID = new Map(usages.map((usage) => [usage.id, usage]));
  const found: PodUsage[] = [];
  for (const { ref, containers } of pods) {
    const measured: ContainerUsage[] = [];
    for (const record of containers) {
      const usage = byID.get(record.id);
      if (usage === undefined || record.status.state !== 'running') continue;
      const { id, ...figures } = usage;
      const logs = scope === 'all' ? await logUsage(record.logPath, at) : undefined;
      measured.push({
        name: record.name,
        containerID: `${type}://${id}`,
        image: record.image,
        startedAt: record.status.startedAt,
        ...figures,
        ...(logs === undefined ? {} : { logs }),
      });
    }
    if (measured.length > 0) found.push({ ...ref, containers: measured });
  }
  return found;
}

/** The logs of a container, those of earlier instances too, on the file system that they are on. */
async function logUsage(logPath: string, at: number): Promise<FileSystemUsage | undefined> {
  const folder = dirname(logPath);
  try {
    const [names, { bsize, blocks, bavail, files, ffree }] = await Promise.all([readdir(folder), statfs(folder)]);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).blocks * 512));
    return {
      at,
      availableBytes: bsize * bavail,
      capacityBytes: bsize * blocks,
      usedBytes: sizes.reduce((sum, size) => sum + size, 0),
      inodesFree: ffree,
      inodes: files,
      inodesUsed: names.length,
    };
  } catch {
    // Rotated away under our hands, or the runtime has made none.
    return undefined;
  }
}
