/** Pod templates inside other kinds. Follows pkg/apis/core/validation and pkg/apis/apps/validation. */
import type { V1LabelSelector, V1PodTemplateSpec } from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { validateLabels } from '../draft.ts';
import { meets } from '../selectors.ts';
import { defaultTemplateSpec } from './pod-defaults.ts';
import { validatePodSpec } from './pod-validation.ts';

type Template = Wire<V1PodTemplateSpec>;

/** The template of a workload. */
export function templateOf(object: ApiObject): Template | undefined {
  return (object['spec'] as { template?: Template } | undefined)?.template;
}

export function defaultTemplate(template: Template): void {
  defaultTemplateSpec((template.spec ??= { containers: [] }));
}

/** `policies` are the restart policies that its owner can handle. */
export function validateTemplate(
  template: Template | undefined,
  at: string,
  policies: readonly string[],
): FieldError[] {
  if (template?.spec === undefined) return [fieldRequired(at)];
  const errors = [
    ...validateLabels(template.metadata?.labels, `${at}.labels`),
    ...validatePodSpec(template.spec, `${at}.spec`),
  ];
  const { restartPolicy } = template.spec;
  if (
    restartPolicy !== undefined &&
    !policies.includes(restartPolicy) &&
    !errors.some((e) => e.field.endsWith('restartPolicy'))
  )
    errors.push(fieldNotSupported(`${at}.spec.restartPolicy`, restartPolicy, policies));
  return errors;
}

/** A workload must select the pods that it makes. */
export function validateSelector(
  selector: Wire<V1LabelSelector> | null | undefined,
  template: Template | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  if (selector === null || selector === undefined) errors.push(fieldRequired('spec.selector'));
  else if (Object.keys(matchLabels).length + matchExpressions.length === 0)
    return [fieldInvalid('spec.selector', {}, 'empty selector is invalid for deployment')];
  const labels = template?.metadata?.labels ?? {};
  const selected =
    selector !== null &&
    selector !== undefined &&
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => meets({ key, operator, values }, labels[key]));
  if (!selected)
    errors.push(
      fieldInvalid(
        'spec.template.metadata.labels',
        template?.metadata?.labels ?? null,
        '`selector` does not match template `labels`',
      ),
    );
  return errors;
}
