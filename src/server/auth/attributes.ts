/** What a request wants to do, in the words of a SubjectAccessReview. The group is `""`, the version `v1`. */
export interface Attributes {
  readonly verb: string;
  readonly resource: 'nodes';
  readonly subresource: string;
  /** Name of the node. */
  readonly name: string;
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Subresources by path prefix, in the order in which they are tried; any that is allowed is enough. */
const subresources: readonly (readonly [prefix: string, subresources: readonly string[]])[] = [
  ['/stats', ['stats']],
  ['/metrics', ['metrics']],
  ['/logs', ['log']],
  ['/checkpoint', ['checkpoint']],
  ['/statusz', ['statusz']],
  ['/flagz', ['configz']],
  ['/pods', ['pods', 'proxy']],
  ['/runningpods', ['pods', 'proxy']],
  ['/healthz', ['healthz', 'proxy']],
  ['/configz', ['configz', 'proxy']],
];

/** Endpoints that act inside a pod. */
const acting = ['/exec', '/attach', '/portForward', '/run'];

/**
 * The attributes to ask about, in order (`pkg/kubelet/server/auth.go` with KubeletFineGrainedAuthz).
 *
 * One rule is stricter than the kubelet's: a WebSocket `GET` that acts inside a pod needs `create`, as the SPDY
 * `POST` does. The kubelet asks for `get` there, which lets whoever may read `nodes/proxy` run commands; the API
 * server itself has demanded `create` for these since 1.35.
 */
export function attributesOf(method: string, path: string, nodeName: string): readonly [Attributes, ...Attributes[]] {
  const verb = acting.some((prefix) => isUnder(path, prefix)) && method === 'GET' ? 'create' : (verbs[method] ?? '');
  const names = subresources.find(([prefix]) => isUnder(path, prefix))?.[1] ?? ['proxy'];
  const [first = 'proxy', ...rest] = names;
  const attributes = (subresource: string): Attributes => ({ verb, resource: 'nodes', subresource, name: nodeName });
  return [attributes(first), ...rest.map(attributes)];
}

function isUnder(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(`${prefix}/`);
}
