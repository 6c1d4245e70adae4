/** The kinds that are questions: what is created is answered in its status and not stored. */
import { rfc3339 } from '../../core/clock.ts';
import { badRequest, fieldInvalid, invalid } from '../api-error.ts';
import type { JsonObject } from '../json.ts';
import type { Kind } from '../kinds/kind.ts';
import { apiVersionOf, schemaTypeOf } from '../kinds/kind.ts';
import { decode } from '../schema/decode.ts';
import type { Authenticator } from './authenticator.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import type { RbacAuthorizer } from './rbac-authorizer.ts';
import { compact } from './rbac-rules.ts';
import { issuer } from './service-account-tokens.ts';
import { nodeIdentity, type User } from './user.ts';

interface Spec {
  namespace?: string;
  token?: string;
  audiences?: string[];
  user?: string;
  groups?: string[];
  uid?: string;
  extra?: Record<string, string[]>;
  resourceAttributes?: {
    namespace?: string;
    verb?: string;
    group?: string;
    version?: string;
    resource?: string;
    subresource?: string;
    name?: string;
  };
  nonResourceAttributes?: { path?: string; verb?: string };
}

/** The real one forgets to name its kind too. */
const unnamed = { group: 'authorization.k8s.io', kind: '' };

/** Who asks, where and when. */
export interface Asker {
  readonly user: User;
  /** Of the request; absent for questions about the whole cluster. */
  readonly namespace: string | undefined;
  readonly nowMs: number;
}

/** What knows the answers. */
export interface ReviewSources {
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly rbac: RbacAuthorizer;
}

/** Answers a review. */
export function answerReview(kind: Kind, body: JsonObject, asker: Asker, sources: ReviewSources): JsonObject {
  const { value } = decode(schemaTypeOf(kind), body);
  const spec = (value['spec'] ?? {}) as unknown as Spec;
  const answer = (status: unknown, shownSpec: unknown = value['spec']) =>
    ({
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      metadata: value['metadata'] ?? {},
      ...(shownSpec !== undefined && { spec: shownSpec }),
      status,
    }) as unknown as JsonObject;
  switch (kind.kind) {
    case 'TokenReview':
      if (!spec.token) throw badRequest('token is required for TokenReview in authentication');
      return answer(reviewToken(spec, sources.authenticator));
    case 'SelfSubjectReview':
      return {
        ...answer({ userInfo: userInfo(asker.user) }),
        metadata: { creationTimestamp: rfc3339(asker.nowMs) },
      };
    case 'SelfSubjectAccessReview':
      return answer(reviewAccess(asker.user, spec, sources.authorizer));
    case 'SelfSubjectRulesReview':
      if (!spec.namespace) throw badRequest('no namespace on request');
      return answer(reviewRules(asker.user, spec.namespace, sources.rbac), {});
    default: {
      const { user = '', groups = [], uid, extra } = spec;
      if (user === '' && (groups ?? []).length === 0)
        throw invalid(unnamed, '', [fieldInvalid('spec.user', '', 'at least one of user or group must be specified')]);
      const within = spec.resourceAttributes?.namespace ?? '';
      if (kind.namespaced && spec.resourceAttributes !== undefined && within !== asker.namespace)
        throw invalid(unnamed, '', [
          fieldInvalid('spec.resourceAttributes.namespace', within, 'must match metadata.namespace'),
        ]);
      const about = {
        name: user,
        groups: groups ?? [],
        ...(uid !== undefined && { uid }),
        ...(extra !== undefined && { extra }),
      };
      return answer(reviewAccess(about, spec, sources.authorizer));
    }
  }
}

function reviewToken({ token = '', audiences }: Spec, authenticator: Authenticator) {
  const wanted = (audiences ?? []).length > 0 ? (audiences ?? []) : [issuer];
  const found = authenticator.byToken(token, wanted);
  if (found !== undefined) return { authenticated: true, user: userInfo(found.user), audiences: found.audiences };
  const own = authenticator.audiencesOf(token);
  const list = (items: readonly string[]) => `[${items.map((item) => JSON.stringify(item)).join(' ')}]`;
  return {
    user: {},
    error:
      own === undefined
        ? 'invalid bearer token'
        : `[invalid bearer token, token audiences ${list(own)} is invalid for the target audiences ${list(wanted)}]`,
  };
}

function reviewAccess(user: User, { resourceAttributes, nonResourceAttributes }: Spec, authorizer: Authorizer) {
  if (resourceAttributes === undefined && nonResourceAttributes === undefined)
    throw invalid(unnamed, '', [
      fieldInvalid(
        'spec.resourceAttributes',
        null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    ]);
  if (resourceAttributes !== undefined && nonResourceAttributes !== undefined) {
    const { path = '', verb = '' } = nonResourceAttributes;
    throw invalid(unnamed, '', [
      fieldInvalid(
        'spec.nonResourceAttributes',
        { Path: path, Verb: verb },
        'cannot be specified in combination with resourceAttributes',
      ),
    ]);
  }
  const { allowed, reason } = authorizer(user, attributesOf(resourceAttributes, nonResourceAttributes));
  return { allowed, ...(reason !== undefined && { reason }) };
}

/** What a user may do in a namespace, as `kubectl auth can-i --list` shows it. */
function reviewRules(user: User, namespace: string, rbac: RbacAuthorizer) {
  const { rules, errors } = rbac.rulesFor(user, namespace);
  if (nodeIdentity(user) !== undefined) errors.push('node authorizer does not support user rule resolution');
  return {
    resourceRules: compact(rules.filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length === 0)),
    nonResourceRules: rules.filter(({ nonResourceURLs }) => (nonResourceURLs ?? []).length > 0),
    incomplete: errors.length > 0,
    ...(errors.length > 0 && { evaluationError: errors.join(', ') }),
  };
}

function attributesOf(resource: Spec['resourceAttributes'], path: Spec['nonResourceAttributes']): Attributes {
  if (resource === undefined) return { verb: path?.verb ?? '', path: path?.path ?? '' };
  return {
    verb: resource.verb ?? '',
    group: resource.group ?? '',
    resource: resource.resource ?? '',
    subresource: resource.subresource || undefined,
    namespace: resource.namespace || undefined,
    name: resource.name || undefined,
  };
}

function userInfo({ name, uid, groups, extra }: User) {
  return { username: name, ...(uid !== undefined && { uid }), groups, ...(extra !== undefined && { extra }) };
}
