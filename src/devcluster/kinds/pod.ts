import { rfc3339 } from '../../core/clock.ts';
import type { Container, Pod, PodCondition, PodStatus } from '../../core/objects.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { addDefaultTolerations, admitPod } from './pod-admission.ts';
import { podColumns, podRowConditions } from './pod-columns.ts';
import { defaultPodSpec, defaultPodStatus } from './pod-defaults.ts';
import { qosClassOf } from './pod-qos.ts';
import {
  podWarnings,
  validateNewPod,
  validatePod,
  validatePodStatus,
  validatePodUpdate,
  validateResize,
} from './pod-validation.ts';
import { validateEphemeralContainers } from './ephemeral-validation.ts';
import type { Kind } from './kind.ts';

/** Pods; follows pkg/registry/core/pod/strategy.go. */
export const podKind: Kind = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  resource: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  status: true,
  generation: true,
  returnsDeleted: true,
  selectable: {
    'spec.nodeName': (o) => asPod(o).spec.nodeName ?? '',
    'spec.restartPolicy': (o) => asPod(o).spec.restartPolicy ?? '',
    'spec.schedulerName': (o) => asPod(o).spec.schedulerName ?? '',
    'spec.serviceAccountName': (o) => asPod(o).spec.serviceAccountName ?? '',
    'spec.hostNetwork': (o) => String(asPod(o).spec.hostNetwork ?? false),
    'status.phase': (o) => asPod(o).status?.phase ?? '',
    'status.podIP': (o) => asPod(o).status?.podIPs?.[0]?.ip ?? '',
    'status.nominatedNodeName': (o) => asPod(o).status?.nominatedNodeName ?? '',
  },
  columns: podColumns,
  rowConditions: (o) => podRowConditions(asPod(o)),
  views: { ephemeralcontainers: keepAllButEphemeralContainers, resize: keepAllButResources },
  actions: {
    binding: { kind: 'Binding', verbs: ['create'] },
    eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
    log: { kind: 'Pod', verbs: ['get'] },
    exec: { kind: 'PodExecOptions', verbs: ['create', 'get'] },
    attach: { kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    portforward: { kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  },

  defaults(draft) {
    const pod = draft as unknown as { spec?: Pod['spec']; status?: PodStatus };
    defaultPodSpec((pod.spec ??= { containers: [] }));
    if (pod.status !== undefined) defaultPodStatus(pod.status);
  },

  prepareCreate(draft, { store, clock }) {
    const { metadata, spec } = draft as unknown as Pod;
    const { name, namespace, annotations } = metadata;
    const admitted = admitPod({ name, namespace, annotations, spec }, store);
    if (admitted !== undefined) draft.metadata.annotations = admitted;
    const status: PodStatus = { phase: 'Pending', qosClass: qosClassOf(spec) };
    if ((spec.schedulingGates ?? []).length > 0) {
      status.conditions = [
        {
          lastProbeTime: null,
          lastTransitionTime: rfc3339(clock.now()),
          message: 'Scheduling is blocked due to non-empty scheduling gates',
          reason: 'SchedulingGated',
          status: 'False',
          type: 'PodScheduled',
        } as unknown as PodCondition,
      ];
    }
    draft['status'] = status;
  },

  prepareUpdate(next) {
    addDefaultTolerations(asPod(next).spec);
  },

  prepareStatus(next, previous) {
    const status = (next['status'] ??= {}) as PodStatus;
    const before = asPod(previous);
    next.metadata = { ...next.metadata };
    setOrDelete(next.metadata, 'ownerReferences', before.metadata.ownerReferences);
    if (before.status?.qosClass !== undefined) status.qosClass ??= before.status.qosClass;
    preserveObservedGenerations(status, before.status);
  },

  validate: (object) => validatePod(asPod(object)),
  validateCreate: (object) => validateNewPod(asPod(object)),
  warnings: (object) => podWarnings(asPod(object).spec, 'spec'),
  validateUpdate: (next, previous) => validatePodUpdate(asPod(next), asPod(previous)),
  validateView: (next, previous, view) =>
    view === 'resize'
      ? validateResize(asPod(next), asPod(previous))
      : validateEphemeralContainers(asPod(next).spec, asPod(previous).spec),
  validateStatus: (next, previous) => validatePodStatus(asPod(next), asPod(previous)),

  gracePeriod(object, requested) {
    const { spec, status } = asPod(object);
    if (!spec.nodeName || status?.phase === 'Failed' || status?.phase === 'Succeeded') return 0;
    const period = requested ?? spec.terminationGracePeriodSeconds ?? 0;
    return period < 0 ? 1 : period;
  },
};

/** The pod behind an object of the pod kind. */
export function asPod(object: ApiObject | DraftObject): Pod {
  return object as unknown as Pod;
}

/** A status that does not name the generation it has seen keeps the one it named before. */
function preserveObservedGenerations(status: PodStatus, previous: PodStatus | undefined): void {
  if (!status.observedGeneration && previous?.observedGeneration)
    status.observedGeneration = previous.observedGeneration;
  for (const condition of status.conditions ?? []) {
    const before = previous?.conditions?.find((c) => c.type === condition.type)?.observedGeneration;
    if (!condition.observedGeneration && before) condition.observedGeneration = before;
  }
}

function keepAllButEphemeralContainers(next: ApiObject, previous: ApiObject): void {
  const added = asPod(next).spec.ephemeralContainers;
  const spec = { ...asPod(previous).spec };
  setOrDelete(spec, 'ephemeralContainers', added);
  keepAllButSpec(next, previous, spec);
}

function keepAllButResources(next: ApiObject, previous: ApiObject): void {
  const before = asPod(previous).spec;
  const wanted = asPod(next).spec;
  const resized = (list: Container[] | undefined, old: Container[] | undefined) =>
    old?.map((container) => {
      const { resources, resizePolicy } = list?.find((c) => c.name === container.name) ?? container;
      return { ...container, ...(resources && { resources }), ...(resizePolicy && { resizePolicy }) };
    });
  const spec = { ...before };
  setOrDelete(spec, 'containers', resized(wanted.containers, before.containers) ?? []);
  setOrDelete(spec, 'initContainers', resized(wanted.initContainers, before.initContainers));
  setOrDelete(spec, 'resources', wanted.resources);
  keepAllButSpec(next, previous, spec);
}

function keepAllButSpec(next: ApiObject, previous: ApiObject, spec: Pod['spec']): void {
  next.metadata = previous.metadata;
  next['spec'] = spec;
  next['status'] = previous['status'];
}

function setOrDelete<T extends object, K extends keyof T>(target: T, key: K, value: T[K] | undefined): void {
  if (value === undefined) delete target[key];
  else target[key] = value;
}
