/**
 * A small scheduler: it binds pods to a ready node that their node selector, required node affinity and tolerations
 * allow and that has room for one more pod, the emptiest first. Resources, pod affinity and preemption it does not know.
 */
import { randomUUID } from 'node:crypto';

import { rfc3339, rfc3339Micro, type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KubeNode, Pod, PodSpec, Taint, Toleration } from '../core/objects.ts';
import type { JsonObject } from './json.ts';
import { kindNamed } from './kinds/table.ts';
import { bindPod } from './pod-binding.ts';
import type { Registry } from './registry.ts';
import { meets } from './selectors.ts';

const name = 'default-scheduler';
const pods = kindNamed('Pod');
const nodes = kindNamed('Node');

export class Scheduler {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stops: (() => void)[] = [];
  /** Pods that wait for a node, by UID. */
  readonly #pending = new Map<string, { namespace: string; name: string }>();
  readonly #podsOn = new Map<string, number>();
  #planned = false;

  constructor(registry: Registry, clock: Clock, log: Logger) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes up every pod that waits now or later. Call once, before there are pods. */
  start(): void {
    const { store } = this.#registry;
    this.#stops.push(
      store.subscribe(pods, store.version, ({ type, object, previous }) => {
        const pod = object as unknown as Pod;
        const before = (previous as unknown as Pod | undefined)?.spec.nodeName;
        const after = type === 'DELETED' ? undefined : pod.spec.nodeName;
        if (before !== after) this.#count(before, -1);
        if (before !== after) this.#count(after, 1);
        if (
          type === 'DELETED' ||
          pod.spec.nodeName ||
          pod.metadata.deletionTimestamp !== undefined ||
          pod.spec.schedulerName !== name
        )
          this.#pending.delete(pod.metadata.uid);
        else this.#pending.set(pod.metadata.uid, pod.metadata);
        this.#plan();
      }),
      store.subscribe(nodes, store.version, () => this.#plan()),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#pending.clear();
  }

  #count(node: string | undefined, by: number): void {
    if (node) this.#podsOn.set(node, (this.#podsOn.get(node) ?? 0) + by);
  }

  /** Once for many changes, and never inside the write that caused them. */
  #plan(): void {
    if (this.#planned || this.#pending.size === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      for (const waiting of this.#pending.values()) this.#schedule(waiting);
    });
  }

  #schedule({ namespace, name: podName }: { namespace: string; name: string }): void {
    const stored = this.#registry.store.get(pods, namespace, podName);
    if (stored === undefined) return;
    const pod = stored as unknown as Pod;
    if ((pod.spec.schedulingGates ?? []).length > 0) return;
    const all = this.#registry.list(nodes) as unknown as KubeNode[];
    const refusals = new Map<string, number>();
    let best: { name: string; load: number } | undefined;
    for (const node of all) {
      const load = this.#podsOn.get(node.metadata?.name ?? '') ?? 0;
      const why = unfit(pod.spec, node, load);
      if (why !== undefined) refusals.set(why, (refusals.get(why) ?? 0) + 1);
      else if (best === undefined || load < best.load) best = { name: node.metadata?.name ?? '', load };
    }
    try {
      if (best === undefined) this.#reportUnschedulable(pod, all.length, refusals);
      else {
        bindPod(this.#registry, this.#clock, namespace, podName, { target: { kind: 'Node', name: best.name } });
        this.#event(
          pod,
          'Normal',
          'Scheduled',
          `Successfully assigned ${namespace}/${podName} to ${best.name}`,
          'Binding',
        );
      }
    } catch (err) {
      this.#log.warn('pod not scheduled', { pod: `${namespace}/${podName}`, err: messageOf(err) });
    }
  }

  #reportUnschedulable(pod: Pod, nodeCount: number, refusals: ReadonlyMap<string, number>): void {
    const why =
      nodeCount === 0
        ? 'no nodes available to schedule pods'
        : `0/${nodeCount} nodes are available: ${[...refusals]
            .map(([text, count]) => `${count} ${text}`)
            .sort()
            .join(', ')}.`;
    const before = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
    if (before?.status === 'False' && before.message === why) return;
    const condition = {
      lastProbeTime: null,
      lastTransitionTime: before?.lastTransitionTime ?? rfc3339(this.#clock.now()),
      message: why,
      reason: 'Unschedulable',
      status: 'False',
      type: 'PodScheduled',
    };
    const others = (pod.status?.conditions ?? []).filter((other) => other.type !== 'PodScheduled');
    this.#registry.change(pods, pod.metadata.namespace, pod.metadata.name, 'status', (current) => ({
      ...current,
      status: { ...(current['status'] as JsonObject), conditions: [...others, condition] as unknown as JsonObject[] },
    }));
    this.#event(pod, 'Warning', 'FailedScheduling', why, 'Scheduling');
  }

  #event({ metadata }: Pod, type: string, reason: string, note: string, action: string): void {
    const { name: podName, namespace, uid, resourceVersion } = metadata;
    const now = this.#clock.now();
    this.#registry.create(kindNamed('Event'), namespace, {
      metadata: { name: `${podName}.${randomUUID().replaceAll('-', '').slice(0, 16)}`, namespace },
      involvedObject: {
        kind: 'Pod',
        apiVersion: 'v1',
        name: podName,
        namespace,
        uid,
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
      type,
      reason,
      message: note,
      action,
      eventTime: rfc3339Micro(now),
      reportingComponent: name,
      reportingInstance: name,
    });
  }
}

/** Why a pod cannot go to a node, in the scheduler's words; undefined when it can. */
function unfit(spec: PodSpec, { metadata, spec: nodeSpec, status }: KubeNode, load: number): string | undefined {
  const untolerated = nodeSpec?.taints?.find(
    (taint) =>
      taint.effect !== 'PreferNoSchedule' &&
      !(spec.tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
  );
  if (
    nodeSpec?.unschedulable === true &&
    !(spec.tolerations ?? []).some((t) =>
      tolerates(t, { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }),
    )
  )
    return 'node(s) were unschedulable';
  if (untolerated !== undefined) return `node(s) had untolerated taint(s)`;
  if (status?.conditions?.find((condition) => condition.type === 'Ready')?.status !== 'True')
    return 'node(s) were not ready';
  const labels = metadata?.labels ?? {};
  if (
    Object.entries(spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value) ||
    !affinityAllows(spec, labels, metadata?.name ?? '')
  ) {
    return "node(s) didn't match Pod's node affinity/selector";
  }
  const room = Number(status.allocatable?.['pods'] ?? Number.POSITIVE_INFINITY);
  return load >= room ? 'Too many pods' : undefined;
}

/** Follows v1.Toleration.ToleratesTaint in k8s.io/api/core/v1/toleration.go. */
function tolerates({ key, operator, value, effect }: Toleration, taint: Taint): boolean {
  if (effect && effect !== taint.effect) return false;
  if (key && key !== taint.key) return false;
  return operator === 'Exists' || (!!key && (value ?? '') === (taint.value ?? ''));
}

function affinityAllows(spec: PodSpec, labels: Readonly<Record<string, string>>, nodeName: string): boolean {
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return required.nodeSelectorTerms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (matchExpressions.length + matchFields.length === 0) return false;
    const inLabels = matchExpressions.every(({ key, operator, values = [] }) =>
      meets({ key, operator, values }, labels[key]),
    );
    return (
      inLabels &&
      matchFields.every(
        ({ key, operator, values = [] }) => key === 'metadata.name' && meets({ key, operator, values }, nodeName),
      )
    );
  });
}
