/** The common mistakes of a pod, in the words of pkg/apis/core/validation/validation.go. */
import { isIP } from 'node:net';
import type { Container, ContainerStatus, Pod, PodSpec } from '../../core/objects.ts';
import { fieldDuplicate, fieldForbidden, fieldInvalid, fieldRequired, type FieldError } from '../api-error.ts';
import { equalJson } from '../json.ts';
import { nameError, qualifiedNameError } from '../names.ts';
import { oneOf, validateContainer, validateId } from './container-validation.ts';
import { qosClassOf } from './pod-qos.ts';
import { validatePlacement } from './placement-validation.ts';
import { validateVolumeSource } from './volume-validation.ts';

const mirrorAnnotation = 'kubernetes.io/config.mirror';
const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

export function validatePod({ metadata, spec }: Pod): FieldError[] {
  const mirror = metadata.annotations?.[mirrorAnnotation];
  return [
    ...(mirror !== undefined && !spec.nodeName
      ? [
          fieldInvalid(
            `metadata.annotations[${mirrorAnnotation}]`,
            mirror,
            'must set spec.nodeName if mirror pod annotation is set',
          ),
        ]
      : []),
    ...validatePodSpec(spec, 'spec'),
  ];
}

/** What is wrong with a pod that is new. */
export function validateNewPod({ spec }: Pod): FieldError[] {
  const errors: FieldError[] = [];
  if ((spec.ephemeralContainers ?? []).length > 0)
    errors.push(fieldForbidden('spec.ephemeralContainers', 'cannot be set on create'));
  if (spec.nodeName && (spec.schedulingGates ?? []).length > 0)
    errors.push(fieldForbidden('spec.nodeName', 'cannot be set until all schedulingGates have been cleared'));
  return errors;
}

/** What is wrong with the spec of a pod or of a template; `at` is where it is. */
export function validatePodSpec(spec: PodSpec, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = new Set<string>();
  for (const [i, volume] of (spec.volumes ?? []).entries()) {
    const { name } = volume;
    const here = `${at}.volumes[${i}]`;
    const wrong = name ? nameError(name, 'label') : undefined;
    if (!name) errors.push(fieldRequired(`${here}.name`));
    else if (wrong !== undefined) errors.push(fieldInvalid(`${here}.name`, name, wrong));
    if (volumes.has(name)) errors.push(fieldDuplicate(`${here}.name`, name));
    errors.push(...validateVolumeSource(volume, here));
    volumes.add(name);
  }
  if ((spec.containers ?? []).length === 0) errors.push(fieldRequired(`${at}.containers`));
  const context = { spec, volumes, names: new Set<string>(), hostPorts: new Set<string>() };
  for (const [i, container] of (spec.containers ?? []).entries())
    errors.push(...validateContainer(container, `${at}.containers[${i}]`, context));
  // Init containers run one after the other, so each may have the ports of another.
  for (const [i, container] of (spec.initContainers ?? []).entries())
    errors.push(
      ...validateContainer(container, `${at}.initContainers[${i}]`, { ...context, hostPorts: new Set() }, 'init'),
    );
  errors.push(
    ...oneOf(`${at}.restartPolicy`, spec.restartPolicy ?? '', ['Always', 'OnFailure', 'Never']),
    ...oneOf(`${at}.dnsPolicy`, spec.dnsPolicy, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']),
    ...validatePodSecurity(spec, at),
    ...validateNetwork(spec, at),
    ...validatePlacement(spec, at),
  );
  const deadline = spec.activeDeadlineSeconds;
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1))
    errors.push(fieldInvalid(`${at}.activeDeadlineSeconds`, deadline, 'must be between 1 and 2147483647, inclusive'));
  if (spec.os !== undefined) {
    if (!spec.os.name) errors.push(fieldRequired(`${at}.os.name`));
    errors.push(...oneOf(`${at}.os`, spec.os.name, ['linux', 'windows']));
  }
  return errors;
}

function validatePodSecurity(spec: PodSpec, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const { seccompProfile, sysctls, fsGroupChangePolicy, windowsOptions, ...security } = spec.securityContext ?? {};
  const here = `${at}.securityContext`;
  for (const field of ['fsGroup', 'runAsUser', 'runAsGroup'] as const)
    errors.push(...validateId(`${here}.${field}`, security[field]));
  if (spec.hostPID === true && spec.shareProcessNamespace === true)
    errors.push(
      fieldInvalid(`${here}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  if (seccompProfile?.type === 'Localhost' && !seccompProfile.localhostProfile)
    errors.push(fieldRequired(`${here}.seccompProfile.localhostProfile`, 'must be set when seccomp type is Localhost'));
  for (const [i, { name }] of (sysctls ?? []).entries())
    if (!/^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/.test(name))
      errors.push(
        fieldInvalid(
          `${here}.sysctls[${i}].name`,
          name,
          'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
        ),
      );
  errors.push(...oneOf(`${here}.fsGroupChangePolicy`, fsGroupChangePolicy, ['Always', 'OnRootMismatch']));
  if (windowsOptions !== undefined && spec.os?.name === 'linux')
    errors.push(fieldForbidden(`${here}.windowsOptions`, 'windows options cannot be set for a linux pod'));
  return errors;
}

function validateNetwork(spec: PodSpec, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['hostname', 'subdomain'] as const) {
    const wrong = spec[field] ? nameError(spec[field], 'label') : undefined;
    if (wrong !== undefined) errors.push(fieldInvalid(`${at}.${field}`, spec[field], wrong));
  }
  for (const [i, { ip }] of (spec.hostAliases ?? []).entries())
    if (isIP(ip ?? '') === 0) errors.push(fieldInvalid(`${at}.hostAliases[${i}].ip`, ip, notAnAddress));
  const { nameservers } = spec.dnsConfig ?? {};
  for (const [i, server] of (nameservers ?? []).entries())
    if (isIP(server) === 0) errors.push(fieldInvalid(`${at}.dnsConfig.nameservers[${i}]`, server, notAnAddress));
  if (spec.dnsPolicy === 'None') {
    if (spec.dnsConfig === undefined)
      errors.push(fieldRequired(`${at}.dnsConfig`, 'must provide `dnsConfig` when `dnsPolicy` is None'));
    else if ((nameservers ?? []).length === 0)
      errors.push(
        fieldRequired(
          `${at}.dnsConfig.nameservers`,
          'must provide at least one DNS nameserver when `dnsPolicy` is None',
        ),
      );
  }
  return errors;
}

/** What is allowed and still looks like a mistake (pkg/api/pod/warnings.go). */
export function podWarnings(spec: PodSpec, at: string): string[] {
  const warnings: string[] = [];
  for (const [i, { name }] of (spec.imagePullSecrets ?? []).entries())
    if (!name) warnings.push(`${at}.imagePullSecrets[${i}].name: invalid empty name ${JSON.stringify(name ?? '')}`);
  for (const [i, { ports }] of (spec.containers ?? []).entries()) {
    const seen = new Map<string, number>();
    for (const [j, { containerPort, hostPort = 0, protocol = 'TCP' }] of (ports ?? []).entries()) {
      const key = `${containerPort}/${hostPort}/${protocol}`;
      const first = seen.get(key);
      const here = `${at}.containers[${i}].ports`;
      if (first === undefined) seen.set(key, j);
      else warnings.push(`${here}[${j}]: duplicate port definition with ${here}[${first}]`);
    }
  }
  return warnings;
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

/** Only what a node can change in a running container may be resized. */
export function validateResize(next: Pod, previous: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const qosClass = previous.status?.qosClass;
  if (qosClassOf(next.spec) !== qosClass)
    errors.push(fieldInvalid('spec', qosClass, 'Pod QOS Class may not change as a result of resizing'));
  const fixed = ({ containers, initContainers }: PodSpec) =>
    [...containers, ...(initContainers ?? [])].map(({ resources }) =>
      [resources?.requests, resources?.limits].map((list) =>
        Object.entries(list ?? {}).filter(([name]) => name !== 'cpu' && name !== 'memory'),
      ),
    );
  if (!equalJson(fixed(next.spec), fixed(previous.spec)))
    errors.push(fieldForbidden('spec', 'only cpu and memory resources are mutable'));
  return errors;
}

export function validatePodStatus(next: Pod, previous: Pod): FieldError[] {
  const errors: FieldError[] = [];
  const status = next.status ?? {};
  if (status.qosClass !== previous.status?.qosClass)
    errors.push(fieldInvalid('status.qosClass', status.qosClass, 'field is immutable'));
  for (const [i, { type }] of (status.conditions ?? []).entries()) {
    const wrong = qualifiedNameError(type);
    if (wrong !== undefined) errors.push(fieldInvalid(`status.conditions[${i}].Type`, type, wrong));
  }
  if (
    previous.spec.nodeName &&
    status.nominatedNodeName &&
    status.nominatedNodeName !== previous.status?.nominatedNodeName
  )
    errors.push(fieldForbidden('status.nominatedNodeName', 'may not be set on pods that are already bound to a node'));
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
