/** Who may do what by the stored roles and bindings. Follows plugin/pkg/auth/authorizer/rbac/rbac.go. */
import type { ApiObject } from '../api-object.ts';
import { asBinding, asRole, rbacGroup, type PolicyRule, type Subject } from '../kinds/rbac.ts';
import type { ResourceStore } from '../store.ts';
import type { Attributes, Authorizer, Decision } from './authorizer.ts';
import { ruleAllows } from './rbac-rules.ts';
import type { User } from './user.ts';

/** A role that somebody has, through a binding. */
interface Held {
  readonly rules: readonly PolicyRule[];
  /** `RoleBinding "a/ns" of Role "r" to User "u"`, made only when somebody asks. */
  readonly by: () => string;
}

const serviceAccountPrefix = 'system:serviceaccount:';

/** Evaluates the RBAC objects of a store. */
export class RbacAuthorizer {
  readonly #store: ResourceStore;

  constructor(store: ResourceStore) {
    this.#store = store;
  }

  readonly authorize: Authorizer = (user, attributes): Decision => {
    const errors: string[] = [];
    const namespace = 'path' in attributes ? undefined : attributes.namespace;
    for (const { rules, by } of this.#held(user, namespace, errors)) {
      if (rules.some((rule) => ruleAllows(rule, attributes)))
        return { allowed: true, reason: `RBAC: allowed by ${by()}` };
    }
    if (errors.length === 0) return { allowed: false };
    return { allowed: false, reason: `RBAC: ${errors.length === 1 ? errors[0] : `[${errors.join(', ')}]`}` };
  };

  /** All rules that hold for a user in a namespace, or in the whole cluster only. */
  rulesFor(user: User, namespace: string | undefined): { rules: PolicyRule[]; errors: string[] } {
    const errors: string[] = [];
    const rules = [...this.#held(user, namespace, errors)].flatMap((held) => held.rules);
    return { rules, errors };
  }

  /** The rules of the role that a binding in `namespace` (undefined: of the cluster) refers to. */
  rulesOf(roleRef: { kind: string; name: string }, namespace: string | undefined): readonly PolicyRule[] | undefined {
    const role =
      roleRef.kind === 'Role'
        ? this.#store.get({ group: rbacGroup, resource: 'roles' }, namespace, roleRef.name)
        : this.#store.get({ group: rbacGroup, resource: 'clusterroles' }, undefined, roleRef.name);
    return role && (asRole(role).rules ?? []);
  }

  *#held(user: User, namespace: string | undefined, errors: string[]): Iterable<Held> {
    yield* this.#heldBy(
      this.#store.list({ group: rbacGroup, resource: 'clusterrolebindings' }),
      user,
      undefined,
      errors,
    );
    if (namespace !== undefined)
      yield* this.#heldBy(
        this.#store.list({ group: rbacGroup, resource: 'rolebindings' }, namespace),
        user,
        namespace,
        errors,
      );
  }

  *#heldBy(
    bindings: readonly ApiObject[],
    user: User,
    namespace: string | undefined,
    errors: string[],
  ): Iterable<Held> {
    for (const object of bindings) {
      const { subjects, roleRef } = asBinding(object);
      const subject = (subjects ?? []).find((candidate) => isSubject(candidate, user, namespace));
      if (subject === undefined) continue;
      const rules = this.rulesOf(roleRef, namespace);
      if (rules === undefined) {
        errors.push(`${roleRef.kind.toLowerCase()}.${rbacGroup} ${JSON.stringify(roleRef.name)} not found`);
        continue;
      }
      const { name } = object.metadata;
      const binding = JSON.stringify(namespace === undefined ? name : `${name}/${namespace}`);
      yield {
        rules,
        by: () =>
          `${object.kind} ${binding} of ${roleRef.kind} ${JSON.stringify(roleRef.name)} to ${subjectText(subject, namespace)}`,
      };
    }
  }
}

function isSubject({ kind, name, namespace }: Subject, user: User, within: string | undefined): boolean {
  switch (kind) {
    case 'User':
      return user.name === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount':
      return user.name === `${serviceAccountPrefix}${namespace || within}:${name}`;
    default:
      return false;
  }
}

function subjectText({ kind, name, namespace }: Subject, within: string | undefined): string {
  return `${kind} ${JSON.stringify(kind === 'ServiceAccount' ? `${name}/${namespace || within}` : name)}`;
}

/** Allows `system:masters` everything, whatever the stored objects say. */
export const mastersAuthorizer: Authorizer = ({ groups }: User, _attributes: Attributes) => ({
  allowed: groups.includes('system:masters'),
});
