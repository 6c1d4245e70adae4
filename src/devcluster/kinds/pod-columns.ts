/** The columns of `kubectl get pods`. Follows printPod in pkg/printers/internalversion/printers.go. */
import type { ContainerStatus, Pod } from '../../core/objects.ts';
import type { ApiObject } from '../api-object.ts';
import { ageOf, humanDuration } from './human-duration.ts';
import type { Column, RowCondition } from './kind.ts';

const pod = (object: ApiObject) => object as unknown as Pod;

export const podColumns: readonly Column[] = [
  { name: 'Name', format: 'name', cell: (o) => o.metadata.name },
  { name: 'Ready', cell: (o) => summaryOf(pod(o)).ready },
  { name: 'Status', cell: (o) => summaryOf(pod(o)).reason },
  { name: 'Restarts', cell: (o, now) => restartsText(summaryOf(pod(o)), now) },
  { name: 'Age', cell: (o, now) => ageOf(o.metadata.creationTimestamp, now) },
  { name: 'IP', priority: 1, cell: (o) => pod(o).status?.podIPs?.[0]?.ip ?? '<none>' },
  { name: 'Node', priority: 1, cell: (o) => pod(o).spec.nodeName || '<none>' },
  { name: 'Nominated Node', priority: 1, cell: (o) => pod(o).status?.nominatedNodeName || '<none>' },
  { name: 'Readiness Gates', priority: 1, cell: (o) => readinessGates(pod(o)) },
];

interface Summary {
  readonly ready: string;
  readonly reason: string;
  readonly restarts: number;
  /** When a container last ended before it was restarted; 0 when none was. */
  readonly lastRestartMs: number;
}

const summaries = new WeakMap<Pod, Summary>();

function summaryOf(of: Pod): Summary {
  let summary = summaries.get(of);
  if (summary === undefined) summaries.set(of, (summary = summarize(of)));
  return summary;
}

function summarize({ metadata, spec, status }: Pod): Summary {
  const sidecars = new Set((spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').map((c) => c.name));
  const total = spec.containers.length + sidecars.size;
  let reason = status?.reason || status?.phase || '';
  if (status?.conditions?.some((c) => c.type === 'PodScheduled' && c.reason === 'SchedulingGated'))
    reason = 'SchedulingGated';
  let ready = 0;
  let counted: ContainerStatus[] = [];

  const inits = status?.initContainerStatuses ?? [];
  let initializing = false;
  for (const [i, container] of inits.entries()) {
    counted.push(container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (sidecars.has(container.name) && container.started === true) {
      if (container.ready) ready++;
      continue;
    }
    initializing = true;
    if (terminated !== undefined) reason = `Init:${endReason(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') reason = `Init:${waiting.reason}`;
    else reason = `Init:${i}/${(spec.initContainers ?? []).length}`;
    break;
  }

  if (!initializing || hasCondition(status, 'Initialized')) {
    counted = inits.filter((container) => sidecars.has(container.name));
    let running = false;
    let errorReason = '';
    for (const container of (status?.containerStatuses ?? []).toReversed()) {
      counted.push(container);
      const { waiting, terminated, running: runs } = container.state ?? {};
      if (waiting?.reason) reason = waiting.reason;
      else if (terminated !== undefined) {
        reason = endReason(terminated);
        if (terminated.exitCode !== 0) errorReason = reason;
      } else if (container.ready && runs !== undefined) {
        running = true;
        ready++;
      }
    }
    if (reason === 'Completed' && running)
      reason = hasCondition(status, 'Ready') ? 'Running' : errorReason || 'NotReady';
    else if (reason === 'Completed' && errorReason !== '') reason = errorReason;
  }

  if (metadata.deletionTimestamp !== undefined) {
    if (status?.reason === 'NodeLost') reason = 'Unknown';
    else if (status?.phase !== 'Failed' && status?.phase !== 'Succeeded') reason = 'Terminating';
  }
  return {
    ready: `${ready}/${total}`,
    reason,
    restarts: counted.reduce((sum, c) => sum + (c.restartCount ?? 0), 0),
    lastRestartMs: Math.max(0, ...counted.map((c) => Date.parse(c.lastState?.terminated?.finishedAt ?? '') || 0)),
  };
}

function endReason({ reason, signal, exitCode }: { reason?: string; signal?: number; exitCode: number }): string {
  return reason || (signal ? `Signal:${signal}` : `ExitCode:${exitCode}`);
}

function restartsText({ restarts, lastRestartMs }: Summary, nowMs: number): string {
  return restarts === 0 || lastRestartMs === 0
    ? String(restarts)
    : `${restarts} (${humanDuration(nowMs - lastRestartMs)} ago)`;
}

function hasCondition(status: Pod['status'], type: string): boolean {
  return status?.conditions?.some((c) => c.type === type && c.status === 'True') === true;
}

function readinessGates({ spec, status }: Pod): string {
  const gates = spec.readinessGates ?? [];
  if (gates.length === 0) return '<none>';
  return `${gates.filter((gate) => hasCondition(status, gate.conditionType)).length}/${gates.length}`;
}

/** kubectl leaves out finished pods by these. */
export function podRowConditions({ status }: Pod): RowCondition[] {
  const completed = { type: 'Completed', status: 'True' };
  if (status?.phase === 'Succeeded')
    return [{ ...completed, reason: 'Succeeded', message: 'The pod has completed successfully.' }];
  return status?.phase === 'Failed' ? [{ ...completed, reason: 'Failed', message: 'The pod failed.' }] : [];
}
