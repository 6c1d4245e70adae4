/** Admission policies, which are stored and never evaluated; follows pkg/apis/admissionregistration. */
import { fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { ageColumn, nameColumn, selectorTerms } from './columns.ts';
import { row, type Column, type Kind } from './kind.ts';

const group = 'admissionregistration.k8s.io';

interface MatchResources {
  namespaceSelector?: object;
  objectSelector?: object;
  matchPolicy?: string;
  resourceRules?: { scope?: string }[];
  excludeResourceRules?: { scope?: string }[];
}

interface PolicySpec {
  failurePolicy?: string;
  matchConstraints?: MatchResources;
  paramKind?: { apiVersion?: string; kind?: string };
  validations?: unknown[];
  auditAnnotations?: unknown[];
  mutations?: unknown[];
  reinvocationPolicy?: string;
}

interface BindingSpec {
  policyName?: string;
  paramRef?: { name?: string; namespace?: string; selector?: Parameters<typeof selectorTerms>[0] };
  validationActions?: string[];
  matchResources?: MatchResources;
}

const policySpec = (o: ApiObject | DraftObject) => (o['spec'] ?? {}) as PolicySpec;
const bindingSpec = (o: ApiObject | DraftObject) => (o['spec'] ?? {}) as BindingSpec;

const paramKind: Column = {
  name: 'ParamKind',
  cell: (o) => {
    const kind = policySpec(o).paramKind;
    return kind === undefined ? '<unset>' : `${kind.apiVersion}/${kind.kind}`;
  },
};

const bindingColumns: readonly Column[] = [
  nameColumn,
  { name: 'PolicyName', cell: (o) => bindingSpec(o).policyName ?? '' },
  {
    name: 'ParamRef',
    cell: (o) => {
      const { name, namespace, selector } = bindingSpec(o).paramRef ?? {};
      if (name) return `${namespace || '*'}/${name}`;
      return selector === undefined ? '<unset>' : selectorTerms(selector);
    },
  },
  ageColumn,
];

function defaultMatch(match: MatchResources | undefined): void {
  if (match === undefined) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}

function defaultPolicy(draft: DraftObject): void {
  const spec = policySpec(draft);
  spec.failurePolicy ??= 'Fail';
  defaultMatch(spec.matchConstraints);
}

function validateMatch({ matchConstraints }: PolicySpec): FieldError[] {
  if (matchConstraints === undefined) return [fieldRequired('spec.matchConstraints')];
  return (matchConstraints.resourceRules ?? []).length === 0
    ? [fieldRequired('spec.matchConstraints.resourceRules')]
    : [];
}

function validateBinding(object: ApiObject): FieldError[] {
  return bindingSpec(object).policyName ? [] : [fieldRequired('spec.policyName')];
}

export const admissionPolicyKinds: readonly Kind[] = [
  row({
    group,
    kind: 'ValidatingAdmissionPolicy',
    resource: 'validatingadmissionpolicies',
    categories: ['api-extensions'],
    namespaced: false,
    status: true,
    generation: true,
    columns: [
      nameColumn,
      { name: 'Validations', type: 'integer', cell: (o) => (policySpec(o).validations ?? []).length },
      paramKind,
      ageColumn,
    ],
    defaults: defaultPolicy,
    validate(object) {
      const spec = policySpec(object);
      const errors = validateMatch(spec);
      if ((spec.validations ?? []).length + (spec.auditAnnotations ?? []).length === 0)
        for (const field of ['validations', 'auditAnnotations'])
          errors.push(fieldRequired(`spec.${field}`, 'validations or auditAnnotations must contain at least one item'));
      return errors;
    },
  }),
  row({
    group,
    kind: 'ValidatingAdmissionPolicyBinding',
    resource: 'validatingadmissionpolicybindings',
    categories: ['api-extensions'],
    namespaced: false,
    generation: true,
    columns: bindingColumns,
    defaults: (draft) => defaultMatch(bindingSpec(draft).matchResources),
    validate: (object) => [
      ...validateBinding(object),
      ...((bindingSpec(object).validationActions ?? []).length > 0 ? [] : [fieldRequired('spec.validationActions')]),
    ],
  }),
  row({
    group,
    kind: 'MutatingAdmissionPolicy',
    resource: 'mutatingadmissionpolicies',
    categories: ['api-extensions'],
    namespaced: false,
    generation: true,
    columns: [
      nameColumn,
      { name: 'Mutations', type: 'integer', cell: (o) => (policySpec(o).mutations ?? []).length },
      paramKind,
      ageColumn,
    ],
    defaults: defaultPolicy,
    validate: (object) => [
      ...validateMatch(policySpec(object)),
      ...((policySpec(object).mutations ?? []).length > 0
        ? []
        : [fieldRequired('spec.mutations', 'mutations must contain at least one item')]),
      ...(policySpec(object).reinvocationPolicy ? [] : [fieldRequired('spec.reinvocationPolicy')]),
    ],
  }),
  row({
    group,
    kind: 'MutatingAdmissionPolicyBinding',
    resource: 'mutatingadmissionpolicybindings',
    categories: ['api-extensions'],
    namespaced: false,
    generation: true,
    columns: bindingColumns,
    defaults: (draft) => defaultMatch(bindingSpec(draft).matchResources),
    validate: validateBinding,
  }),
];
