/** The common mistakes in where a pod may run, in the words of pkg/apis/core/validation/validation.go. */
import type { PodSpec, Toleration } from '../../core/objects.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  type FieldError,
} from '../api-error.ts';
import { validateLabels } from '../draft.ts';
import { labelValueError, nameError, qualifiedNameError } from '../names.ts';
import { oneOf } from './container-validation.ts';

type Affinity = NonNullable<PodSpec['affinity']>;
type PodTerm = NonNullable<
  NonNullable<Affinity['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];
type NodeTerm = NonNullable<
  NonNullable<Affinity['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];

const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';

export function validatePlacement(spec: PodSpec, at: string): FieldError[] {
  const errors = validateLabels(spec.nodeSelector, `${at}.nodeSelector`);
  const wrongNode = spec.nodeName ? nameError(spec.nodeName, 'subdomain') : undefined;
  if (wrongNode !== undefined) errors.push(fieldInvalid(`${at}.nodeName`, spec.nodeName, wrongNode));
  const { nodeAffinity, podAffinity, podAntiAffinity } = spec.affinity ?? {};
  if (nodeAffinity !== undefined) errors.push(...validateNodeAffinity(nodeAffinity, `${at}.affinity.nodeAffinity`));
  for (const [field, affinity] of Object.entries({ podAffinity, podAntiAffinity })) {
    for (const [i, term] of (affinity?.[required] ?? []).entries())
      errors.push(...validatePodTerm(term, `${at}.affinity.${field}.${required}[${i}]`));
    for (const [i, { weight, podAffinityTerm }] of (affinity?.[preferred] ?? []).entries()) {
      const here = `${at}.affinity.${field}.${preferred}[${i}]`;
      errors.push(...validateWeight(weight, here), ...validatePodTerm(podAffinityTerm, `${here}.podAffinityTerm`));
    }
  }
  for (const [i, toleration] of (spec.tolerations ?? []).entries())
    errors.push(...validateToleration(toleration, `${at}.tolerations[${i}]`));
  for (const [i, { maxSkew, topologyKey, whenUnsatisfiable }] of (spec.topologySpreadConstraints ?? []).entries()) {
    const here = `${at}.topologySpreadConstraints[${i}]`;
    if (!(maxSkew > 0)) errors.push(fieldInvalid(`${here}.maxSkew`, maxSkew, 'must be greater than zero'));
    if (!topologyKey) errors.push(fieldRequired(`${here}.topologyKey`, 'can not be empty'));
    errors.push(...oneOf(`${here}.whenUnsatisfiable`, whenUnsatisfiable, ['DoNotSchedule', 'ScheduleAnyway']));
  }
  for (const [i, { conditionType }] of (spec.readinessGates ?? []).entries()) {
    const wrong = qualifiedNameError(conditionType);
    if (wrong !== undefined)
      errors.push(fieldInvalid(`${at}.readinessGates[${i}].conditionType`, conditionType, wrong));
  }
  const gates = new Set<string>();
  for (const [i, { name }] of (spec.schedulingGates ?? []).entries()) {
    if (gates.has(name)) errors.push(fieldDuplicate(`${at}.schedulingGates[${i}]`, name));
    gates.add(name);
  }
  return errors;
}

function validateNodeAffinity(affinity: NonNullable<Affinity['nodeAffinity']>, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const must = affinity[required];
  if (must !== undefined) {
    if ((must.nodeSelectorTerms ?? []).length === 0)
      errors.push(fieldRequired(`${at}.${required}.nodeSelectorTerms`, 'must have at least one node selector term'));
    for (const [i, term] of (must.nodeSelectorTerms ?? []).entries())
      errors.push(...validateNodeTerm(term, `${at}.${required}.nodeSelectorTerms[${i}]`));
  }
  for (const [i, { weight, preference }] of (affinity[preferred] ?? []).entries()) {
    const here = `${at}.${preferred}[${i}]`;
    errors.push(...validateWeight(weight, here), ...validateNodeTerm(preference, `${here}.preference`));
  }
  return errors;
}

function validateWeight(weight: number, at: string): FieldError[] {
  return weight >= 1 && weight <= 100 ? [] : [fieldInvalid(`${at}.weight`, weight, 'must be in the range 1-100')];
}

function validateNodeTerm({ matchExpressions = [] }: NodeTerm, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, { key, operator, values = [] }] of matchExpressions.entries()) {
    const here = `${at}.matchExpressions[${i}]`;
    switch (operator) {
      case 'In':
      case 'NotIn':
        if (values.length === 0)
          errors.push(fieldRequired(`${here}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
        break;
      case 'Exists':
      case 'DoesNotExist':
        if (values.length > 0)
          errors.push(
            fieldForbidden(`${here}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
          );
        break;
      case 'Gt':
      case 'Lt':
        if (values.length !== 1)
          errors.push(
            fieldRequired(`${here}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"),
          );
        break;
      default:
        errors.push(fieldInvalid(`${here}.operator`, operator, 'not a valid selector operator'));
    }
    const wrong = qualifiedNameError(key);
    if (wrong !== undefined) errors.push(fieldInvalid(`${here}.key`, key, wrong));
  }
  return errors;
}

function validatePodTerm({ topologyKey }: PodTerm, at: string): FieldError[] {
  const wrong = topologyKey ? qualifiedNameError(topologyKey) : undefined;
  if (topologyKey) return wrong === undefined ? [] : [fieldInvalid(`${at}.topologyKey`, topologyKey, wrong)];
  return [
    fieldRequired(`${at}.topologyKey`, 'can not be empty'),
    fieldInvalid(`${at}.topologyKey`, '', 'name part must be non-empty'),
    fieldInvalid(`${at}.topologyKey`, '', qualifiedNameError('-') ?? ''),
  ];
}

function validateToleration(toleration: Toleration, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const { key, operator = 'Equal', value = '', effect, tolerationSeconds } = toleration;
  const wrongKey = key ? qualifiedNameError(key) : undefined;
  if (wrongKey !== undefined) errors.push(fieldInvalid(`${at}.key`, key, wrongKey));
  if (!key && operator !== 'Exists')
    errors.push(
      fieldInvalid(
        `${at}.operator`,
        operator,
        'operator must be Exists when `key` is empty, which means "match all values and all keys"',
      ),
    );
  if (tolerationSeconds !== undefined && effect !== 'NoExecute')
    errors.push(fieldInvalid(`${at}.effect`, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"));
  const wrongValue = labelValueError(value);
  if (operator === 'Exists') {
    if (value !== '')
      errors.push(fieldInvalid(`${at}.operator`, value, "value must be empty when `operator` is 'Exists'"));
  } else if (operator !== 'Equal') errors.push(fieldNotSupported(`${at}.operator`, operator, ['Equal', 'Exists']));
  else if (wrongValue !== undefined) errors.push(fieldInvalid(`${at}.operator`, value, wrongValue));
  if (effect) errors.push(...oneOf(`${at}.effect`, effect, ['NoSchedule', 'PreferNoSchedule', 'NoExecute']));
  return errors;
}
