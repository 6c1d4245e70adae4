import { rfc3339 } from '../../core/clock.ts';
import type { KubeNode, Pod, PodSpec, Toleration } from '../../core/objects.ts';
import { matchesNodeAffinity, untoleratedTaint } from '../scheduling/node-fit.ts';
import { claim } from './claim.ts';
import { fromKey, keyOf } from './cluster-objects.ts';
import { enqueueOwners, queueOf, type Controller, type ControllerContext } from './controller.ts';
import { podTemplateHash } from './hash.ts';
import { scaledValue } from './int-or-percent.ts';
import { isEmptySelector, selectsLabels } from './label-selector.ts';
import { isNamespaceTerminating, PodControl, podFromTemplate } from './pod-control.ts';
import { isPodAvailable, isPodReady, isPodTerminating } from './pod-state.ts';
import { revisionLabel, syncRevision, truncateHistory } from './revision-history.ts';
import type { DaemonSet, PodTemplate } from './types.ts';
import type { WorkQueue } from './work-queue.ts';

const component = 'daemonset-controller';
/** A node whose daemon pods fail is tried again after these delays. */
const firstBackOffMs = 1000;
const longestBackOffMs = 15 * 60_000;

/** Runs a pod on every node that it may run on. Follows pkg/controller/daemon. */
export class DaemonSetController implements Controller {
  readonly #context: ControllerContext;
  readonly #pods: PodControl;
  readonly #queue: WorkQueue;
  /** `namespace/name/node` → when a failed pod was last deleted there, and the delay until the next. */
  readonly #failed = new Map<string, { readonly at: number; readonly delayMs: number }>();

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#pods = new PodControl(context, component);
    this.#queue = queueOf(context, component, (key) => this.#sync(key));
    enqueueOwners(context, this.#queue, 'DaemonSet', ['Pod'], (owner, pod) =>
      selectsLabels((owner as DaemonSet).spec.selector, pod.metadata.labels),
    );
    context.objects.watch('Node', ({ type, object, previous }) => {
      if (type === 'MODIFIED' && !placementChanged(object, previous as unknown as KubeNode)) return;
      for (const set of context.objects.list<DaemonSet>('DaemonSet')) this.#queue.add(keyOf(set));
    });
  }

  stop(): void {
    this.#queue.stop();
    this.#failed.clear();
  }

  #sync(key: string): void {
    const { objects, events } = this.#context;
    const { namespace, name } = fromKey(key);
    const set = objects.find<DaemonSet>('DaemonSet', namespace, name);
    if (set === undefined) {
      for (const node of this.#failed.keys()) if (node.startsWith(`${key}/`)) this.#failed.delete(node);
      return;
    }
    if (isEmptySelector(set.spec.selector)) {
      events.record(
        component,
        set,
        'Warning',
        'SelectingAll',
        'This daemon set is selecting all pods. A non-empty selector is required.',
      );
      return;
    }
    if (set.metadata.deletionTimestamp !== undefined) return;
    const revision = syncRevision(objects, set, set.spec.template, set.status?.collisionCount, {
      hash: (collisions) => podTemplateHash(set.spec.template, collisions),
      labels: (hash) => ({ [revisionLabel]: hash }),
    });
    if (revision === undefined) {
      const empty = { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 };
      objects.updateStatus(set, { ...empty, ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 });
      return;
    }
    const hash = revision.metadata.labels?.[revisionLabel] ?? '';
    let failure: Error | undefined;
    try {
      this.#manage(set, hash);
      if (set.spec.updateStrategy?.type !== 'OnDelete') this.#update(set, hash);
    } catch (error) {
      failure = error as Error;
    }
    const pods = this.#podsByNode(set);
    this.#report(set, hash, pods);
    const used = [...pods.values()].flat().map((pod) => `${name}-${pod.metadata.labels?.[revisionLabel] ?? ''}`);
    truncateHistory(objects, set, new Set([...used, revision.metadata.name]), set.spec.revisionHistoryLimit ?? 10);
    if (failure !== undefined && !isNamespaceTerminating(failure)) throw failure;
  }

  #podsByNode(set: DaemonSet): Map<string, Pod[]> {
    const pods = claim<Pod>(this.#context, set, 'Pod', (pod) => selectsLabels(set.spec.selector, pod.metadata.labels));
    return Map.groupBy(pods, targetNode);
  }

  /** One pod on every node where one should be, none elsewhere; finished ones are replaced. */
  #manage(set: DaemonSet, hash: string): void {
    const { objects, clock } = this.#context;
    const byNode = this.#podsByNode(set);
    const surge = allowsSurge(set);
    for (const node of objects.list<KubeNode>('Node')) {
      const name = node.metadata?.name ?? '';
      const pods = byNode.get(name) ?? [];
      byNode.delete(name);
      const { run, stay } = placement(set, node);
      if (!stay) for (const pod of pods.filter((p) => !isPodTerminating(p))) this.#pods.delete(set, pod);
      else {
        const running = pods.filter((pod) => !isPodTerminating(pod) && !this.#replaceFinished(set, name, pod));
        if (run && (pods.length === 0 || (surge && running.length === 0))) this.#create(set, name, hash);
        else this.#prune(set, hash, running, surge, clock.now());
      }
    }
    // Pods of nodes that are gone are left to the pod garbage collector.
  }

  /** True when the pod has finished; it goes, a failed one after a back-off. */
  #replaceFinished(set: DaemonSet, node: string, pod: Pod): boolean {
    const { events, clock } = this.#context;
    const { namespace, name } = pod.metadata;
    if (pod.status?.phase === 'Succeeded') {
      events.record(
        component,
        set,
        'Normal',
        'SucceededDaemonPod',
        `Found succeeded daemon pod ${namespace}/${name} on node ${node}, will try to delete it`,
      );
      this.#pods.delete(set, pod);
      return true;
    }
    if (pod.status?.phase !== 'Failed') return false;
    const key = `${keyOf(set)}/${node}`;
    const now = clock.now();
    const before = this.#failed.get(key);
    const rest = before === undefined ? 0 : before.at + before.delayMs - now;
    if (rest > 0) {
      this.#queue.addAfter(keyOf(set), rest);
      return true;
    }
    const forgotten = before === undefined || rest < -2 * longestBackOffMs;
    this.#failed.set(key, {
      at: now,
      delayMs: forgotten ? firstBackOffMs : Math.min(longestBackOffMs, before.delayMs * 2),
    });
    events.record(
      component,
      set,
      'Warning',
      'FailedDaemonPod',
      `Found failed daemon pod ${namespace}/${name} on node ${node}, will try to kill it`,
    );
    this.#pods.delete(set, pod);
    return true;
  }

  /** Of several pods on one node the oldest stays; while surging an old and a new one may overlap. */
  #prune(set: DaemonSet, hash: string, running: readonly Pod[], surge: boolean, now: number): void {
    if (running.length <= 1) return;
    const ordered = oldestFirst(running);
    if (!surge) {
      for (const pod of ordered.slice(1)) this.#pods.delete(set, pod);
      return;
    }
    const fresh = ordered.find((pod) => isOf(pod, hash));
    const old = ordered.find((pod) => !isOf(pod, hash));
    for (const pod of ordered) if (pod !== fresh && pod !== old) this.#pods.delete(set, pod);
    if (fresh && old && (!isPodReady(old) || isPodAvailable(fresh, set.spec.minReadySeconds ?? 0, now)))
      this.#pods.delete(set, old);
  }

  /** Replaces pods of an older template, within maxUnavailable or maxSurge. */
  #update(set: DaemonSet, hash: string): void {
    const { objects, clock } = this.#context;
    const byNode = this.#podsByNode(set);
    const now = clock.now();
    const available = (pod: Pod) => isPodAvailable(pod, set.spec.minReadySeconds ?? 0, now);
    const targets = objects.list<KubeNode>('Node').filter((node) => placement(set, node).run);
    const surge = scaledValue(set.spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0, targets.length, 'up') ?? 0;
    const most = scaledValue(set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, targets.length, 'up') ?? 1;
    const maxUnavailable = surge === 0 ? Math.max(1, most) : most;
    let used = 0;
    const candidates: (() => void)[] = [];
    for (const node of targets) {
      const name = node.metadata?.name ?? '';
      const alive = (byNode.get(name) ?? []).filter((pod) => !isPodTerminating(pod));
      const old = alive.find((pod) => !isOf(pod, hash));
      const fresh = alive.find((pod) => isOf(pod, hash));
      const replace = surge > 0 ? () => this.#create(set, name, hash) : () => old && this.#pods.delete(set, old);
      if (surge === 0 && (old === undefined || fresh !== undefined)) used += fresh && !old && available(fresh) ? 0 : 1;
      else if (surge > 0 && fresh !== undefined) used += old === undefined || available(fresh) ? 0 : 1;
      else if (old !== undefined && !available(old)) {
        // It is missed already: replacing it costs nothing.
        if (surge === 0) used++;
        replace();
      } else if (old !== undefined) candidates.push(replace);
    }
    const left = Math.max(0, (surge > 0 ? surge : maxUnavailable) - used);
    for (const replace of candidates.slice(0, left)) replace();
  }

  #create(set: DaemonSet, node: string, hash: string): void {
    this.#pods.create(set, podFromTemplate(set, daemonTemplate(set, node, hash)));
  }

  #report(set: DaemonSet, hash: string, byNode: ReadonlyMap<string, readonly Pod[]>): void {
    const { objects, clock } = this.#context;
    const now = clock.now();
    const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, available: 0, updated: 0 };
    for (const node of objects.list<KubeNode>('Node')) {
      const [oldest] = oldestFirst(byNode.get(node.metadata?.name ?? '') ?? []);
      if (!placement(set, node).run) {
        if (oldest !== undefined) counts.misscheduled++;
        continue;
      }
      counts.desired++;
      if (oldest === undefined) continue;
      counts.current++;
      if (isOf(oldest, hash)) counts.updated++;
      if (!isPodReady(oldest)) continue;
      counts.ready++;
      if (isPodAvailable(oldest, set.spec.minReadySeconds ?? 0, now)) counts.available++;
    }
    const { collisionCount, conditions } = set.status ?? {};
    objects.updateStatus(set, {
      currentNumberScheduled: counts.current,
      numberMisscheduled: counts.misscheduled,
      desiredNumberScheduled: counts.desired,
      numberReady: counts.ready,
      updatedNumberScheduled: counts.updated,
      numberAvailable: counts.available,
      numberUnavailable: counts.desired - counts.available,
      ...(set.metadata.generation !== undefined && { observedGeneration: set.metadata.generation }),
      ...(collisionCount !== undefined && { collisionCount }),
      ...(conditions && { conditions }),
    });
    if (counts.ready !== counts.available) this.#queue.addAfter(keyOf(set), (set.spec.minReadySeconds ?? 0) * 1000);
  }
}

function allowsSurge({ spec }: DaemonSet): boolean {
  const surge = spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0;
  return spec.updateStrategy?.type !== 'OnDelete' && surge !== 0 && surge !== '0' && surge !== '0%';
}

function isOf(pod: Pod, hash: string): boolean {
  return pod.metadata.labels?.[revisionLabel] === hash;
}

function oldestFirst(pods: readonly Pod[]): Pod[] {
  const time = ({ metadata }: Pod) => Date.parse(metadata.creationTimestamp ?? rfc3339(0));
  const scheduledFirst = ({ spec }: Pod) => (spec.nodeName ? 0 : 1);
  return [...pods].sort(
    (a, b) =>
      scheduledFirst(a) - scheduledFirst(b) || time(a) - time(b) || (a.metadata.name < b.metadata.name ? -1 : 1),
  );
}

/** The node that a daemon pod is on, or made for. */
function targetNode({ spec }: Pod): string {
  if (spec.nodeName) return spec.nodeName;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms?.[0]?.matchFields?.[0]?.values?.[0] ?? '';
}

/** Whether the set's pod should come to a node, and whether one that is there may stay (NodeShouldRunDaemonPod). */
function placement({ spec }: DaemonSet, node: KubeNode): { run: boolean; stay: boolean } {
  const template = spec.template.spec as PodSpec;
  const name = node.metadata?.name ?? '';
  if ((template.nodeName && template.nodeName !== name) || !matchesNodeAffinity(template, node))
    return { run: false, stay: false };
  const tolerations = daemonTolerations(template);
  const untolerated = (...effects: string[]) => untoleratedTaint(node.spec?.taints, tolerations, effects) !== undefined;
  return { run: !untolerated('NoSchedule', 'NoExecute'), stay: !untolerated('NoExecute') };
}

/** What every daemon pod tolerates (AddOrUpdateDaemonPodTolerations in pkg/controller/daemon/util/daemonset_util.go). */
export function daemonTolerations({ tolerations = [], hostNetwork }: PodSpec): Toleration[] {
  const standard = [
    ['not-ready', 'NoExecute'],
    ['unreachable', 'NoExecute'],
    ['disk-pressure', 'NoSchedule'],
    ['memory-pressure', 'NoSchedule'],
    ['pid-pressure', 'NoSchedule'],
    ['unschedulable', 'NoSchedule'],
    ...(hostNetwork === true ? [['network-unavailable', 'NoSchedule']] : []),
  ].map(([key, effect]): Toleration => ({
    key: `node.kubernetes.io/${key}`,
    operator: 'Exists',
    effect: effect as string,
  }));
  const same = (a: Toleration, b: Toleration) =>
    a.key === b.key && a.effect === b.effect && a.operator === b.operator && (a.value ?? '') === (b.value ?? '');
  return [...tolerations.filter((given) => !standard.some((own) => same(own, given))), ...standard];
}

/** The template with what makes it this node's (CreatePodTemplate, ReplaceDaemonSetPodNodeNameNodeAffinity). */
function daemonTemplate({ spec, metadata }: DaemonSet, node: string, hash: string): PodTemplate {
  const template = spec.template.spec as PodSpec;
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  const nodeAffinity = {
    ...template.affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] },
  };
  const generation = metadata.annotations?.['deprecated.daemonset.template.generation'];
  return {
    metadata: {
      ...spec.template.metadata,
      labels: {
        ...spec.template.metadata?.labels,
        [revisionLabel]: hash,
        ...(generation !== undefined && { 'pod-template-generation': generation }),
      },
    },
    spec: { ...template, affinity: { ...template.affinity, nodeAffinity }, tolerations: daemonTolerations(template) },
  };
}

/** A node's heartbeat changes nothing about where daemon pods go. */
function placementChanged(node: KubeNode, before: KubeNode): boolean {
  const facts = ({ metadata, spec }: KubeNode) => JSON.stringify([metadata?.labels, spec?.taints]);
  return facts(node) !== facts(before);
}
