/**
 * A small scheduler: it binds pods to a node that their node selector, required affinity and anti-affinity, tolerations,
 * host ports, volumes and resource requests allow, the best liked and emptiest first. Topology spread, priorities and
 * preemption it does not know. Follows pkg/scheduler/schedule_one.go and framework/plugins.
 */
import { randomUUID } from 'node:crypto';

import { rfc3339, rfc3339Micro, type Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KubeNode, Pod } from '../core/objects.ts';
import type { PersistentVolumeClaim } from './controllers/types.ts';
import type { JsonObject } from './json.ts';
import { kindNamed } from './kinds/table.ts';
import { bindPod } from './pod-binding.ts';
import type { Registry } from './registry.ts';
import { matchesNodeAffinity, preferredWeight, untoleratedTaint } from './scheduling/node-fit.ts';
import { NodeUsage } from './scheduling/node-usage.ts';
import { affinityRefusal, affinityTerms, antiAffinityTerms, type PlacedPod } from './scheduling/pod-affinity.ts';

const name = 'default-scheduler';
const pods = kindNamed('Pod');
const nodes = kindNamed('Node');
const namespaces = kindNamed('Namespace');
const claims = kindNamed('PersistentVolumeClaim');
const notReady = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };
const cordoned = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** Why a node will not do; `final` when no pod that goes would change that. */
interface Refusal {
  readonly reasons: readonly string[];
  readonly final: boolean;
}

export class Scheduler {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stops: (() => void)[] = [];
  /** Pods that wait for a node, by UID. */
  readonly #pending = new Map<string, { namespace: string; name: string }>();
  /** Those of them for which there is no node now: something has to change first. */
  readonly #parked = new Set<string>();
  readonly #usage = new Map<string, NodeUsage>();
  /** UIDs of pods on nodes that want certain others not to be near. */
  readonly #repelling = new Set<string>();
  #planned = false;

  constructor(registry: Registry, clock: Clock, log: Logger) {
    this.#registry = registry;
    this.#clock = clock;
    this.#log = log;
  }

  /** Takes up every pod that waits now or later. Call once. */
  start(): void {
    const { store } = this.#registry;
    const noticed = (pod: Pod, before: Pod | undefined, gone: boolean) => {
      this.#account(pod, before, gone);
      this.#consider(pod, before, gone);
      this.#plan();
    };
    for (const pod of store.list(pods)) noticed(pod as unknown as Pod, undefined, false);
    this.#stops.push(
      store.subscribe(pods, store.version, ({ type, object, previous }) =>
        noticed(object as unknown as Pod, previous as unknown as Pod | undefined, type === 'DELETED'),
      ),
      store.subscribe(nodes, store.version, ({ type, object, previous }) => {
        if (type === 'MODIFIED' && facts(object) === facts(previous as unknown as KubeNode)) return;
        this.#unpark();
      }),
      store.subscribe(claims, store.version, () => this.#unpark()),
    );
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
    this.#pending.clear();
    this.#parked.clear();
    this.#usage.clear();
    this.#repelling.clear();
  }

  /** Keeps what is taken on each node. */
  #account(pod: Pod, before: Pod | undefined, gone: boolean): void {
    const { uid } = pod.metadata;
    const on = (of: Pod | undefined) => (of === undefined || isFinished(of) ? '' : (of.spec.nodeName ?? ''));
    const was = on(before);
    const is = gone ? '' : on(pod);
    if (was !== '' && was !== is) {
      this.#usage.get(was)?.remove(uid);
      if (this.#usage.get(was)?.size === 0) this.#usage.delete(was);
      this.#repelling.delete(uid);
      // There is room again.
      this.#unpark();
    }
    if (is === '') return;
    const usage = this.#usage.get(is) ?? new NodeUsage();
    this.#usage.set(is, usage);
    // Resizing, and labels that affinity goes by, change what was counted.
    if (was === is && before !== undefined && sameDemand(pod, before)) return;
    usage.add(pod);
    if (antiAffinityTerms(pod).length > 0) this.#repelling.add(uid);
    if ([...this.#parked].some((parked) => this.#hasAffinity(parked))) this.#unpark();
  }

  #hasAffinity(uid: string): boolean {
    const waiting = this.#pending.get(uid);
    const pod =
      waiting && (this.#registry.store.get(pods, waiting.namespace, waiting.name) as unknown as Pod | undefined);
    return pod !== undefined && affinityTerms(pod).length > 0;
  }

  #consider(pod: Pod, before: Pod | undefined, gone: boolean): void {
    const { uid, deletionTimestamp } = pod.metadata;
    if (
      gone ||
      pod.spec.nodeName ||
      deletionTimestamp !== undefined ||
      isFinished(pod) ||
      pod.spec.schedulerName !== name
    ) {
      this.#pending.delete(uid);
      this.#parked.delete(uid);
      return;
    }
    this.#pending.set(uid, pod.metadata);
    // Its status is what the scheduler itself wrote.
    if (before === undefined || !sameDemand(pod, before)) this.#parked.delete(uid);
  }

  #unpark(): void {
    this.#parked.clear();
    this.#plan();
  }

  /** Once for many changes, and never inside the write that caused them. */
  #plan(): void {
    if (this.#planned || this.#pending.size === this.#parked.size) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      for (const [uid, waiting] of this.#pending) {
        if (this.#parked.has(uid)) continue;
        this.#parked.add(uid);
        this.#schedule(waiting);
      }
    });
  }

  #schedule({ namespace, name: podName }: { namespace: string; name: string }): void {
    const stored = this.#registry.store.get(pods, namespace, podName);
    if (stored === undefined) return;
    const pod = stored as unknown as Pod;
    if ((pod.spec.schedulingGates ?? []).length > 0) return;
    const all = this.#registry.list(nodes) as unknown as KubeNode[];
    const refusals: Refusal[] = [];
    const placed = this.#placed(pod, all);
    const volumes = this.#volumeRefusal(pod);
    let best: { name: string; liking: number; load: number } | undefined;
    for (const node of all) {
      const why = this.#refusal(pod, node, placed);
      if (why !== undefined) {
        refusals.push(why);
        continue;
      }
      const load = this.#usage.get(node.metadata?.name ?? '')?.size ?? 0;
      const liking =
        preferredWeight(pod.spec, node) -
        (untoleratedTaint(node.spec?.taints, pod.spec.tolerations, ['PreferNoSchedule']) ? 100 : 0);
      if (best === undefined || liking > best.liking || (liking === best.liking && load < best.load))
        best = { name: node.metadata?.name ?? '', liking, load };
    }
    try {
      if (volumes !== undefined && all.length > 0)
        this.#reportUnschedulable(pod, `0/${all.length} nodes are available: ${volumes}. not found`);
      else if (best === undefined) this.#reportUnschedulable(pod, unschedulableText(all.length, refusals));
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

  /** The pods that affinity has to look at: all, or only those that repel others. */
  #placed(pod: Pod, all: readonly KubeNode[]): PlacedPod[] {
    const interested = affinityTerms(pod).length + antiAffinityTerms(pod).length > 0;
    if (!interested && this.#repelling.size === 0) return [];
    return all.flatMap((node) =>
      (this.#usage.get(node.metadata?.name ?? '')?.pods() ?? [])
        .filter((other) => interested || this.#repelling.has(other.metadata.uid))
        .map((other) => ({ pod: other, node })),
    );
  }

  #refusal(pod: Pod, node: KubeNode, placed: readonly PlacedPod[]): Refusal | undefined {
    const { tolerations } = pod.spec;
    const final = (reason: string) => ({ reasons: [reason], final: true });
    if (node.spec?.unschedulable === true && untoleratedTaint([cordoned], tolerations, ['NoSchedule']))
      return final('node(s) were unschedulable');
    const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
    // The taint of a node that is not ready may come a moment after its condition.
    const taints = [...(node.spec?.taints ?? []), ...(ready ? [] : [notReady])];
    if (untoleratedTaint(taints, tolerations, ['NoSchedule', 'NoExecute']))
      return final('node(s) had untolerated taint(s)');
    if (!matchesNodeAffinity(pod.spec, node)) return final("node(s) didn't match Pod's node affinity/selector");
    const usage = this.#usage.get(node.metadata?.name ?? '') ?? new NodeUsage();
    if (usage.hasPortConflict(pod))
      return { reasons: ["node(s) didn't have free ports for the requested pod ports"], final: false };
    const lacking = usage.lacking(pod, node);
    if (lacking.length > 0) return { reasons: lacking, final: new NodeUsage().lacking(pod, node).length > 0 };
    const unfriendly = affinityRefusal(
      pod,
      node,
      placed,
      (namespace) => this.#registry.store.get(namespaces, undefined, namespace)?.metadata.labels,
    );
    return unfriendly === undefined
      ? undefined
      : { reasons: [unfriendly], final: unfriendly === "node(s) didn't match pod affinity rules" };
  }

  /** Claims have to be bound before their pod can go anywhere (plugins/volumebinding). */
  #volumeRefusal({ metadata, spec }: Pod): string | undefined {
    for (const volume of spec.volumes ?? []) {
      const claimName = volume.persistentVolumeClaim?.claimName;
      if (claimName === undefined) continue;
      const claim = this.#registry.store.get(claims, metadata.namespace, claimName) as unknown as
        PersistentVolumeClaim | undefined;
      if (claim === undefined) return `persistentvolumeclaim ${JSON.stringify(claimName)} not found`;
      if (claim.metadata.deletionTimestamp !== undefined)
        return `persistentvolumeclaim ${JSON.stringify(claimName)} is being deleted`;
      if (claim.status?.phase !== 'Bound') return 'pod has unbound immediate PersistentVolumeClaims';
    }
    return undefined;
  }

  #reportUnschedulable(pod: Pod, why: string): void {
    const before = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
    if (before?.status === 'False' && before.message === why) return;
    const condition = {
      lastProbeTime: null,
      lastTransitionTime: before?.lastTransitionTime ?? rfc3339(this.#clock.now()),
      message: why,
      ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
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

/** How many nodes refuse for which reason, and that preemption would not help (FitError.Error in framework/types.go). */
export function unschedulableText(nodeCount: number, refusals: readonly Refusal[]): string {
  if (nodeCount === 0) return 'no nodes available to schedule pods';
  const counts = new Map<string, number>();
  for (const reason of refusals.flatMap(({ reasons }) => reasons)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const texts = [...counts].map(([text, count]) => `${count} ${text}`).sort();
  const final = refusals.filter((refusal) => refusal.final).length;
  return `0/${nodeCount} nodes are available: ${texts.join(', ')}. ${preemptionText(nodeCount, final, refusals.length - final)}`;
}

function preemptionText(nodeCount: number, final: number, others: number): string {
  const texts = [
    ...(others > 0 ? [`${others} No preemption victims found for incoming pod`] : []),
    ...(final > 0 ? [`${final} Preemption is not helpful for scheduling`] : []),
  ].sort();
  return `no new claims to deallocate, preemption: 0/${nodeCount} nodes are available: ${texts.join(', ')}.`;
}

function isFinished({ status }: Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** A pod's spec and labels are all that placing it depends on. */
function sameDemand(pod: Pod, before: Pod): boolean {
  const equal = (a: unknown, b: unknown) => a === b || JSON.stringify(a) === JSON.stringify(b);
  return equal(pod.spec, before.spec) && equal(pod.metadata.labels, before.metadata.labels);
}

/** What of a node matters to where pods go. */
function facts({ metadata, spec, status }: KubeNode): string {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  return JSON.stringify([metadata?.labels, spec, ready, status?.allocatable]);
}
