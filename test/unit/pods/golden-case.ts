import { readFile } from 'node:fs/promises';

import type { ContainerStateTerminated, ContainerStatus, Pod, PodStatus } from '../../../src/core/objects.ts';

const folder = new URL('../../golden/pods/', import.meta.url);

export interface PodEventRow {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

/** One status as it is compared; equal text, equal status. */
export type Row = string;

export interface Recording {
  readonly pod: { readonly metadata: { readonly name: string }; readonly spec: Pod['spec'] };
  readonly qosClass: string;
  readonly rows: readonly Row[];
  /** Those that stood for a second or more: they are not to be skipped. */
  readonly stays: readonly Row[];
  /** The last status before the deletion. */
  readonly before: Row | undefined;
  readonly events: readonly string[];
}

export async function recording(name: string): Promise<Recording> {
  const read = (file: string) => readFile(new URL(`${name}/${file}`, folder), 'utf8');
  const changes = (await read('watch.jsonl'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Watched);
  const { rows, before, times } = comparable(changes);
  return {
    pod: JSON.parse(await read('pod.json')) as Recording['pod'],
    qosClass: changes[0]?.status.qosClass ?? 'BestEffort',
    rows,
    before,
    stays: rows.filter((_, i) => (times[i + 1] ?? changes.at(-1)?.afterMs ?? 0) - (times[i] ?? 0) >= 1_000),
    events: eventTexts(JSON.parse(await read('events.json')) as PodEventRow[]),
  };
}

interface Watched {
  readonly afterMs?: number;
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly status: PodStatus;
}

/** The rows of a watched pod, equal neighbours once. */
export function comparable(changes: readonly Watched[]): { rows: Row[]; before: Row | undefined; times: number[] } {
  const rows: Row[] = [];
  const times: number[] = [];
  let before: Row | undefined;
  for (const { metadata, status, afterMs = 0 } of changes) {
    const row = rowOf(status);
    if (rows.at(-1) !== row) {
      rows.push(row);
      times.push(afterMs);
    }
    if (metadata.deletionTimestamp === undefined) before = row;
  }
  return { rows, before, times };
}

/** What is said of images is left out: a runtime need not have any. So is what a scheduler says. */
export function eventTexts(events: readonly PodEventRow[]): string[] {
  const left = events.filter((e) => !['Scheduled', 'Pulling', 'Pulled'].includes(e.reason));
  return [...new Set(left.map((e) => `${e.type} ${e.reason} ${placeholders(e.message)}`))].sort();
}

/** The first row that is not in the recording where it should be. */
export function outOfOrder(rows: readonly Row[], recorded: readonly Row[]): Row | undefined {
  let at = 0;
  for (const row of rows) {
    const found = recorded.indexOf(row, at);
    if (found < 0) return row;
    at = found;
  }
  return undefined;
}

function rowOf(status: PodStatus): Row {
  const conditions = (status.conditions ?? [])
    .filter((c) => c.type !== 'PodScheduled')
    .map((c) => [c.type, c.status, c.reason, placeholders(c.message)].filter(Boolean).join(' '))
    .sort();
  const containers = [
    ...(status.initContainerStatuses ?? []),
    ...(status.containerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ].map(containerText);
  const head = [status.phase, status.reason, placeholders(status.message), status.qosClass].filter(Boolean).join(' ');
  return [head, ...conditions, ...containers].join('\n');
}

function containerText({ name, state, lastState, restartCount, ready, started }: ContainerStatus): string {
  const [kind = 'none', said] = (Object.entries(state ?? {})[0] ?? []) as [string?, Partial<ContainerStateTerminated>?];
  const last = lastState?.terminated;
  return [
    `${name}[${kind}`,
    said?.reason,
    said?.exitCode,
    placeholders(said?.message),
    `restarts=${restartCount}`,
    ready && 'ready',
    started && 'started',
    last && `last=${last.reason}/${last.exitCode}`,
  ]
    .filter((part) => part !== undefined && part !== false)
    .join(' ');
}

/** Texts without what differs from run to run. */
function placeholders(text: string | undefined): string | undefined {
  return text
    ?.replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UID')
    .replace(/_golden\(/g, '_NAMESPACE(')
    .replace(/_default\(/g, '_NAMESPACE(')
    .replace(/\b(golden|default)\//g, 'NAMESPACE/')
    .replace(/\b\d+\.\d+\.\d+\.\d+\b/g, 'IP')
    .replace(/\b(\d+m)?[\d.]+m?s\b/g, 'DURATION')
    .replace(/failed to (create|start) (containerd|container) .*/s, 'RUNTIME')
    .replace(/used: \d+, capacity: \d+/, 'USED');
}
