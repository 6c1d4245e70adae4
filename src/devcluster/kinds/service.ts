import { isIP } from 'node:net';
import type { Service } from '../../core/objects.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired, invalid, type FieldError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { validateLabels } from '../draft.ts';
import { equalJson } from '../json.ts';
import { nameError } from '../names.ts';
import type { ResourceStore } from '../store.ts';
import { oneOf } from './container-validation.ts';
import { portError, portNameError } from './field-formats.ts';
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
    if (spec.sessionAffinity === 'ClientIP') spec.sessionAffinityConfig ??= { clientIP: { timeoutSeconds: 10_800 } };
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
    if (spec.type === 'ExternalName') {
      // What the type no longer needs goes, unless the update has chosen it anew (dropTypeDependentFields).
      if (before.type === 'ExternalName') return;
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'] as const)
        if (equalJson(spec[field], before[field])) delete spec[field];
    } else {
      // What was allocated stays when an update does not name it.
      if (before.clusterIP !== undefined) spec.clusterIP ??= before.clusterIP;
      if (before.clusterIPs !== undefined) spec.clusterIPs ??= before.clusterIPs;
      if (before.ipFamilies !== undefined) spec.ipFamilies ??= before.ipFamilies;
      if (before.ipFamilyPolicy !== undefined) spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
    }
    const exposed = isExposed(spec);
    if (!exposed && isExposed(before) && spec.externalTrafficPolicy === before.externalTrafficPolicy)
      delete spec.externalTrafficPolicy;
    for (const port of spec.ports ?? []) {
      const same = before.ports?.find((p) => p.port === port.port && p.protocol === port.protocol)?.nodePort;
      if (exposed && same !== undefined) port.nodePort ??= same;
      else if (!exposed && port.nodePort !== undefined && port.nodePort === same) delete port.nodePort;
    }
  },

  prepareStatus(next) {
    for (const ingress of service(next).status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP';
  },

  validate: (object) => validateService(service(object).spec ?? {}),

  validateUpdate(next, previous) {
    const before = service(previous).spec?.clusterIP;
    const now = service(next).spec?.clusterIP;
    return before && service(next).spec?.type !== 'ExternalName' && now !== before
      ? [fieldInvalid('spec.clusterIPs[0]', service(next).spec?.clusterIPs ?? [now], 'may not change once set')]
      : [];
  },
};

function isExposed({ type }: ServiceSpec): boolean {
  return type === 'NodePort' || type === 'LoadBalancer';
}

function validateService(spec: ServiceSpec): FieldError[] {
  const errors: FieldError[] = [];
  const { ports: list = [], type = '', clusterIP, clusterIPs, sessionAffinity, selector, externalName } = spec;
  if (list.length === 0 && type !== 'ExternalName' && clusterIP !== 'None') errors.push(fieldRequired('spec.ports'));
  const names = new Set<string>();
  const seen = new Set<string>();
  for (const [i, port] of list.entries()) {
    const at = `spec.ports[${i}]`;
    const { name, protocol = 'TCP', targetPort } = port;
    if (list.length > 1 && !name) errors.push(fieldRequired(`${at}.name`));
    const wrongName = name ? nameError(name, 'label') : undefined;
    if (wrongName !== undefined) errors.push(fieldInvalid(`${at}.name`, name, wrongName));
    else if (name && names.has(name)) errors.push(fieldDuplicate(`${at}.name`, name));
    if (name) names.add(name);
    const wrongPort = portError(port.port ?? 0);
    if (wrongPort !== undefined) errors.push(fieldInvalid(`${at}.port`, port.port ?? 0, wrongPort));
    errors.push(...oneOf(`${at}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']));
    const wrongTarget = typeof targetPort === 'string' ? portNameError(targetPort) : portError(targetPort ?? 0);
    if (wrongTarget !== undefined) errors.push(fieldInvalid(`${at}.targetPort`, targetPort ?? 0, wrongTarget));
  }
  errors.push(...validateLabels(selector, 'spec.selector'));
  errors.push(...oneOf('spec.sessionAffinity', sessionAffinity, ['ClientIP', 'None']));
  errors.push(...oneOf('spec.type', type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']));
  if (type === 'ExternalName') {
    const wrong = externalName ? nameError(externalName.replace(/\.$/, ''), 'subdomain') : undefined;
    if (!externalName) errors.push(fieldRequired('spec.externalName'));
    else if (wrong !== undefined) errors.push(fieldInvalid('spec.externalName', externalName, wrong));
  }
  for (const [i, { port, protocol = 'TCP', nodePort }] of list.entries()) {
    const key = `${port}/${protocol}`;
    if (seen.has(key)) {
      const shown = { Name: '', Protocol: protocol, AppProtocol: null, Port: port, TargetPort: 0, NodePort: 0 };
      errors.push({
        type: 'FieldValueDuplicate',
        field: `spec.ports[${i}]`,
        message: `Duplicate value: ${JSON.stringify(shown)}`,
      });
    }
    seen.add(key);
    if (!isExposed(spec) && nodePort)
      errors.push(fieldForbidden(`spec.ports[${i}].nodePort`, "may not be used when `type` is 'ClusterIP'"));
  }
  for (const [i, ip] of (clusterIPs ?? []).entries())
    if (ip !== 'None' && isIP(ip) === 0)
      errors.push(
        fieldInvalid(`spec.clusterIPs[${i}]`, ip, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'),
      );
  return errors;
}

function allocate(spec: ServiceSpec, name: string, store: ResourceStore): void {
  if (spec.type === 'ExternalName') return;
  const all = store.list(services).map((o) => service(o).spec);
  const used = new Set(all.map((other) => other?.clusterIP));
  if (spec.clusterIP === undefined || spec.clusterIP === '') {
    for (let i = 1; i < 65_535 && !spec.clusterIP; i++) {
      const ip = `10.96.${i >> 8}.${i & 255}`;
      if (!used.has(ip)) spec.clusterIP = ip;
    }
  } else if (spec.clusterIP !== 'None' && isIP(spec.clusterIP) !== 0) {
    const why = used.has(spec.clusterIP)
      ? 'provided IP is already allocated'
      : spec.clusterIP.startsWith('10.')
        ? undefined
        : 'the provided network does not match the current range';
    if (why !== undefined)
      throw invalid({ group: '', kind: 'Service' }, name, [
        fieldInvalid('spec.clusterIPs', [spec.clusterIP], `failed to allocate IP ${spec.clusterIP}: ${why}`),
      ]);
  }
  spec.clusterIPs ??= [spec.clusterIP as string];
  // Who manages the endpoints of a headless service without a selector may give it both families.
  const bothFamilies = spec.clusterIP === 'None' && spec.selector === undefined;
  spec.ipFamilies ??= bothFamilies ? ['IPv4', 'IPv6'] : ['IPv4'];
  spec.ipFamilyPolicy ??= bothFamilies ? 'RequireDualStack' : 'SingleStack';
  if (spec.type !== 'NodePort' && spec.type !== 'LoadBalancer') return;
  const taken = new Set(all.flatMap((other) => (other?.ports ?? []).map((p) => p.nodePort)));
  for (const [i, { nodePort }] of (spec.ports ?? []).entries()) {
    if (!nodePort) continue;
    const why =
      nodePort < nodePorts.first || nodePort > nodePorts.last
        ? `provided port is not in the valid range. The range of valid ports is ${nodePorts.first}-${nodePorts.last}`
        : taken.has(nodePort)
          ? 'provided port is already allocated'
          : undefined;
    if (why !== undefined)
      throw invalid({ group: '', kind: 'Service' }, name, [fieldInvalid(`spec.ports[${i}].nodePort`, nodePort, why)]);
  }
  for (const port of spec.ports ?? []) {
    for (let candidate = nodePorts.first; port.nodePort === undefined && candidate <= nodePorts.last; candidate++) {
      if (!taken.has(candidate)) port.nodePort = candidate;
    }
    taken.add(port.nodePort);
  }
  if (spec.type !== 'LoadBalancer' || spec.externalTrafficPolicy !== 'Local' || spec.healthCheckNodePort) return;
  for (let candidate = nodePorts.first; !spec.healthCheckNodePort && candidate <= nodePorts.last; candidate++)
    if (!taken.has(candidate)) spec.healthCheckNodePort = candidate;
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
