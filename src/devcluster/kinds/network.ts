/** Kinds of networking and discovery; follows pkg/apis/{networking,discovery} and pkg/registry of both. */
import { isIP } from 'node:net';
import type {
  V1EndpointSlice,
  V1Endpoints,
  V1Ingress,
  V1IngressBackend,
  V1IngressClass,
  V1NetworkPolicy,
} from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { nameError } from '../names.ts';
import { ageColumn, listText, nameColumn, selectorText } from './columns.ts';
import { row, type Kind } from './kind.ts';

const endpoints = (o: ApiObject | DraftObject) => o as unknown as Wire<V1Endpoints>;
const slice = (o: ApiObject | DraftObject) => o as unknown as Wire<V1EndpointSlice>;
const ingress = (o: ApiObject | DraftObject) => o as unknown as Wire<V1Ingress>;
const ingressClass = (o: ApiObject | DraftObject) => o as unknown as Wire<V1IngressClass>;
const policy = (o: ApiObject | DraftObject) => o as unknown as Wire<V1NetworkPolicy>;
const shownItems = 3;
const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
const defaultClassAnnotation = 'ingressclass.kubernetes.io/is-default-class';

const endpointsKind = row({
  group: '',
  kind: 'Endpoints',
  resource: 'endpoints',
  shortNames: ['ep'],
  namespaced: true,
  columns: [nameColumn, { name: 'Endpoints', cell: (o) => addressesText(endpoints(o)) }, ageColumn],
  defaults(draft) {
    for (const { ports } of endpoints(draft).subsets ?? []) for (const port of ports ?? []) port.protocol ||= 'TCP';
  },
  warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  validate(object) {
    const errors: FieldError[] = [];
    for (const [i, { addresses, notReadyAddresses }] of (endpoints(object).subsets ?? []).entries()) {
      for (const [field, list] of Object.entries({ addresses, notReadyAddresses }))
        for (const [j, { ip }] of (list ?? []).entries())
          errors.push(...validateEndpointAddress(ip, `subsets[${i}].${field}[${j}].ip`));
    }
    return errors;
  },
});

function validateEndpointAddress(ip: string, at: string): FieldError[] {
  if (isIP(ip) === 0) return [fieldInvalid(at, ip, notAnAddress), fieldInvalid(at, ip, 'must be a valid IP address')];
  const refused = [
    [/^(0\.0\.0\.0|::)$/, `may not be unspecified (${ip})`],
    [/^(127\.|::1$)/, 'may not be in the loopback range (127.0.0.0/8, ::1/128)'],
    [/^(169\.254\.|fe80:)/i, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)'],
    [/^(224\.0\.0\.|ff02:)/i, 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)'],
  ] as const;
  return refused.filter(([range]) => range.test(ip)).map(([, why]) => fieldInvalid(at, ip, why));
}

function addressesText({ subsets = [] }: Wire<V1Endpoints>): string {
  if (subsets.length === 0) return '<none>';
  const bracketed = (ip: string) => (ip.includes(':') ? `[${ip}]` : ip);
  const all = subsets.flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => addresses.map(({ ip }) => `${bracketed(ip)}:${port}`)),
  );
  return listText(all, shownItems);
}

const endpointSliceKind = row({
  group: 'discovery.k8s.io',
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  namespaced: true,
  generation: true,
  columns: [
    nameColumn,
    { name: 'AddressType', cell: (o) => slice(o).addressType },
    {
      name: 'Ports',
      cell: (o) =>
        someText((slice(o).ports ?? []).map(({ port, name }) => (port === undefined ? (name ?? '*') : `${port}`))),
    },
    { name: 'Endpoints', cell: (o) => someText((slice(o).endpoints ?? []).flatMap(({ addresses }) => addresses)) },
    ageColumn,
  ],
  defaults(draft) {
    for (const port of slice(draft).ports ?? []) {
      port.name ??= '';
      port.protocol ??= 'TCP';
    }
  },
  validate(object) {
    const { addressType, endpoints: list } = slice(object);
    const types = ['FQDN', 'IPv4', 'IPv6'];
    if (addressType === '') return [fieldRequired('addressType')];
    if (!types.includes(addressType)) return [fieldNotSupported('addressType', addressType, types)];
    const family = { IPv4: 4, IPv6: 6 }[addressType];
    const errors: FieldError[] = [];
    for (const [i, { addresses }] of (list ?? []).entries()) {
      if ((addresses ?? []).length === 0)
        errors.push(fieldRequired(`endpoints[${i}].addresses`, 'must contain at least 1 address'));
      for (const [j, address] of (addresses ?? []).entries()) {
        const at = `endpoints[${i}].addresses[${j}]`;
        if (family === undefined) continue;
        if (isIP(address) === 0) errors.push(fieldInvalid(at, address, notAnAddress));
        else if (isIP(address) !== family) errors.push(fieldInvalid(at, address, `must be an ${addressType} address`));
      }
    }
    return errors;
  },
  validateUpdate: (next, previous) =>
    slice(next).addressType === slice(previous).addressType
      ? []
      : [fieldInvalid('addressType', slice(next).addressType, 'field is immutable')],
});

function someText(items: readonly string[]): string {
  return items.length === 0 ? '<unset>' : listText(items, shownItems);
}

const ingressKind = row({
  group: 'networking.k8s.io',
  kind: 'Ingress',
  resource: 'ingresses',
  shortNames: ['ing'],
  namespaced: true,
  status: true,
  generation: true,
  columns: [
    nameColumn,
    { name: 'Class', cell: (o) => ingress(o).spec?.ingressClassName ?? '<none>' },
    { name: 'Hosts', cell: (o) => hostsText(ingress(o)) },
    { name: 'Address', cell: (o) => balancers(ingress(o)) },
    { name: 'Ports', cell: (o) => ((ingress(o).spec?.tls ?? []).length > 0 ? '80, 443' : '80') },
    ageColumn,
  ],
  prepareCreate(draft, { store }) {
    draft['status'] = { loadBalancer: {} };
    const { spec, metadata } = ingress(draft);
    if (spec === undefined || spec.ingressClassName !== undefined) return;
    if (metadata?.annotations?.['kubernetes.io/ingress.class'] !== undefined) return;
    // The DefaultIngressClass admission plugin.
    const standard = store
      .list({ group: 'networking.k8s.io', resource: 'ingressclasses' })
      .find((candidate) => candidate.metadata.annotations?.[defaultClassAnnotation] === 'true');
    if (standard !== undefined) spec.ingressClassName = standard.metadata.name;
  },
  validate(object) {
    const { rules = [], defaultBackend, tls = [] } = ingress(object).spec ?? {};
    const errors: FieldError[] = [];
    if (rules.length === 0 && defaultBackend === undefined)
      return [fieldInvalid('spec', null, 'either `defaultBackend` or `rules` must be specified')];
    if (defaultBackend !== undefined) errors.push(...validateBackend(defaultBackend, 'spec.defaultBackend'));
    for (const [i, { host, http }] of rules.entries()) {
      const at = `spec.rules[${i}]`;
      errors.push(...validateHost(host, `${at}.host`));
      if (http === undefined) continue;
      if ((http.paths ?? []).length === 0) errors.push(fieldRequired(`${at}.http.paths`));
      for (const [j, { path = '', pathType, backend }] of (http.paths ?? []).entries()) {
        const here = `${at}.http.paths[${j}]`;
        const types = ['Exact', 'Prefix', 'ImplementationSpecific'];
        if (!pathType) {
          errors.push(fieldRequired(`${here}.pathType`, 'pathType must be specified'));
          continue;
        }
        if (!types.includes(pathType)) errors.push(fieldNotSupported(`${here}.pathType`, pathType, types));
        else if ((pathType !== 'ImplementationSpecific' || path !== '') && !path.startsWith('/'))
          errors.push(fieldInvalid(`${here}.path`, path, 'must be an absolute path'));
        errors.push(...validateBackend(backend, `${here}.backend`));
      }
    }
    for (const [i, { hosts = [] }] of tls.entries())
      for (const [j, host] of hosts.entries()) errors.push(...validateHost(host, `spec.tls[${i}].hosts[${j}]`));
    return errors;
  },
});

function validateHost(host: string | undefined, at: string): FieldError[] {
  if (!host) return [];
  if (isIP(host) !== 0) return [fieldInvalid(at, host, 'must be a DNS name, not an IP address')];
  const wrong = nameError(host.startsWith('*.') ? host.slice(2) : host, 'subdomain');
  return wrong === undefined ? [] : [fieldInvalid(at, host, wrong)];
}

function validateBackend({ service, resource }: Wire<V1IngressBackend>, at: string): FieldError[] {
  if (service === undefined)
    return resource === undefined ? [fieldRequired(at, 'either service or resource backend is required')] : [];
  if (resource !== undefined) return [fieldInvalid(at, '', 'cannot set both resource and service backends')];
  const errors: FieldError[] = [];
  if (!service.name) errors.push(fieldRequired(`${at}.service.name`));
  const { name, number } = service.port ?? {};
  if (!name && !number) return [...errors, fieldRequired(at, 'port name or number is required')];
  if (name && number) return [...errors, fieldInvalid(at, '', 'cannot set both port name & port number')];
  if (number !== undefined && (number < 0 || number > 65_535))
    errors.push(fieldInvalid(`${at}.service.port.number`, number, 'must be between 1 and 65535, inclusive'));
  return errors;
}

function hostsText({ spec }: Wire<V1Ingress>): string {
  const rules = spec?.rules ?? [];
  const hosts = rules.slice(0, shownItems).flatMap(({ host }) => (host ? [host] : []));
  if (hosts.length === 0) return '*';
  const more = rules.length - shownItems;
  return more > 0 ? `${hosts.join(',')} + ${more} more...` : hosts.join(',');
}

function balancers({ status }: Wire<V1Ingress>): string {
  const all = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '');
  return [...new Set(all.filter((address) => address !== ''))].sort().join(',');
}

const ingressClassKind = row({
  group: 'networking.k8s.io',
  kind: 'IngressClass',
  resource: 'ingressclasses',
  namespaced: false,
  generation: true,
  columns: [
    {
      ...nameColumn,
      cell: (o) =>
        o.metadata.annotations?.[defaultClassAnnotation] === 'true' ? `${o.metadata.name} (default)` : o.metadata.name,
    },
    { name: 'Controller', cell: (o) => ingressClass(o).spec?.controller ?? '' },
    {
      name: 'Parameters',
      cell: (o) => {
        const parameters = ingressClass(o).spec?.parameters;
        if (parameters === undefined) return '<none>';
        const { kind, apiGroup, name } = parameters;
        return `${kind}${apiGroup === undefined ? '' : `.${apiGroup}`}/${name}`;
      },
    },
    ageColumn,
  ],
  defaults(draft) {
    const parameters = ingressClass(draft).spec?.parameters;
    if (parameters !== undefined) parameters.scope ??= 'Cluster';
  },
  validate: (object) => (ingressClass(object).spec?.controller ? [] : [fieldRequired('spec.controller')]),
  validateUpdate(next, previous) {
    const controller = ingressClass(next).spec?.controller;
    return controller === ingressClass(previous).spec?.controller
      ? []
      : [fieldInvalid('spec.controller', controller, 'field is immutable')];
  },
});

const networkPolicyKind = row({
  group: 'networking.k8s.io',
  kind: 'NetworkPolicy',
  resource: 'networkpolicies',
  shortNames: ['netpol'],
  namespaced: true,
  generation: true,
  columns: [nameColumn, { name: 'Pod-Selector', cell: (o) => selectorText(policy(o).spec?.podSelector) }, ageColumn],
  defaults(draft) {
    const spec = policy(draft).spec;
    if (spec === undefined) return;
    if ((spec.policyTypes ?? []).length === 0)
      spec.policyTypes = (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
    for (const { ports } of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
      for (const port of ports ?? []) port.protocol ??= 'TCP';
  },
  validate(object) {
    const { ingress: into = [], egress = [], policyTypes = [] } = policy(object).spec ?? {};
    const errors: FieldError[] = [];
    const peers = [
      ...into.map(
        (rule, i) => [rule._from ?? (rule as { from?: typeof rule._from }).from, `spec.ingress[${i}].from`] as const,
      ),
      ...egress.map((rule, i) => [rule.to, `spec.egress[${i}].to`] as const),
    ];
    for (const [list, at] of peers) {
      for (const [i, { ipBlock, podSelector, namespaceSelector }] of (list ?? []).entries()) {
        const here = `${at}[${i}]`;
        const others = podSelector !== undefined || namespaceSelector !== undefined;
        if (ipBlock === undefined && !others) errors.push(fieldRequired(here, 'must specify a peer'));
        else if (ipBlock !== undefined && others)
          errors.push(fieldForbidden(here, 'may not specify both ipBlock and another peer'));
        if (ipBlock !== undefined) errors.push(...validateCidr(ipBlock.cidr, `${here}.ipBlock.cidr`));
      }
    }
    for (const [i, type] of policyTypes.entries())
      if (type !== 'Ingress' && type !== 'Egress')
        errors.push(fieldNotSupported(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress']));
    return errors;
  },
});

/** What is wrong with a block of addresses. */
export function validateCidr(cidr: string, at: string): FieldError[] {
  const [address = '', length = '', ...rest] = cidr.split('/');
  const family = isIP(address);
  const valid =
    family !== 0 && rest.length === 0 && /^\d+$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
  return valid ? [] : [fieldInvalid(at, cidr, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')];
}

export const networkKinds: readonly Kind[] = [
  endpointsKind,
  endpointSliceKind,
  ingressKind,
  ingressClassKind,
  networkPolicyKind,
];
