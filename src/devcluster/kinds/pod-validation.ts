/** The common mistakes of a pod, in the words of pkg/apis/core/validation/validation.go. */
import { isIP } from 'node:net';
import type { Container, ContainerStatus, Pod, PodSpec } from '../../core/objects.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldRequired,
  type FieldError,
} from '../api-error.ts';
import { equalJson } from '../json.ts';
import { nameError } from '../names.ts';

export function validatePod({ spec }: Pod): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec?.containers ?? []).length === 0) return [fieldRequired('spec.containers')];
  const volumes = new Set<string>();
  for (const [i, { name }] of (spec.volumes ?? []).entries()) {
    const at = `spec.volumes[${i}].name`;
    const wrong = name ? nameError(name, 'label') : undefined;
    if (volumes.has(name)) errors.push(fieldDuplicate(at, name));
    if (!name) errors.push(fieldRequired(at));
    else if (wrong !== undefined) errors.push(fieldInvalid(at, name, wrong));
    volumes.add(name);
  }
  const names = new Set<string>();
  for (const [i, container] of spec.containers.entries())
    errors.push(...validateContainer(container, `spec.containers[${i}]`, names, volumes));
  for (const [i, container] of (spec.initContainers ?? []).entries())
    errors.push(...validateContainer(container, `spec.initContainers[${i}]`, names, volumes));
  if (!['Always', 'OnFailure', 'Never'].includes(spec.restartPolicy ?? '')) {
    errors.push(fieldNotSupported('spec.restartPolicy', spec.restartPolicy, ['Always', 'OnFailure', 'Never']));
  }
  return errors;
}

function validateContainer(
  container: Container,
  at: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  const wrong = container.name ? nameError(container.name, 'label') : undefined;
  if (!container.name) errors.push(fieldRequired(`${at}.name`));
  else if (wrong !== undefined) errors.push(fieldInvalid(`${at}.name`, container.name, wrong));
  if (!container.image) errors.push(fieldRequired(`${at}.image`));
  for (const [i, variable] of (container.env ?? []).entries()) {
    if (!variable.name) errors.push(fieldRequired(`${at}.env[${i}].name`));
    if (variable.value && variable.valueFrom)
      errors.push(fieldInvalid(`${at}.env[${i}].valueFrom`, '', 'may not be specified when `value` is not empty'));
  }
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    if (!mount.name) errors.push(fieldRequired(`${at}.volumeMounts[${i}].name`));
    else if (!volumes.has(mount.name)) errors.push(fieldNotFound(`${at}.volumeMounts[${i}].name`, mount.name));
    if (!mount.mountPath) errors.push(fieldRequired(`${at}.volumeMounts[${i}].mountPath`));
  }
  for (const [i, { containerPort }] of (container.ports ?? []).entries()) {
    if (containerPort === undefined) errors.push(fieldRequired(`${at}.ports[${i}].containerPort`));
    else if (containerPort < 1 || containerPort > 65535)
      errors.push(
        fieldInvalid(`${at}.ports[${i}].containerPort`, containerPort, 'must be between 1 and 65535, inclusive'),
      );
  }
  if (names.has(container.name)) errors.push(fieldDuplicate(`${at}.name`, container.name));
  names.add(container.name);
  return errors;
}

const mutableFields =
  '`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)';

/** A pod's spec is fixed but for a few fields. The API server's message ends with a diff; this one does not. */
export function validatePodUpdate(next: Pod, previous: Pod): FieldError[] {
  for (const [list, was] of [
    [next.spec.containers, previous.spec.containers, 'containers'],
    [next.spec.initContainers ?? [], previous.spec.initContainers ?? [], 'initContainers'],
  ] as const) {
    if (list.length !== was.length)
      return [
        fieldForbidden(
          `spec.${list === next.spec.containers ? 'containers' : 'initContainers'}`,
          'pod updates may not add or remove containers',
        ),
      ];
  }
  const deadline = next.spec.activeDeadlineSeconds;
  const oldDeadline = previous.spec.activeDeadlineSeconds;
  if (deadline !== undefined && oldDeadline !== undefined && deadline > oldDeadline) {
    return [fieldInvalid('spec.activeDeadlineSeconds', deadline, 'must be less than or equal to previous value')];
  }
  if (deadline === undefined && oldDeadline !== undefined) {
    return [
      fieldInvalid('spec.activeDeadlineSeconds', undefined, 'must not update from a positive integer to nil value'),
    ];
  }
  const kept = (previous.spec.tolerations ?? []).every((old) =>
    (next.spec.tolerations ?? []).some((t) => equalJson(t, old)),
  );
  if (!kept)
    return [fieldForbidden('spec.tolerations', 'existing toleration can not be modified except its tolerationSeconds')];
  if (equalJson(fixedFields(next.spec, previous.spec), previous.spec)) return [];
  return [fieldForbidden('spec', `pod updates may not change fields other than ${mutableFields}`)];
}

/** `spec` with the fields that may change set back. */
function fixedFields(spec: PodSpec, previous: PodSpec): PodSpec {
  const setBack = (list: Container[] | undefined, was: Container[] | undefined) =>
    list?.map((container, i) => ({ ...container, image: was?.[i]?.image }) as Container);
  const initContainers = setBack(spec.initContainers, previous.initContainers);
  const { activeDeadlineSeconds, schedulingGates, tolerations } = previous;
  return {
    ...spec,
    containers: setBack(spec.containers, previous.containers) ?? [],
    ...(initContainers && { initContainers }),
    activeDeadlineSeconds,
    schedulingGates,
    tolerations,
  } as PodSpec;
}

export function validatePodStatus(next: Pod, previous: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const status = next.status ?? {};
  if (status.qosClass !== previous.status?.qosClass)
    errors.push(fieldInvalid('status.qosClass', status.qosClass, 'field is immutable'));
  if ((status.observedGeneration ?? 0) < 0)
    errors.push(fieldInvalid('status.observedGeneration', status.observedGeneration, 'must be a non-negative integer'));
  errors.push(
    ...validateTransitions(
      status.containerStatuses,
      previous.status?.containerStatuses,
      previous.spec,
      'containerStatuses',
    ),
  );
  errors.push(
    ...validateTransitions(
      status.initContainerStatuses,
      previous.status?.initContainerStatuses,
      previous.spec,
      'initContainerStatuses',
    ),
  );
  errors.push(...validateAddresses(status.podIPs, 'podIPs'), ...validateAddresses(status.hostIPs, 'hostIPs'));
  return errors;
}

/** A container that has ended stays so unless its restart policy would start it again. */
function validateTransitions(
  next: ContainerStatus[] | undefined,
  previous: ContainerStatus[] | undefined,
  spec: PodSpec,
  field: string,
): FieldError[] {
  const errors: FieldError[] = [];
  for (const [i, old] of (previous ?? []).entries()) {
    const ended = old.state?.terminated;
    const now = next?.find((status) => status.name === old.name);
    if (ended === undefined || now === undefined || now.state?.terminated !== undefined) continue;
    if (!mayRestart(spec, old.name, ended.exitCode, field === 'initContainerStatuses')) {
      errors.push(fieldForbidden(`status.${field}[${i}].state`, 'may not be transitioned to non-terminated state'));
    }
  }
  return errors;
}

function mayRestart(spec: PodSpec, name: string, exitCode: number, init: boolean): boolean {
  const container = (init ? spec.initContainers : spec.containers)?.find((c) => c.name === name);
  if (container === undefined) return false;
  for (const rule of container.restartPolicyRules ?? []) {
    const values = rule.exitCodes?.values ?? [];
    if (rule.exitCodes?.operator === 'NotIn' ? !values.includes(exitCode) : values.includes(exitCode)) return true;
  }
  // The pod's policy Always means OnFailure for a plain init container.
  const policy =
    container.restartPolicy ?? (init && spec.restartPolicy === 'Always' ? 'OnFailure' : spec.restartPolicy);
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
}

function validateAddresses(list: { ip?: string }[] | undefined, field: 'podIPs' | 'hostIPs'): FieldError[] {
  const errors: FieldError[] = [];
  const families = (list ?? []).map(({ ip }) => isIP(ip ?? ''));
  families.forEach((family, i) => {
    if (family === 0)
      errors.push(
        fieldInvalid(
          `status.${field}[${i}]`,
          list?.[i]?.ip,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      );
  });
  if (new Set(families).size !== families.length) {
    errors.push(fieldInvalid(`status.${field}`, list, 'may specify no more than one IP for each IP family'));
  }
  return errors;
}
