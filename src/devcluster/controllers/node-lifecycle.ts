import { rfc3339 } from '../../core/clock.ts';
import type { KubeNode, Lease, NodeCondition, Pod, Taint } from '../../core/objects.ts';
import type { AnyObject } from './cluster-objects.ts';
import { queueOf, type Controller, type ControllerContext } from './controller.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'node-controller';
/** A node that says nothing for so long is not known to be well (--node-monitor-grace-period). */
const gracePeriodMs = 50_000;

const notReady = 'node.kubernetes.io/not-ready';
const unreachable = 'node.kubernetes.io/unreachable';
/** Conditions that become taints: type and value → taint. */
const conditionTaints: readonly (readonly [type: string, value: string, key: string])[] = [
  ['Ready', 'False', notReady],
  ['Ready', 'Unknown', unreachable],
  ['MemoryPressure', 'True', 'node.kubernetes.io/memory-pressure'],
  ['DiskPressure', 'True', 'node.kubernetes.io/disk-pressure'],
  ['PIDPressure', 'True', 'node.kubernetes.io/pid-pressure'],
  ['NetworkUnavailable', 'True', 'node.kubernetes.io/network-unavailable'],
];
const unschedulable = 'node.kubernetes.io/unschedulable';
const ownKeys = [...conditionTaints.map(([, , key]) => key), unschedulable];

type StoredNode = KubeNode & AnyObject;

/**
 * Watches over nodes: one that neither renews its lease nor reports becomes Unknown, its conditions become taints, and
 * its pods are not ready any more. Follows pkg/controller/nodelifecycle/node_lifecycle_controller.go.
 */
export class NodeLifecycleController implements Controller {
  readonly #context: ControllerContext;
  readonly #queue: WorkQueue;
  /** When each node last gave a sign, by the controller's own clock, so that nodes' clocks do not matter. */
  readonly #seen = new Map<string, number>();
  /** Nodes that were ready when last looked at. */
  readonly #ready = new Set<string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    context.objects.watch('Node', ({ type, object, previous }) => {
      const { name } = object.metadata;
      if (type === 'ADDED' || heartbeat(object) !== heartbeat(previous)) this.#seen.set(name, context.clock.now());
      if (type === 'ADDED')
        this.#record(object, 'RegisteredNode', `Node ${name} event: Registered Node ${name} in Controller`);
      if (type === 'DELETED') {
        this.#seen.delete(name);
        this.#ready.delete(name);
        this.#record(object, 'RemovingNode', `Node ${name} event: Removing Node ${name} from Controller`);
      } else this.#queue.add(name);
    });
    context.objects.watch('Lease', ({ type, object, previous }) => {
      const { namespace, name } = object.metadata;
      if (namespace !== 'kube-node-lease' || type === 'DELETED' || !this.#seen.has(name)) return;
      const renewed = (lease: unknown) => (lease as Lease | undefined)?.spec?.renewTime;
      if (renewed(object) !== renewed(previous)) this.#seen.set(name, context.clock.now());
    });
  }

  stop(): void {
    this.#queue.stop();
    this.#seen.clear();
    this.#ready.clear();
  }

  /** Events are writes, which a watch's listener must not do itself. */
  #record(node: AnyObject, reason: string, message: string): void {
    const about = { kind: 'Node', apiVersion: 'v1', metadata: node.metadata };
    queueMicrotask(() => this.#context.events.record(component, about, 'Normal', reason, message));
  }

  #sync(name: string): void {
    const { objects, clock } = this.#context;
    const node = objects.find<StoredNode>('Node', undefined, name);
    if (node === undefined) return;
    const silentMs = clock.now() - (this.#seen.get(name) ?? clock.now());
    const known = silentMs < gracePeriodMs ? node : this.#markUnknown(node);
    if (silentMs < gracePeriodMs) this.#queue.addAfter(name, gracePeriodMs - silentMs);
    this.#taint(known);
    const ready = readyStatus(known) === 'True';
    if (!ready && this.#ready.has(name)) {
      this.#record(known, 'NodeNotReady', `Node ${name} status is now: NodeNotReady`);
      this.#markPodsNotReady(name);
    }
    if (ready) this.#ready.add(name);
    else this.#ready.delete(name);
  }

  #markUnknown(node: StoredNode): StoredNode {
    const now = rfc3339(this.#context.clock.now());
    const conditions = [...(node.status?.conditions ?? [])];
    for (const type of ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']) {
      const at = conditions.findIndex((condition) => condition.type === type);
      const before = conditions[at];
      if (before?.status === 'Unknown') continue;
      const condition: NodeCondition = {
        type,
        status: 'Unknown',
        reason: before === undefined ? 'NodeStatusNeverUpdated' : 'NodeStatusUnknown',
        message: before === undefined ? 'Kubelet never posted node status.' : 'Kubelet stopped posting node status.',
        lastHeartbeatTime: before?.lastHeartbeatTime ?? node.metadata.creationTimestamp ?? now,
        lastTransitionTime: now,
      };
      if (before === undefined) conditions.push(condition);
      else conditions[at] = condition;
    }
    return this.#context.objects.updateStatus(node, { ...node.status, conditions });
  }

  /** Gives the node the taints that its conditions and its cordon mean, and takes the others of them away. */
  #taint(node: StoredNode): void {
    const { objects, clock } = this.#context;
    const before = node.spec?.taints ?? [];
    const wanted = taintsFor(node);
    const kept = before.filter(
      (taint) => !ownKeys.includes(taint.key) || wanted.some((other) => same(other, taint)) || !isOwn(taint),
    );
    const added = wanted
      .filter((taint) => !before.some((other) => same(other, taint)))
      .map((taint) => (taint.effect === 'NoExecute' ? { ...taint, timeAdded: rfc3339(clock.now()) } : taint));
    if (added.length === 0 && kept.length === before.length) return;
    objects.update(node, { spec: { ...node.spec, taints: [...kept, ...added] } });
  }

  /** Follows MarkPodsNotReady in pkg/controller/util/node/controller_utils.go. */
  #markPodsNotReady(name: string): void {
    const { objects, events, clock } = this.#context;
    for (const pod of objects.podsOnNode<Pod>(name)) {
      const conditions = pod.status?.conditions ?? [];
      if (!conditions.some(({ type, status }) => type === 'Ready' && status === 'True')) continue;
      objects.updateStatus(pod, {
        ...pod.status,
        conditions: conditions.map((condition) =>
          condition.type === 'Ready'
            ? { ...condition, status: 'False', lastTransitionTime: rfc3339(clock.now()) }
            : condition,
        ),
      });
      events.record(component, pod, 'Warning', 'NodeNotReady', 'Node is not ready');
    }
  }
}

/** The taints that a node should have for its conditions and its cordon. */
export function taintsFor({ spec, status }: KubeNode): Taint[] {
  const taints: Taint[] = [];
  for (const [type, value, key] of conditionTaints) {
    if (status?.conditions?.find((condition) => condition.type === type)?.status !== value) continue;
    taints.push({ key, effect: 'NoSchedule' });
    if (type === 'Ready') taints.push({ key, effect: 'NoExecute' });
  }
  // A node that has not said anything yet is not ready.
  if (readyStatus({ status } as KubeNode) === undefined) taints.push({ key: notReady, effect: 'NoSchedule' });
  if (spec?.unschedulable === true) taints.push({ key: unschedulable, effect: 'NoSchedule' });
  return taints;
}

function readyStatus({ status }: KubeNode): string | undefined {
  return status?.conditions?.find((condition) => condition.type === 'Ready')?.status;
}

/** NoExecute is the controller's only for what the Ready condition says. */
function isOwn({ key, effect }: Taint): boolean {
  return effect === 'NoSchedule' || (effect === 'NoExecute' && (key === notReady || key === unreachable));
}

function same(a: Taint, b: Taint): boolean {
  return a.key === b.key && a.effect === b.effect;
}

function heartbeat(node: KubeNode | undefined): string {
  return JSON.stringify(node?.status?.conditions ?? null);
}
