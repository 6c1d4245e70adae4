import type { GroupResource } from '../api-object.ts';
import type { Attributes } from './attributes.ts';
import { ruleAllows } from './rbac-rules.ts';
import type { User } from './user.ts';

export type { Attributes } from './attributes.ts';

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

/** Allows what one of `grants` allows. */
export function grantsAuthorizer(grants: readonly Grant[]): Authorizer {
  return (user, attributes) => ({
    allowed: grants.some(
      (grant) => (grant.to === user.name || user.groups.includes(grant.to)) && covers(grant, attributes),
    ),
  });
}

/** Allows what any of `authorizers` allows; a refusal gives the reasons of all. */
export function anyOf(...authorizers: readonly Authorizer[]): Authorizer {
  return (user, attributes) => {
    const reasons: string[] = [];
    for (const authorize of authorizers) {
      const decision = authorize(user, attributes);
      if (decision.allowed) return decision;
      if (decision.reason !== undefined) reasons.push(decision.reason);
    }
    return { allowed: false, ...(reasons.length > 0 && { reason: reasons.join('\n') }) };
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
  if (!ruleAllows(grant, attributes)) return false;
  const namespace = 'path' in attributes ? undefined : attributes.namespace;
  return grant.namespaces === undefined || (namespace !== undefined && grant.namespaces.includes(namespace));
}
