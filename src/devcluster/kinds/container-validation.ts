/** The common mistakes of a container, in the words of pkg/apis/core/validation/validation.go. */
import type { Container, PodSpec } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotFound,
  fieldNotSupported,
  fieldRequired,
  type FieldError,
} from '../api-error.ts';
import { nameError, qualifiedNameError } from '../names.ts';
import { fieldPathError, portError, portNameError, relativePathError } from './field-formats.ts';

type Probe = NonNullable<Container['livenessProbe']>;
type Handler = NonNullable<NonNullable<Container['lifecycle']>['postStart']>;
type EnvVar = NonNullable<Container['env']>[number];
type Resources = NonNullable<Container['resources']>;

const protocols = ['SCTP', 'TCP', 'UDP'];
const containerFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const containerResources = ['cpu', 'ephemeral-storage', 'memory']
  .flatMap((name) => [`limits.${name}`, `requests.${name}`])
  .sort();

/** What the containers of one pod must agree on. */
export interface ContainerContext {
  readonly spec: PodSpec;
  /** Names of the pod's volumes. */
  readonly volumes: ReadonlySet<string>;
  /** Names that are taken. */
  readonly names: Set<string>;
  /** Host ports that are taken: `TCP//80`. */
  readonly hostPorts: Set<string>;
}

export function validateContainer(
  container: Container,
  at: string,
  context: ContainerContext,
  role: 'container' | 'init' = 'container',
): FieldError[] {
  const { spec, volumes, names } = context;
  const errors: FieldError[] = [];
  const { name, image = '' } = container;
  const wrongName = name ? nameError(name, 'label') : undefined;
  if (!name) errors.push(fieldRequired(`${at}.name`));
  else if (wrongName !== undefined) errors.push(fieldInvalid(`${at}.name`, name, wrongName));
  if (image === '') errors.push(fieldRequired(`${at}.image`));
  else if (image !== image.trim())
    errors.push(fieldInvalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  errors.push(
    ...oneOf(`${at}.terminationMessagePolicy`, container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError']),
    ...oneOf(`${at}.imagePullPolicy`, container.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...oneOf(`${at}.restartPolicy`, container.restartPolicy, ['Always', 'Never', 'OnFailure']),
    ...validatePorts(container, at, context),
  );
  for (const [i, variable] of (container.env ?? []).entries()) errors.push(...validateEnv(variable, `${at}.env[${i}]`));
  for (const { configMapRef, secretRef, prefix } of container.envFrom ?? []) {
    const given = [configMapRef, secretRef].filter((ref) => ref !== undefined).length;
    if (prefix && !isEnvName(prefix)) errors.push(fieldInvalid(`${at}.envFrom.prefix`, prefix, envNameRule));
    if (given === 0)
      errors.push(fieldInvalid(`${at}.envFrom`, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (given > 1)
      errors.push(fieldInvalid(`${at}.envFrom`, '', 'may not have more than one field specified at a time'));
  }
  errors.push(...validateMounts(container, at, volumes));
  for (const [i, device] of (container.volumeDevices ?? []).entries()) {
    if (!device.name) errors.push(fieldRequired(`${at}.volumeDevices[${i}].name`));
    else if (!volumes.has(device.name)) errors.push(fieldNotFound(`${at}.volumeDevices[${i}].name`, device.name));
  }
  const restartable = role === 'container' || container.restartPolicy === 'Always';
  for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    const probe = container[field];
    if (probe === undefined) continue;
    if (!restartable)
      errors.push(fieldForbidden(`${at}.${field}`, 'may not be set for init containers without restartPolicy=Always'));
    else errors.push(...validateProbe(probe, `${at}.${field}`, field));
  }
  const { lifecycle } = container;
  if (lifecycle !== undefined && !restartable)
    errors.push(fieldForbidden(`${at}.lifecycle`, 'may not be set for init containers without restartPolicy=Always'));
  else
    for (const hook of ['postStart', 'preStop'] as const) {
      const handler = lifecycle?.[hook];
      if (handler !== undefined)
        errors.push(...validateHandler(handler, `${at}.lifecycle.${hook}`, spec.terminationGracePeriodSeconds ?? 30));
    }
  errors.push(
    ...validateResources(container.resources ?? {}, `${at}.resources`, spec),
    ...validateContainerSecurity(container, `${at}.securityContext`),
  );
  if (names.has(name)) errors.push(fieldDuplicate(`${at}.name`, name));
  names.add(name);
  return errors;
}

/** One of the words that there are; nothing when the field is absent. */
export function oneOf(at: string, value: string | undefined, supported: readonly string[]): FieldError[] {
  return value === undefined || supported.includes(value) ? [] : [fieldNotSupported(at, value, supported)];
}

function validatePorts(container: Container, at: string, { spec, hostPorts }: ContainerContext): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  for (const [i, port] of (container.ports ?? []).entries()) {
    const here = `${at}.ports[${i}]`;
    const { name, containerPort, hostPort, protocol = 'TCP', hostIP = '' } = port;
    const wrongName = name ? portNameError(name) : undefined;
    if (wrongName !== undefined) errors.push(fieldInvalid(`${here}.name`, name, wrongName));
    else if (name && names.has(name)) errors.push(fieldDuplicate(`${here}.name`, name));
    if (name) names.add(name);
    if (!containerPort) errors.push(fieldRequired(`${here}.containerPort`));
    else errors.push(...validatePort(`${here}.containerPort`, containerPort));
    if (hostPort) {
      errors.push(...validatePort(`${here}.hostPort`, hostPort));
      if (spec.hostNetwork === true && hostPort !== containerPort)
        errors.push(
          fieldInvalid(`${here}.hostPort`, hostPort, 'must match `containerPort` when `hostNetwork` is true'),
        );
    }
    errors.push(...oneOf(`${here}.protocol`, protocol, protocols));
    if (!hostPort) continue;
    const key = `${protocol}/${hostIP}/${hostPort}`;
    if (hostPorts.has(key)) errors.push(fieldDuplicate(`${here}.hostPort`, key));
    hostPorts.add(key);
  }
  return errors;
}

function validatePort(at: string, port: number | string): FieldError[] {
  const wrong = typeof port === 'number' ? portError(port) : portNameError(port);
  return wrong === undefined ? [] : [fieldInvalid(at, port, wrong)];
}

const envNameRule = "a valid environment variable name must consist only of printable ASCII characters other than '='";

function isEnvName(name: string): boolean {
  return /^[ -<>-~]+$/.test(name);
}

function validateEnv({ name, value, valueFrom }: EnvVar, at: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!name) errors.push(fieldRequired(`${at}.name`));
  else if (!isEnvName(name)) errors.push(fieldInvalid(`${at}.name`, name, envNameRule));
  if (valueFrom === undefined) return errors;
  const from = `${at}.valueFrom`;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = valueFrom;
  const given = Object.values(valueFrom).filter((source) => source !== undefined).length;
  if (given === 0)
    return [
      ...errors,
      fieldInvalid(
        from,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    ];
  if (value) errors.push(fieldInvalid(from, '', 'may not be specified when `value` is not empty'));
  else if (given > 1) errors.push(fieldInvalid(from, '', 'may not have more than one field specified at a time'));
  if (fieldRef !== undefined) errors.push(...validateFieldRef(fieldRef.fieldPath, `${from}.fieldRef.fieldPath`));
  if (resourceFieldRef !== undefined)
    errors.push(...oneOf(`${from}.resourceFieldRef.resource`, resourceFieldRef.resource, containerResources));
  for (const [field, ref] of Object.entries({ configMapKeyRef, secretKeyRef }))
    if (ref !== undefined && !ref.key) errors.push(fieldRequired(`${from}.${field}.key`));
  return errors;
}

function validateFieldRef(path: string, at: string): FieldError[] {
  if (!path) return [fieldRequired(at)];
  if (/^metadata\.(labels|annotations)\['.*'\]$/.test(path)) return [];
  const wrong = fieldPathError(path);
  if (wrong !== undefined) return [fieldInvalid(at, path, wrong)];
  return oneOf(at, path, containerFields);
}

function validateMounts(container: Container, at: string, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = [];
  const paths = new Set<string>();
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const here = `${at}.volumeMounts[${i}]`;
    const { name, mountPath, subPath, subPathExpr } = mount;
    if (!name) errors.push(fieldRequired(`${here}.name`));
    else if (!volumes.has(name)) errors.push(fieldNotFound(`${here}.name`, name));
    if (!mountPath) errors.push(fieldRequired(`${here}.mountPath`));
    else if (paths.has(mountPath)) errors.push(fieldInvalid(`${here}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    for (const [field, path] of Object.entries({ subPath, subPathExpr })) {
      const wrong = path ? relativePathError(path) : undefined;
      if (wrong !== undefined) errors.push(fieldInvalid(`${at}.volumeMounts.${field}`, path, wrong));
    }
    if (subPath && subPathExpr)
      errors.push(fieldInvalid(`${here}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
  }
  return errors;
}

function validateProbe(
  probe: Probe,
  at: string,
  kind: 'livenessProbe' | 'readinessProbe' | 'startupProbe',
): FieldError[] {
  const errors = validateHandler(probe, at);
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    const value = probe[field] ?? 0;
    if (value < 0) errors.push(fieldInvalid(`${at}.${field}`, value, 'must be greater than or equal to 0'));
  }
  if (kind !== 'readinessProbe' && (probe.successThreshold ?? 1) > 1)
    errors.push(fieldInvalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'));
  const grace = probe.terminationGracePeriodSeconds;
  if (kind === 'readinessProbe' && grace !== undefined)
    errors.push(fieldInvalid(`${at}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes'));
  else if (grace !== undefined && grace <= 0)
    errors.push(fieldInvalid(`${at}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'));
  return errors;
}

function validateHandler(handler: Handler & Pick<Probe, 'grpc'>, at: string, graceSeconds?: number): FieldError[] {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  const errors: FieldError[] = [];
  const given = Object.entries({ exec, httpGet, tcpSocket, grpc, sleep }).filter(([, one]) => one !== undefined);
  if (given.length === 0) return [fieldRequired(at, 'must specify a handler type')];
  for (const [extra] of given.slice(1))
    errors.push(fieldForbidden(`${at}.${extra}`, 'may not specify more than 1 handler type'));
  if (errors.length > 0) return errors;
  if (exec !== undefined && (exec.command ?? []).length === 0) errors.push(fieldRequired(`${at}.exec.command`));
  if (httpGet !== undefined) {
    if (!httpGet.path) errors.push(fieldRequired(`${at}.httpGet.path`));
    errors.push(
      ...validatePort(`${at}.httpGet.port`, httpGet.port),
      ...oneOf(`${at}.httpGet.scheme`, httpGet.scheme, ['HTTP', 'HTTPS']),
    );
    for (const { name } of httpGet.httpHeaders ?? [])
      if (!/^[-A-Za-z0-9]+$/.test(name))
        errors.push(
          fieldInvalid(
            `${at}.httpGet.httpHeaders`,
            name,
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
          ),
        );
  }
  if (tcpSocket !== undefined) errors.push(...validatePort(`${at}.tcpSocket.port`, tcpSocket.port));
  if (grpc !== undefined) errors.push(...validatePort(`${at}.grpc.port`, grpc.port));
  if (sleep !== undefined && graceSeconds !== undefined && (sleep.seconds < 0 || sleep.seconds > graceSeconds))
    errors.push(
      fieldInvalid(
        `${at}.sleep`,
        sleep.seconds,
        `must be non-negative and less than terminationGracePeriodSeconds (${graceSeconds})`,
      ),
    );
  return errors;
}

const nativeResources = ['cpu', 'memory', 'ephemeral-storage'];

function validateResources({ requests = {}, limits = {}, claims }: Resources, at: string, spec: PodSpec): FieldError[] {
  const errors: FieldError[] = [];
  for (const [field, list] of [
    ['limits', limits],
    ['requests', requests],
  ] as const)
    for (const [name, value] of Object.entries(list)) {
      const here = `${at}.${field}[${name}]`;
      if (!nativeResources.includes(name) && !name.startsWith('hugepages-')) {
        const wrong = qualifiedNameError(name);
        if (wrong !== undefined) errors.push(fieldInvalid(here, name, wrong));
        else if (!name.includes('/'))
          errors.push(
            fieldInvalid(here, name, 'must be a standard resource type or fully qualified'),
            fieldInvalid(here, name, 'must be a standard resource for containers'),
          );
      }
      const { nanos } = Quantity.parse(value);
      if (nanos < 0n) errors.push(fieldInvalid(here, value, 'must be greater than or equal to 0'));
      else if (name.includes('/') && nanos % 1_000_000_000n !== 0n)
        errors.push(fieldInvalid(here, value, 'must be an integer'));
    }
  for (const [name, request] of Object.entries(requests)) {
    const limit = limits[name];
    const overcommitable = nativeResources.includes(name);
    if (limit === undefined) {
      if (name.includes('/'))
        errors.push(fieldRequired(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
    } else if (overcommitable && Quantity.parse(request).nanos > Quantity.parse(limit).nanos)
      errors.push(fieldInvalid(`${at}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    else if (!overcommitable && Quantity.parse(request).nanos !== Quantity.parse(limit).nanos)
      errors.push(fieldInvalid(`${at}.requests`, request, `must be equal to ${name} limit of ${limit}`));
  }
  const named = Object.keys({ ...requests, ...limits });
  if (named.some((name) => name.startsWith('hugepages-')) && !named.includes('cpu') && !named.includes('memory'))
    errors.push(fieldForbidden(at, 'HugePages require cpu or memory'));
  const known = (spec.resourceClaims ?? []).map(({ name }) => name);
  for (const [i, { name }] of (claims ?? []).entries())
    if (!known.includes(name)) {
      const which = known.length === 0 ? 'which is empty' : `[${known.join(' ')}]`;
      const { type, field, message } = fieldNotFound(`${at}.claims[${i}]`, name);
      errors.push({ type, field, message: `${message}: must be one of the names in pod.spec.resourceClaims ${which}` });
    }
  return errors;
}

function validateContainerSecurity({ securityContext }: Container, at: string): FieldError[] {
  if (securityContext === undefined) return [];
  const errors: FieldError[] = [];
  const { privileged, allowPrivilegeEscalation, procMount } = securityContext;
  errors.push(...oneOf(`${at}.procMount`, procMount, ['Default', 'Unmasked']));
  for (const field of ['runAsUser', 'runAsGroup'] as const)
    errors.push(...validateId(`${at}.${field}`, securityContext[field]));
  if (allowPrivilegeEscalation === false && privileged === true) {
    const shown = {
      Capabilities: null,
      Privileged: true,
      SELinuxOptions: null,
      WindowsOptions: null,
      RunAsUser: securityContext.runAsUser ?? null,
      RunAsGroup: securityContext.runAsGroup ?? null,
      RunAsNonRoot: securityContext.runAsNonRoot ?? null,
      ReadOnlyRootFilesystem: securityContext.readOnlyRootFilesystem ?? null,
      AllowPrivilegeEscalation: false,
      ProcMount: procMount ?? null,
      SeccompProfile: null,
      AppArmorProfile: null,
    };
    errors.push(fieldInvalid(at, shown, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
  }
  return errors;
}

/** A user or a group. */
export function validateId(at: string, id: number | undefined): FieldError[] {
  return id !== undefined && (id < 0 || id > 2 ** 31 - 1)
    ? [fieldInvalid(at, id, 'must be between 0 and 2147483647, inclusive')]
    : [];
}
