import type { GroupResource } from '../api-object.ts';
import type { Requirement } from '../selectors.ts';
import type { User } from './user.ts';

/** What a request does, as authorization sees it (k8s.io/apiserver/pkg/authorization/authorizer). */
export type Attributes =
  | {
      readonly verb: string;
      readonly group: string;
      readonly version?: string;
      readonly resource: string;
      readonly subresource?: string | undefined;
      readonly namespace?: string | undefined;
      readonly name?: string | undefined;
      readonly fields?: readonly Requirement[];
    }
  | { readonly verb: string; readonly path: string };

/** `reason` is shown to who is refused. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason?: string;
}

/** Decides whether a user may do something. */
export type Authorizer = (user: User, attributes: Attributes) => Decision;

/** A right given to a user or a group, in RBAC's terms; `*` stands for all. */
export interface Grant {
  /** User name or group; `system:serviceaccount:<ns>:<name>` for a service account. */
  readonly to: string;
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  /** `pods`, `pods/log`, `*`. */
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  /** Namespaces in which it holds; absent means the whole cluster. */
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

const discoveryPaths = [
  '/healthz',
  '/livez',
  '/readyz',
  '/version',
  '/version/',
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/openapi',
  '/openapi/*',
];

/** What Kubernetes' bootstrap policy gives to those that this control plane is concerned with. */
const bootstrapGrants: readonly Grant[] = [
  { to: 'system:masters', verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { to: 'system:masters', verbs: ['*'], nonResourceURLs: ['*'] },
  { to: 'system:authenticated', verbs: ['get'], nonResourceURLs: discoveryPaths },
  {
    to: 'system:unauthenticated',
    verbs: ['get'],
    nonResourceURLs: ['/healthz', '/livez', '/readyz', '/version', '/version/'],
  },
  {
    to: 'system:authenticated',
    verbs: ['create'],
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews'],
  },
  {
    to: 'system:authenticated',
    verbs: ['create'],
    apiGroups: ['authentication.k8s.io'],
    resources: ['selfsubjectreviews'],
  },
  {
    to: 'kube-apiserver-kubelet-client',
    verbs: ['get', 'list', 'watch', 'proxy'],
    apiGroups: [''],
    resources: ['nodes'],
  },
  {
    to: 'kube-apiserver-kubelet-client',
    verbs: ['*'],
    apiGroups: [''],
    resources: [
      'nodes/proxy',
      'nodes/metrics',
      'nodes/stats',
      'nodes/log',
      'nodes/pods',
      'nodes/healthz',
      'nodes/configz',
    ],
  },
];

/** Allows what the bootstrap policy or one of `grants` allows. */
export function grantsAuthorizer(grants: readonly Grant[]): Authorizer {
  const all = [...bootstrapGrants, ...grants];
  return (user, attributes) => ({
    allowed: all.some(
      (grant) => (grant.to === user.name || user.groups.includes(grant.to)) && covers(grant, attributes),
    ),
  });
}

/** Allows what any of `authorizers` allows; the first reason given is the reason. */
export function anyOf(...authorizers: readonly Authorizer[]): Authorizer {
  return (user, attributes) => {
    let reason: string | undefined;
    for (const authorize of authorizers) {
      const decision = authorize(user, attributes);
      if (decision.allowed) return decision;
      reason ??= decision.reason;
    }
    return { allowed: false, ...(reason !== undefined && { reason }) };
  };
}

/** How a refusal describes what was asked for (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go). */
export function refusalMessage(user: User, attributes: Attributes, reason: string | undefined): string {
  const why = reason === undefined ? '' : `: ${reason}`;
  if ('path' in attributes)
    return `User ${JSON.stringify(user.name)} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}${why}`;
  const { verb, group, resource, subresource, namespace } = attributes;
  const what = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${why}`;
}

export function resourceOf(attributes: Attributes): GroupResource {
  return 'path' in attributes
    ? { group: '', resource: '' }
    : { group: attributes.group, resource: attributes.resource };
}

function covers(grant: Grant, attributes: Attributes): boolean {
  if (!includes(grant.verbs, attributes.verb)) return false;
  if ('path' in attributes) {
    return (grant.nonResourceURLs ?? []).some(
      (url) => url === attributes.path || (url.endsWith('*') && attributes.path.startsWith(url.slice(0, -1))),
    );
  }
  const { group, resource, subresource, namespace, name } = attributes;
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  if (!includes(grant.apiGroups ?? [], group)) return false;
  if (
    !includes(grant.resources ?? [], full) &&
    !(subresource !== undefined && grant.resources?.includes(`*/${subresource}`))
  )
    return false;
  if (grant.namespaces !== undefined && !(namespace !== undefined && grant.namespaces.includes(namespace)))
    return false;
  return grant.resourceNames === undefined || (name !== undefined && grant.resourceNames.includes(name));
}

function includes(list: readonly string[], wanted: string): boolean {
  return list.includes('*') || list.includes(wanted);
}
