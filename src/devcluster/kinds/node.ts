import type { KubeNode } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, type FieldError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { qualifiedNameError } from '../names.ts';
import { validateCidr } from './network.ts';
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

  validate(object) {
    const { taints = [], podCIDRs = [] } = node(object).spec ?? {};
    const errors: FieldError[] = [];
    const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
    const seen = new Set<string>();
    for (const [i, { key, value = '', effect }] of taints.entries()) {
      const at = `metadata.taints[${i}]`;
      const wrong = qualifiedNameError(key);
      if (wrong !== undefined) errors.push(fieldInvalid(`${at}.key`, key, wrong));
      if (!effects.includes(effect)) errors.push(fieldNotSupported(`${at}.effect`, effect, effects));
      else if (seen.has(`${key}:${effect}`))
        errors.push({
          type: 'FieldValueDuplicate',
          field: at,
          message: `Duplicate value: ${JSON.stringify({ Key: key, Value: value, Effect: effect, TimeAdded: null })}: taints must be unique by key and effect pair`,
        });
      seen.add(`${key}:${effect}`);
    }
    for (const [i, cidr] of podCIDRs.entries()) errors.push(...validateCidr(cidr, `spec.podCIDRs[${i}]`));
    return errors;
  },
  validateUpdate(next, previous) {
    const before = node(previous).spec ?? {};
    const now = node(next).spec ?? {};
    const errors: FieldError[] = [];
    if ((before.podCIDRs ?? []).length > 0 && !equalJson(now.podCIDRs, before.podCIDRs))
      errors.push(fieldForbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid'));
    if (before.providerID && now.providerID !== before.providerID)
      errors.push(fieldForbidden('spec.providerID', 'node updates may not change providerID except from "" to valid'));
    return errors;
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
