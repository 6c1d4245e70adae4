/** Roles and bindings; follows pkg/apis/rbac (defaults, validation) and pkg/registry/rbac. */
import type { RbacV1Subject, V1ClusterRole, V1PolicyRule, V1Role, V1RoleBinding } from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { nameError } from '../names.ts';
import { ageColumn, nameColumn } from './columns.ts';
import { row, type Column, type Kind } from './kind.ts';

export const rbacGroup = 'rbac.authorization.k8s.io';

export type PolicyRule = Wire<V1PolicyRule>;
export type Subject = Wire<RbacV1Subject>;
/** A Role or a ClusterRole. */
export type Role = Wire<V1Role> & Pick<Wire<V1ClusterRole>, 'aggregationRule'>;
/** A RoleBinding or a ClusterRoleBinding. */
export type Binding = Wire<V1RoleBinding>;

/** The role behind an object of one of the role kinds. */
export function asRole(object: ApiObject | DraftObject): Role {
  return object;
}

/** The binding behind an object of one of the binding kinds. */
export function asBinding(object: ApiObject | DraftObject): Binding {
  return object as unknown as Binding;
}

const bindingColumns: readonly Column[] = [
  nameColumn,
  { name: 'Role', cell: (o) => `${asBinding(o).roleRef.kind}/${asBinding(o).roleRef.name}` },
  ageColumn,
  subjectsColumn('Users', 'User', ({ name }) => name),
  subjectsColumn('Groups', 'Group', ({ name }) => name),
  subjectsColumn('ServiceAccounts', 'ServiceAccount', ({ namespace, name }) => `${namespace ?? ''}/${name}`),
];

function subjectsColumn(name: string, kind: string, text: (subject: Subject) => string): Column {
  return {
    name,
    priority: 1,
    cell: (o) =>
      (asBinding(o).subjects ?? [])
        .filter((subject) => subject.kind === kind)
        .map(text)
        .join(', '),
  };
}

function validateRules(rules: readonly PolicyRule[] | null | undefined, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, { verbs, nonResourceURLs = [], apiGroups = [], resources = [], resourceNames = [] }] of (
    rules ?? []
  ).entries()) {
    const at = `rules[${i}]`;
    if ((verbs ?? []).length === 0) errors.push(fieldRequired(`${at}.verbs`, 'verbs must contain at least one value'));
    if (nonResourceURLs.length > 0) {
      if (namespaced)
        errors.push(
          fieldInvalid(`${at}.nonResourceURLs`, nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'),
        );
      if (apiGroups.length + resources.length + resourceNames.length > 0)
        errors.push(
          fieldInvalid(
            `${at}.nonResourceURLs`,
            nonResourceURLs,
            'rules cannot apply to both regular resources and non-resource URLs',
          ),
        );
      continue;
    }
    if (apiGroups.length === 0)
      errors.push(fieldRequired(`${at}.apiGroups`, 'resource rules must supply at least one api group'));
    if (resources.length === 0)
      errors.push(fieldRequired(`${at}.resources`, 'resource rules must supply at least one resource'));
  }
  return errors;
}

function defaultBinding(draft: DraftObject): void {
  const binding = asBinding(draft);
  binding.roleRef.apiGroup ||= rbacGroup;
  for (const subject of binding.subjects ?? [])
    if (subject.apiGroup === undefined && (subject.kind === 'User' || subject.kind === 'Group'))
      subject.apiGroup = rbacGroup;
}

function validateBinding(object: ApiObject, roleKinds: readonly string[]): FieldError[] {
  const { roleRef, subjects, metadata } = asBinding(object);
  const errors: FieldError[] = [];
  if (roleRef.apiGroup !== rbacGroup) errors.push(fieldNotSupported('roleRef.apiGroup', roleRef.apiGroup, [rbacGroup]));
  if (!roleKinds.includes(roleRef.kind)) errors.push(fieldNotSupported('roleRef.kind', roleRef.kind, roleKinds));
  if (!roleRef.name) errors.push(fieldRequired('roleRef.name'));
  else {
    const wrong = nameError(roleRef.name, 'path');
    if (wrong !== undefined) errors.push(fieldInvalid('roleRef.name', roleRef.name, wrong));
  }
  for (const [i, subject] of (subjects ?? []).entries())
    errors.push(...validateSubject(subject, `subjects[${i}]`, metadata?.namespace === undefined));
  return errors;
}

function validateSubject(subject: Subject, at: string, clusterWide: boolean): FieldError[] {
  const errors: FieldError[] = [];
  const { kind, name, namespace, apiGroup = '' } = subject;
  if (!name) errors.push(fieldRequired(`${at}.name`));
  if (kind === 'ServiceAccount') {
    const wrong = name ? nameError(name, 'subdomain') : undefined;
    if (wrong !== undefined) errors.push(fieldInvalid(`${at}.name`, name, wrong));
    if (apiGroup !== '') errors.push(fieldNotSupported(`${at}.apiGroup`, apiGroup, ['']));
    if (!namespace && clusterWide) errors.push(fieldRequired(`${at}.namespace`));
  } else if (kind === 'User' || kind === 'Group') {
    if (apiGroup !== rbacGroup) errors.push(fieldNotSupported(`${at}.apiGroup`, apiGroup, [rbacGroup]));
  } else errors.push(fieldNotSupported(`${at}.kind`, kind, ['ServiceAccount', 'User', 'Group']));
  return errors;
}

function fixedRole(next: ApiObject, previous: ApiObject): FieldError[] {
  const { apiGroup, kind, name } = asBinding(next).roleRef;
  return equalJson(asBinding(next).roleRef, asBinding(previous).roleRef)
    ? []
    : [fieldInvalid('roleRef', { APIGroup: apiGroup, Kind: kind, Name: name }, 'cannot change roleRef')];
}

export const rbacKinds: readonly Kind[] = [
  row({
    group: rbacGroup,
    kind: 'Role',
    resource: 'roles',
    namespaced: true,
    names: 'path',
    validate: (object) => validateRules(asRole(object).rules, true),
  }),
  row({
    group: rbacGroup,
    kind: 'RoleBinding',
    resource: 'rolebindings',
    namespaced: true,
    names: 'path',
    columns: bindingColumns,
    defaults: defaultBinding,
    validate: (object) => validateBinding(object, ['Role', 'ClusterRole']),
    validateUpdate: fixedRole,
  }),
  row({
    group: rbacGroup,
    kind: 'ClusterRole',
    resource: 'clusterroles',
    namespaced: false,
    names: 'path',
    validate(object) {
      const { rules, aggregationRule } = asRole(object);
      const errors = validateRules(rules, false);
      if (aggregationRule !== undefined && (aggregationRule.clusterRoleSelectors ?? []).length === 0)
        errors.push(
          fieldRequired(
            'aggregationRule.clusterRoleSelectors',
            'at least one clusterRoleSelector required if aggregationRule is non-nil',
          ),
        );
      return errors;
    },
  }),
  row({
    group: rbacGroup,
    kind: 'ClusterRoleBinding',
    resource: 'clusterrolebindings',
    namespaced: false,
    names: 'path',
    columns: bindingColumns,
    defaults: defaultBinding,
    validate: (object) => validateBinding(object, ['ClusterRole']),
    validateUpdate: fixedRole,
  }),
];
