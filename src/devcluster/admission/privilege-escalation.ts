/**
 * Nobody gives away rights that they do not have. Follows pkg/registry/rbac/{role,rolebinding}/policybased and
 * ConfirmNoEscalation in pkg/registry/rbac/validation/rule.go.
 */
import { forbidden, notFound } from '../api-error.ts';
import type { Authorizer } from '../auth/authorizer.ts';
import type { RbacAuthorizer } from '../auth/rbac-authorizer.ts';
import { compact, ruleText, uncovered } from '../auth/rbac-rules.ts';
import type { User } from '../auth/user.ts';
import { equalJson } from '../json.ts';
import { asBinding, asRole, rbacGroup, type PolicyRule } from '../kinds/rbac.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const full: readonly PolicyRule[] = [
  { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
  { nonResourceURLs: ['*'], verbs: ['*'] },
];

/** `authorizer` decides who has the verbs `escalate` and `bind`. */
export function privilegeEscalation(rbac: RbacAuthorizer, authorizer: Authorizer): AdmissionPlugin {
  return {
    admit(request) {
      const { kind, user, object, operation } = request;
      if (user === undefined || object === undefined || operation === 'DELETE' || kind.group !== rbacGroup) return;
      if (user.groups.includes('system:masters')) return;
      if (kind.resource.endsWith('roles')) admitRole(request, user);
      else admitBinding(request, user);
    },
  };

  function admitRole(request: AdmissionRequest, user: User): void {
    const { kind, namespace, name, object, previous } = request;
    const { rules, aggregationRule } = asRole(object as NonNullable<typeof object>);
    const before = previous && asRole(previous);
    const sameRules = before !== undefined && equalJson(rules ?? [], before.rules ?? []);
    const sameAggregation = equalJson(aggregationRule, before?.aggregationRule);
    if (sameRules && sameAggregation) return;
    const { resource, group } = kind;
    if (authorizer(user, { verb: 'escalate', group, resource, namespace, name }).allowed) return;
    if (!sameAggregation && aggregationRule !== undefined) confirm(request, user, full);
    if (!sameRules) confirm(request, user, rules ?? []);
  }

  function admitBinding(request: AdmissionRequest, user: User): void {
    const { namespace, object, previous } = request;
    const { roleRef, subjects } = asBinding(object as NonNullable<typeof object>);
    const before = previous && asBinding(previous);
    if (before !== undefined && equalJson([roleRef, subjects ?? []], [before.roleRef, before.subjects ?? []])) return;
    const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
    if (authorizer(user, { verb: 'bind', group: rbacGroup, resource, namespace, name: roleRef.name }).allowed) return;
    const rules = rbac.rulesOf(roleRef, namespace);
    if (rules === undefined) throw notFound({ group: rbacGroup, resource }, roleRef.name);
    confirm(request, user, rules);
  }

  function confirm({ kind, name, namespace }: AdmissionRequest, user: User, wanted: readonly PolicyRule[]): void {
    const owned = rbac.rulesFor(user, namespace);
    const missing = compact(uncovered(owned.rules, wanted)).map(ruleText).sort();
    if (missing.length === 0) return;
    const groups = user.groups.map((group) => JSON.stringify(group)).join(' ');
    const unresolved = owned.errors.length > 0 ? `; resolution errors: [${owned.errors.join(', ')}]` : '';
    throw forbidden(
      kind,
      name,
      `user ${JSON.stringify(user.name)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${missing.join('\n')}${unresolved}`,
    );
  }
}
