import type { KubeNode } from '../../core/objects.ts';
import { fieldForbidden } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { nullTimes } from './pod-defaults.ts';
import { ageOf } from './human-duration.ts';
import type { Column, Kind } from './kind.ts';

const node = (object: ApiObject) => object as unknown as KubeNode;
/** What a node has while it is not ready. */
export const notReadyTaint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' };

const emptyNodeInfo = {
  machineID: '',
  systemUUID: '',
  bootID: '',
  kernelVersion: '',
  osImage: '',
  containerRuntimeVersion: '',
  kubeletVersion: '',
  kubeProxyVersion: '',
  operatingSystem: '',
  architecture: '',
};

const rolePrefix = 'node-role.kubernetes.io/';

const columns: readonly Column[] = [
  { name: 'Name', format: 'name', cell: (o) => o.metadata.name },
  { name: 'Status', cell: (o) => statusText(node(o)) },
  { name: 'Roles', cell: (o) => roles(o) || '<none>' },
  { name: 'Age', cell: (o, now) => ageOf(o.metadata.creationTimestamp, now) },
  { name: 'Version', cell: (o) => node(o).status?.nodeInfo?.kubeletVersion ?? '' },
  { name: 'Internal-IP', priority: 1, cell: (o) => address(node(o), 'InternalIP') },
  { name: 'External-IP', priority: 1, cell: (o) => address(node(o), 'ExternalIP') },
  { name: 'OS-Image', priority: 1, cell: (o) => node(o).status?.nodeInfo?.osImage || '<unknown>' },
  { name: 'Kernel-Version', priority: 1, cell: (o) => kernel(node(o)) },
  {
    name: 'Container-Runtime',
    priority: 1,
    cell: (o) => node(o).status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
  },
];

/** Nodes; follows pkg/registry/core/node/strategy.go. A node may be created with its status. */
export const nodeKind: Kind = {
  group: '',
  version: 'v1',
  kind: 'Node',
  resource: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  namespaced: false,
  status: true,
  selectable: { 'spec.unschedulable': (o) => String(node(o).spec?.unschedulable ?? false) },
  columns,
  actions: { proxy: { kind: 'NodeProxyOptions', verbs: ['create', 'delete', 'get', 'patch', 'update'] } },

  defaults(draft) {
    const { status = {} } = draft as unknown as KubeNode;
    if (status.capacity !== undefined) status.allocatable ??= { ...status.capacity };
    status.daemonEndpoints ??= { kubeletEndpoint: { Port: 0 } };
    status.nodeInfo = { ...emptyNodeInfo, ...status.nodeInfo };
    nullTimes(status.conditions, ['lastHeartbeatTime', 'lastTransitionTime']);
    draft['status'] = status;
    draft['spec'] ??= {};
  },

  /** A node is not ready before it says so: the TaintNodesByCondition admission plugin. */
  prepareCreate(draft) {
    const spec = draft['spec'] as NonNullable<KubeNode['spec']>;
    if (spec.taints?.some((taint) => taint.key === notReadyTaint.key && taint.effect === notReadyTaint.effect)) return;
    spec.taints = [...(spec.taints ?? []), notReadyTaint];
  },

  validateUpdate(next, previous) {
    const before = node(previous).spec?.providerID;
    return before && node(next).spec?.providerID !== before
      ? [fieldForbidden('spec.providerID', 'node updates may not change providerID except from "" to valid')]
      : [];
  },
};

function statusText({ spec, status }: KubeNode): string {
  const ready = status?.conditions?.find((c) => c.type === 'Ready');
  const text = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable === true ? `${text},SchedulingDisabled` : text;
}

function roles(object: ApiObject): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(object.metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix)) found.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') found.add(value);
  }
  return [...found].sort().join(',');
}

function address({ status }: KubeNode, type: string): string {
  return status?.addresses?.find((a) => a.type === type)?.address ?? '<none>';
}

function kernel({ status }: KubeNode): string {
  const { kernelVersion, architecture } = status?.nodeInfo ?? {};
  return `${kernelVersion || '<unknown>'}${architecture ? ` (${architecture})` : ''}`;
}
