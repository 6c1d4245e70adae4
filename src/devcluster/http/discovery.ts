/** What the server says about itself: its version, groups and resources, one by one or all at once. */
import { createHash } from 'node:crypto';

import { apiVersionOf, type Kind } from '../kinds/kind.ts';
import { groupVersions, kinds } from '../kinds/table.ts';

/** The Kubernetes version whose behaviour this is. */
export const version = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.3+anylet',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: `node${process.versions.node}`,
  compiler: 'v8',
  platform: `${process.platform === 'win32' ? 'windows' : process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};

const healthPaths = ['/healthz', '/livez', '/readyz'];
const storedVerbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

/** What there is at a path that is about the server itself; a string is plain text. Undefined: no such path. */
export function discover(path: string, serverAddress: string): object | string | undefined {
  const at = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
  if (healthPaths.some((health) => at === health || at.startsWith(`${health}/`))) return 'ok';
  const segments = at.split('/').slice(1);
  switch (at) {
    case '/':
      return { paths: rootPaths() };
    case '/version':
      return version;
    case '/api':
      return {
        kind: 'APIVersions',
        versions: ['v1'],
        serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
      };
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: [...namedGroups().keys()].map(apiGroup) };
    default:
      break;
  }
  if (segments[0] === 'api' && segments.length === 2) return resourceList('', segments[1] as string);
  if (segments[0] === 'apis' && segments.length === 3)
    return resourceList(segments[1] as string, segments[2] as string);
  if (segments[0] !== 'apis' || segments.length !== 2) return undefined;
  const group = segments[1] as string;
  return namedGroups().has(group) ? { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(group) } : undefined;
}

function rootPaths(): string[] {
  const versions = groupVersions().map((gv) => (gv.group === '' ? '/api/v1' : `/apis/${apiVersionOf(gv)}`));
  const groups = [...namedGroups().keys()].map((group) => `/apis/${group}`);
  return ['/api', '/apis', '/openapi/v2', '/openapi/v3', '/version', ...healthPaths, ...versions, ...groups].sort();
}

/** The API server lists groups by a priority that it knows of each; others come last. */
const groupOrder = [
  'apps',
  'events.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'autoscaling',
  'batch',
  'certificates.k8s.io',
  'networking.k8s.io',
  'policy',
  'rbac.authorization.k8s.io',
  'storage.k8s.io',
  'admissionregistration.k8s.io',
  'scheduling.k8s.io',
  'coordination.k8s.io',
  'node.k8s.io',
  'discovery.k8s.io',
];

/** The versions of each group but the core group, the newest first: it is the preferred one. */
function namedGroups(): Map<string, string[]> {
  const served = new Set(groupVersions().map(({ group }) => group));
  const groups = new Map<string, string[]>(groupOrder.filter((group) => served.has(group)).map((group) => [group, []]));
  for (const { group, version } of groupVersions())
    if (group !== '') groups.set(group, [...(groups.get(group) ?? []), version].sort().toReversed());
  return groups;
}

function apiGroup(group: string) {
  const versions = (namedGroups().get(group) ?? []).map((version) => ({
    groupVersion: `${group}/${version}`,
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function resourceList(group: string, version: string) {
  const resources = listed(group, version);
  if (resources.length === 0) return undefined;
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf({ group, version }), resources };
}

/** A resource or subresource as discovery lists it. */
interface Listed {
  readonly name: string;
  readonly singularName: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly storageVersionHash?: string;
}

function listed(group: string, version: string): Listed[] {
  return kinds
    .filter((kind) => kind.group === group && kind.version === version)
    .flatMap(resourcesOf)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function resourcesOf(kind: Kind): Listed[] {
  const { resource, singular, namespaced, shortNames, categories } = kind;
  const views = [...(kind.status ? ['status'] : []), ...Object.keys(kind.views ?? {})];
  const scale = { group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: ['get', 'patch', 'update'] };
  return [
    {
      name: resource,
      singularName: singular,
      namespaced,
      kind: kind.kind,
      verbs: kind.review ? ['create'] : storedVerbs,
      ...(shortNames && { shortNames }),
      ...(categories && { categories }),
      ...(!kind.review && { storageVersionHash: storageVersionHash(kind.storedAs?.kind ?? kind) }),
    },
    ...views.map((view) => ({
      name: `${resource}/${view}`,
      singularName: '',
      namespaced,
      kind: kind.kind,
      verbs: ['get', 'patch', 'update'],
    })),
    ...Object.entries({ ...kind.actions, ...(kind.scale && { scale }) }).map(([name, action]) => ({
      name: `${resource}/${name}`,
      singularName: '',
      namespaced,
      ...action,
    })),
  ];
}

/** Tells clients when the form in which a kind is stored changes (k8s.io/apiserver/pkg/endpoints/discovery). */
function storageVersionHash({ group, version, kind }: Kind): string {
  const digest = createHash('sha256').update(`${group}/${version}/${kind}`).digest();
  return digest.subarray(0, 8).toString('base64');
}

/** All groups with all that is in them at once (k8s.io/api/apidiscovery/v2), as kubectl asks for it. */
export function aggregatedDiscovery(path: '/api' | '/apis'): object {
  const groups = path === '/api' ? new Map([['', ['v1']]]) : namedGroups();
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: [...groups].map(([group, versions]) => ({
      metadata: group === '' ? {} : { name: group },
      versions: versions.map((version) => ({
        version,
        resources: aggregatedResources(group, version),
        freshness: 'Current',
      })),
    })),
  };
}

function aggregatedResources(group: string, version: string): object[] {
  const found = new Map<string, { subresources: object[]; [field: string]: unknown }>();
  for (const { name, singularName, namespaced, kind, verbs, shortNames, categories, ...other } of listed(
    group,
    version,
  )) {
    const [resource = '', subresource] = name.split('/');
    const responseKind = { group: other.group ?? '', version: other.version ?? '', kind };
    if (subresource !== undefined) found.get(resource)?.subresources.push({ subresource, responseKind, verbs });
    else
      found.set(resource, {
        resource,
        responseKind,
        scope: namespaced ? 'Namespaced' : 'Cluster',
        singularResource: singularName,
        verbs,
        ...(shortNames && { shortNames }),
        ...(categories && { categories }),
        subresources: [],
      });
  }
  return [...found.values()].map(({ subresources, ...rest }) =>
    subresources.length > 0 ? { ...rest, subresources } : rest,
  );
}
