/** The kinds that are questions: what is created is answered in its status and not stored. */
import { rfc3339 } from '../../core/clock.ts';
import { fieldInvalid, invalid } from '../api-error.ts';
import type { JsonObject } from '../json.ts';
import type { Kind } from '../kinds/kind.ts';
import { apiVersionOf } from '../kinds/kind.ts';
import { decode } from '../schema/decode.ts';
import type { Authenticator } from './authenticator.ts';
import type { Attributes, Authorizer } from './authorizer.ts';
import { issuer } from './service-account-tokens.ts';
import type { User } from './user.ts';

interface Spec {
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

/** Answers a review that `asker` creates. */
export function answerReview(
  kind: Kind,
  body: JsonObject,
  asker: User,
  nowMs: number,
  authenticator: Authenticator,
  authorizer: Authorizer,
): JsonObject {
  const { value } = decode(kind.kind, body);
  const spec = (value['spec'] ?? {}) as unknown as Spec;
  const answer = (status: unknown) =>
    ({
      kind: kind.kind,
      apiVersion: apiVersionOf(kind),
      metadata: {},
      ...(value['spec'] !== undefined && { spec: value['spec'] }),
      status,
    }) as unknown as JsonObject;
  switch (kind.kind) {
    case 'TokenReview':
      return answer(reviewToken(spec, authenticator));
    case 'SelfSubjectReview':
      return { ...answer({ userInfo: userInfo(asker) }), metadata: { creationTimestamp: rfc3339(nowMs) } };
    case 'SelfSubjectAccessReview':
      return answer(reviewAccess(asker, spec, authorizer));
    default: {
      const { user = '', groups = [], uid, extra } = spec;
      if (user === '' && groups.length === 0)
        throw invalid(unnamed, '', [fieldInvalid('spec.user', '', 'at least one of user or group must be specified')]);
      return answer(
        reviewAccess(
          { name: user, groups, ...(uid !== undefined && { uid }), ...(extra !== undefined && { extra }) },
          spec,
          authorizer,
        ),
      );
    }
  }
}

function reviewToken({ token = '', audiences = [] }: Spec, authenticator: Authenticator) {
  const found = authenticator.byToken(token, audiences.length > 0 ? audiences : [issuer]);
  if (found === undefined) return { user: {}, error: 'invalid bearer token' };
  return { authenticated: true, user: userInfo(found.user), audiences: found.audiences };
}

function reviewAccess(user: User, { resourceAttributes, nonResourceAttributes }: Spec, authorizer: Authorizer) {
  if ((resourceAttributes === undefined) === (nonResourceAttributes === undefined)) {
    throw invalid(unnamed, '', [
      fieldInvalid(
        'spec.resourceAttributes',
        undefined,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    ]);
  }
  const { allowed, reason } = authorizer(user, attributesOf(resourceAttributes, nonResourceAttributes));
  return { allowed, ...(reason !== undefined && { reason }) };
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
