/** What the server says about itself: versions, groups, resources, and enough OpenAPI for kubectl to trust its validation. */
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
  if (segments[0] === 'openapi' && segments[1] === 'v3') return openApi(segments.slice(2).join('/'));
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
      return {
        kind: 'APIGroupList',
        apiVersion: 'v1',
        groups: groupVersions()
          .filter(({ group }) => group !== '')
          .map(apiGroup),
      };
    default:
      break;
  }
  if (segments[0] === 'api' && segments.length === 2) return resourceList('', segments[1] as string);
  if (segments[0] === 'apis' && segments.length === 3)
    return resourceList(segments[1] as string, segments[2] as string);
  if (segments[0] !== 'apis' || segments.length !== 2) return undefined;
  const found = groupVersions().find(({ group }) => group !== '' && group === segments[1]);
  return found && { kind: 'APIGroup', apiVersion: 'v1', ...apiGroup(found) };
}

function rootPaths(): string[] {
  const versions = groupVersions().map((gv) => (gv.group === '' ? '/api/v1' : `/apis/${apiVersionOf(gv)}`));
  const groups = groupVersions()
    .filter(({ group }) => group !== '')
    .map(({ group }) => `/apis/${group}`);
  return ['/api', '/apis', '/openapi/v3', '/version', ...healthPaths, ...versions, ...new Set(groups)].sort();
}

function apiGroup({ group, version }: { group: string; version: string }) {
  const only = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [only], preferredVersion: only };
}

function resourceList(group: string, version: string) {
  const own = kinds.filter((kind) => kind.group === group && kind.version === version);
  if (own.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf({ group, version }),
    resources: own.flatMap(resources),
  };
}

function resources(kind: Kind): object[] {
  const { resource, singular, namespaced, shortNames, categories } = kind;
  const views = [...(kind.status ? ['status'] : []), ...Object.keys(kind.views ?? {})];
  return [
    {
      name: resource,
      singularName: singular,
      namespaced,
      kind: kind.kind,
      verbs: kind.review ? ['create'] : storedVerbs,
      ...(shortNames && { shortNames }),
      ...(categories && { categories }),
    },
    ...views.map((view) => ({
      name: `${resource}/${view}`,
      singularName: '',
      namespaced,
      kind: kind.kind,
      verbs: ['get', 'patch', 'update'],
    })),
    ...Object.entries(kind.actions ?? {}).map(([name, action]) => ({
      name: `${resource}/${name}`,
      singularName: '',
      namespaced,
      ...action,
    })),
  ];
}

/**
 * OpenAPI v3, one document for each group-version. It says of each kind only that its writes take `fieldValidation`:
 * that is what kubectl looks for before it leaves the validation to the server.
 */
function openApi(path: string): object | undefined {
  const known = new Map(
    groupVersions().map((gv) => [gv.group === '' ? `api/${gv.version}` : `apis/${apiVersionOf(gv)}`, gv]),
  );
  if (path === '')
    return {
      paths: Object.fromEntries([...known.keys()].map((key) => [key, { serverRelativeURL: `/openapi/v3/${key}` }])),
    };
  const wanted = known.get(path);
  if (wanted === undefined) return undefined;
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
    name,
    in: 'query',
    schema: { type: 'string', uniqueItems: true },
  }));
  const paths: Record<string, object> = {};
  for (const kind of kinds) {
    if (kind.group !== wanted.group || kind.version !== wanted.version || kind.review) continue;
    const operation = {
      parameters,
      'x-kubernetes-group-version-kind': { group: kind.group, version: kind.version, kind: kind.kind },
      responses: { 200: { description: 'OK' } },
    };
    const collection = `/${path}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.resource}`;
    paths[collection] = { post: { ...operation, 'x-kubernetes-action': 'post' } };
    paths[`${collection}/{name}`] = {
      put: { ...operation, 'x-kubernetes-action': 'put' },
      patch: { ...operation, 'x-kubernetes-action': 'patch' },
    };
  }
  return {
    openapi: '3.0.0',
    info: { title: 'anylet development cluster', version: version.gitVersion },
    paths,
    components: { schemas: {} },
  };
}
