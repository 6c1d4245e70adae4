/** What a path and a method ask for. Follows k8s.io/apiserver/pkg/endpoints/request/requestinfo.go. */

export interface ResourceRequest {
  readonly about: 'resource';
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What follows the subresource: the path that `proxy` forwards, with its leading slash. */
  readonly trail: string;
}

export interface PathRequest {
  readonly about: 'path';
  readonly verb: string;
  readonly path: string;
}

export type RequestInfo = ResourceRequest | PathRequest;

/** These follow a namespace's own name; any other word there is a resource in it. */
const namespaceSubresources = ['status', 'finalize'];

export function requestInfo(method: string, url: URL): RequestInfo {
  const path = url.pathname;
  const segments = path.split('/').slice(1);
  const grouped = segments[0] === 'apis';
  const prefix = grouped ? 3 : 2;
  if ((segments[0] !== 'api' && !grouped) || segments.length <= prefix || segments[prefix] === '')
    return { about: 'path', verb: method.toLowerCase(), path };

  const group = grouped ? (segments[1] ?? '') : '';
  const version = segments[prefix - 1] ?? '';
  let rest = segments.slice(prefix).map(decodeSegment);
  let namespace: string | undefined;
  if (rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== '' && !namespaceSubresources.includes(rest[2] ?? '')) {
    namespace = rest[1];
    rest = rest.slice(2);
  }
  const [resource = '', name, subresource] = rest;
  const trailStart = path.split('/', 1 + prefix + (namespace === undefined ? 0 : 2) + 3).join('/').length;
  const named = name || undefined;
  return {
    about: 'resource',
    verb: verbOf(method, named !== undefined, url.searchParams),
    group,
    version,
    resource,
    namespace,
    name: named,
    subresource: subresource || undefined,
    trail: path.slice(trailStart),
  };
}

/** The path with names replaced by placeholders, for counting: `/api/v1/namespaces/{namespace}/pods/{name}/status`. */
export function pathPattern(info: RequestInfo): string {
  if (info.about === 'path') return info.path;
  const { group, version, resource, namespace, name, subresource } = info;
  return [
    group === '' ? `/api/${version}` : `/apis/${group}/${version}`,
    ...(namespace === undefined ? [] : ['namespaces', '{namespace}']),
    resource,
    ...(name === undefined ? [] : ['{name}']),
    ...(subresource === undefined ? [] : [subresource]),
  ].join('/');
}

/** True when a query parameter asks for something: absent, `false` and `0` do not. */
export function isTrue(value: string | null): boolean {
  return value !== null && value !== 'false' && value !== '0';
}

function verbOf(method: string, named: boolean, query: URLSearchParams): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    case 'GET':
    case 'HEAD':
      return named ? 'get' : isTrue(query.get('watch')) ? 'watch' : 'list';
    default:
      return method.toLowerCase();
  }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
