import { isIPv4 } from 'node:net';
import type { Service } from '../../core/objects.ts';
import { fieldInvalid, fieldRequired, invalid, type FieldError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import type { ResourceStore } from '../store.ts';
import { ageOf } from './human-duration.ts';
import type { Kind } from './kind.ts';

type ServiceSpec = NonNullable<Service['spec']>;

const service = (object: ApiObject) => object as unknown as Service;
const services = { group: '', resource: 'services' };
const nodePorts = { first: 30_000, last: 32_767 };

/** Services: a cluster IP and node ports are allocated, nothing routes to them. */
export const serviceKind: Kind = {
  group: '',
  version: 'v1',
  kind: 'Service',
  resource: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  status: true,
  returnsDeleted: true,
  names: 'label',
  selectable: {
    'spec.clusterIP': (o) => service(o).spec?.clusterIP ?? '',
    'spec.type': (o) => service(o).spec?.type ?? '',
  },
  columns: [
    { name: 'Name', format: 'name', cell: (o) => o.metadata.name },
    { name: 'Type', cell: (o) => service(o).spec?.type ?? '' },
    { name: 'Cluster-IP', cell: (o) => service(o).spec?.clusterIP || '<none>' },
    { name: 'External-IP', cell: (o) => externalIP(service(o)) },
    { name: 'Port(s)', cell: (o) => ports(service(o)) },
    { name: 'Age', cell: (o, now) => ageOf(o.metadata.creationTimestamp, now) },
    {
      name: 'Selector',
      priority: 1,
      cell: (o) =>
        Object.entries(service(o).spec?.selector ?? {})
          .map(([k, v]) => `${k}=${v}`)
          .sort()
          .join(',') || '<none>',
    },
  ],

  defaults(draft) {
    const spec = ((draft as unknown as Service).spec ??= {});
    spec.type ??= 'ClusterIP';
    spec.sessionAffinity ??= 'None';
    if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster';
    if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') spec.externalTrafficPolicy ??= 'Cluster';
    if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true;
    for (const port of spec.ports ?? []) {
      port.protocol ??= 'TCP';
      port.targetPort ||= port.port;
    }
  },

  prepareCreate(draft, { store }) {
    const { metadata, spec = {} } = draft as unknown as Service;
    allocate(spec, metadata?.name ?? '', store);
    draft['status'] = { loadBalancer: {} };
  },

  prepareUpdate(next, previous) {
    const spec = service(next).spec as ServiceSpec;
    const before = service(previous).spec as ServiceSpec;
    // What was allocated stays when an update does not name it.
    if (spec.type === 'ExternalName') return;
    if (before.clusterIP !== undefined) spec.clusterIP ??= before.clusterIP;
    if (before.clusterIPs !== undefined) spec.clusterIPs ??= before.clusterIPs;
    if (before.ipFamilies !== undefined) spec.ipFamilies ??= before.ipFamilies;
    if (before.ipFamilyPolicy !== undefined) spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
    for (const port of spec.ports ?? []) {
      const same = before.ports?.find((p) => p.port === port.port && p.protocol === port.protocol)?.nodePort;
      if (same !== undefined && spec.type !== 'ClusterIP') port.nodePort ??= same;
    }
  },

  validate(object) {
    const { spec } = service(object);
    const errors: FieldError[] = [];
    if ((spec?.ports ?? []).length === 0 && spec?.type !== 'ExternalName' && spec?.clusterIP !== 'None')
      errors.push(fieldRequired('spec.ports'));
    for (const [i, port] of (spec?.ports ?? []).entries()) {
      if ((spec?.ports ?? []).length > 1 && !port.name) errors.push(fieldRequired(`spec.ports[${i}].name`));
      if (!(port.port >= 1 && port.port <= 65535))
        errors.push(fieldInvalid(`spec.ports[${i}].port`, port.port ?? 0, 'must be between 1 and 65535, inclusive'));
    }
    return errors;
  },

  validateUpdate(next, previous) {
    const before = service(previous).spec?.clusterIP;
    const now = service(next).spec?.clusterIP;
    return before && service(next).spec?.type !== 'ExternalName' && now !== before
      ? [fieldInvalid('spec.clusterIPs[0]', now, 'may not change once set')]
      : [];
  },
};

function allocate(spec: ServiceSpec, name: string, store: ResourceStore): void {
  if (spec.type === 'ExternalName') return;
  const all = store.list(services).map((o) => service(o).spec);
  const used = new Set(all.map((other) => other?.clusterIP));
  if (spec.clusterIP === undefined || spec.clusterIP === '') {
    for (let i = 1; i < 65_535 && !spec.clusterIP; i++) {
      const ip = `10.96.${i >> 8}.${i & 255}`;
      if (!used.has(ip)) spec.clusterIP = ip;
    }
  } else if (spec.clusterIP !== 'None') {
    const wrong = !isIPv4(spec.clusterIP)
      ? 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
      : used.has(spec.clusterIP)
        ? 'failed to allocate IP: provided IP is already allocated'
        : undefined;
    if (wrong !== undefined)
      throw invalid({ group: '', kind: 'Service' }, name, [fieldInvalid('spec.clusterIPs', [spec.clusterIP], wrong)]);
  }
  spec.clusterIPs ??= [spec.clusterIP as string];
  // Who manages the endpoints of a headless service without a selector may give it both families.
  const bothFamilies = spec.clusterIP === 'None' && spec.selector === undefined;
  spec.ipFamilies ??= bothFamilies ? ['IPv4', 'IPv6'] : ['IPv4'];
  spec.ipFamilyPolicy ??= bothFamilies ? 'RequireDualStack' : 'SingleStack';
  if (spec.type !== 'NodePort' && spec.type !== 'LoadBalancer') return;
  const taken = new Set(all.flatMap((other) => (other?.ports ?? []).map((p) => p.nodePort)));
  for (const port of spec.ports ?? []) {
    for (let candidate = nodePorts.first; port.nodePort === undefined && candidate <= nodePorts.last; candidate++) {
      if (!taken.has(candidate)) port.nodePort = candidate;
    }
    taken.add(port.nodePort);
  }
}

function externalIP({ spec, status }: Service): string {
  if (spec?.type === 'ExternalName') return spec.externalName ?? '';
  const balanced = (status?.loadBalancer?.ingress ?? []).map((i) => i.ip ?? i.hostname ?? '');
  const all = [...balanced, ...(spec?.externalIPs ?? [])];
  return all.length > 0 ? all.join(',') : spec?.type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function ports({ spec }: Service): string {
  return (
    (spec?.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`).join(',') ||
    '<none>'
  );
}
