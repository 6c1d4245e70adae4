/** The indexes of an Indexed job, written `1,3-5,7`. Follows pkg/controller/job/indexed_job_utils.go. */
import type { Pod } from '../../core/objects.ts';

export const indexAnnotation = 'batch.kubernetes.io/job-completion-index';

/** The completion index of a pod, undefined when it has none that is valid for so many completions. */
export function completionIndex({ metadata }: Pod, completions: number): number | undefined {
  const text = metadata.annotations?.[indexAnnotation];
  const index = text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  return index !== undefined && index < completions ? index : undefined;
}

/** Reads the indexes below `completions`. */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined) continue;
    for (let i = Number(first); i <= Math.min(Number(last), completions - 1); i++) indexes.add(i);
  }
  return indexes;
}

/** Writes indexes; runs of three and more, and of two, become intervals. */
export function formatIndexes(indexes: Iterable<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === (sorted[end] as number) + 1) end++;
    parts.push(
      end === i ? `${sorted[i]}` : end === i + 1 ? `${sorted[i]},${sorted[end]}` : `${sorted[i]}-${sorted[end]}`,
    );
    i = end + 1;
  }
  return parts.join(',');
}

/** The lowest indexes that are neither taken nor done. */
export function pendingIndexes(count: number, completions: number, taken: ReadonlySet<number>): number[] {
  const pending: number[] = [];
  for (let i = 0; i < completions && pending.length < count; i++) if (!taken.has(i)) pending.push(i);
  return pending;
}
