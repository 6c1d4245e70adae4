/** What may be done to a pod's ephemeral containers: they are added, and never changed or taken away. */
import type { Container, PodSpec } from '../../core/objects.ts';
import { fieldDuplicate, fieldForbidden, fieldNotFound, fieldRequired, type FieldError } from '../api-error.ts';
import { equalJson } from '../json.ts';

const at = 'spec.ephemeralContainers';
/** A container that nobody waits for has none of these (allowedEphemeralContainerFields in validation.go). */
const refused = ['ports', 'livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle', 'resizePolicy'] as const;

export function validateEphemeralContainers(spec: PodSpec, previous: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  const others = new Set([...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name));
  const names = new Set(others);
  for (const [i, container] of (spec.ephemeralContainers ?? []).entries()) {
    const { name, image, targetContainerName } = container;
    const here = `${at}[${i}]`;
    if (!name) errors.push(fieldRequired(`${here}.name`));
    else if (names.has(name)) errors.push(fieldDuplicate(`${here}.name`, name));
    names.add(name);
    if (!image) errors.push(fieldRequired(`${here}.image`));
    if (targetContainerName && !others.has(targetContainerName))
      errors.push(fieldNotFound(`${here}.targetContainerName`, targetContainerName));
    for (const field of refused)
      if ((container as unknown as Container)[field] !== undefined)
        errors.push(fieldForbidden(`${here}.${field}`, 'cannot be set for an Ephemeral Container'));
  }
  for (const before of previous.ephemeralContainers ?? []) {
    const now = spec.ephemeralContainers?.find(({ name }) => name === before.name);
    if (now === undefined)
      errors.push(
        fieldForbidden(at, `existing ephemeral containers ${JSON.stringify(before.name)} may not be removed`),
      );
    else if (!equalJson(now, before))
      errors.push(
        fieldForbidden(at, `existing ephemeral containers ${JSON.stringify(before.name)} may not be changed`),
      );
  }
  return errors;
}
