import { invalidInput, notFound } from '../core/errors.ts';
import type { Container, EnvFromSource, EnvVar, EphemeralContainer, Pod } from '../core/objects.ts';
import { asConfigError } from './container-waiting.ts';
import { environmentField, resourceField } from './downward-api.ts';
import { expand } from './expand.ts';
import { serviceVariables } from './service-variables.ts';
import { configMapOf, secretOf, type PodSources } from './sources.ts';

/** A container whose environment is being made, and the addresses known by now. */
export interface EnvironmentSubject {
  readonly pod: Pod;
  readonly container: Container | EphemeralContainer;
  readonly podIPs: readonly string[];
}

/**
 * A container's environment: `envFrom` in order, then `env` in order, then the service variables that neither
 * defines. A value may refer to what stands before it and to service variables, never to what comes after. Rejects
 * with `ContainerWaiting`, reason `CreateContainerConfigError`, while something that is not optional is missing.
 * Follows `makeEnvironmentVariables` of pkg/kubelet/kubelet_pods.go.
 */
export async function containerEnvironment(
  subject: EnvironmentSubject,
  sources: PodSources,
): Promise<Readonly<Record<string, string>>> {
  try {
    const services = await servicesFor(subject.pod, sources);
    const own = new Map<string, string>();
    for (const source of subject.container.envFrom ?? []) {
      for (const [name, value] of await importAll(subject.pod, source, sources)) own.set(name, value);
    }
    for (const variable of subject.container.env ?? []) {
      const value = await valueOf(subject, variable, sources, (name) => own.get(name) ?? services.get(name));
      if (value !== undefined) own.set(variable.name, value);
    }
    for (const [name, value] of services) if (!own.has(name)) own.set(name, value);
    return Object.fromEntries(own);
  } catch (err) {
    throw asConfigError(err);
  }
}

async function servicesFor(pod: Pod, sources: PodSources): Promise<Map<string, string>> {
  const { namespace } = pod.metadata;
  const links = pod.spec.enableServiceLinks ?? true;
  const namespaces = new Set(links ? ['default', namespace] : ['default']);
  const services = await Promise.all([...namespaces].map(async (name) => sources.services(name)));
  return serviceVariables(namespace, links, services.flat(), sources.apiServer);
}

async function importAll(pod: Pod, source: EnvFromSource, sources: PodSources): Promise<[string, string][]> {
  const { configMapRef, secretRef, prefix = '' } = source;
  const { namespace } = pod.metadata;
  if (configMapRef !== undefined) {
    const found = await configMapOf(sources, namespace, configMapRef.name ?? '', configMapRef.optional ?? false);
    return Object.entries(found?.data ?? {}).map(([key, value]) => [prefix + key, value]);
  }
  if (secretRef !== undefined) {
    const found = await secretOf(sources, namespace, secretRef.name ?? '', secretRef.optional ?? false);
    return Object.entries(found?.data ?? {}).map(([key, value]) => [prefix + key, decode(value)]);
  }
  return [];
}

/** The value of one `env` entry; undefined when what it refers to is optional and missing. */
async function valueOf(
  subject: EnvironmentSubject,
  { name, value, valueFrom }: EnvVar,
  sources: PodSources,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  if (value !== undefined && value !== '') return expand(value, lookup);
  if (valueFrom === undefined) return '';
  const { pod, container, podIPs } = subject;
  const { namespace } = pod.metadata;
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = valueFrom;
  if (fieldRef !== undefined) return environmentField(pod, fieldRef.fieldPath, { hostIPs: sources.node.ips, podIPs });
  if (resourceFieldRef !== undefined) return resourceField(pod, container, resourceFieldRef, sources.node.allocatable);
  if (configMapKeyRef !== undefined) {
    const { name: object = '', key, optional = false } = configMapKeyRef;
    const data = (await configMapOf(sources, namespace, object, optional))?.data;
    return pick(data, key, optional, `couldn't find key ${key} in ConfigMap ${namespace}/${object}`);
  }
  if (secretKeyRef !== undefined) {
    const { name: object = '', key, optional = false } = secretKeyRef;
    const data = (await secretOf(sources, namespace, object, optional))?.data;
    const encoded = pick(data, key, optional, `couldn't find key ${key} in Secret ${namespace}/${object}`);
    return encoded === undefined ? undefined : decode(encoded);
  }
  if (fileKeyRef !== undefined)
    throw invalidInput(
      `environment variable ${name}: fileKeyRef is not supported by this node; use configMapKeyRef or secretKeyRef`,
    );
  return '';
}

function pick(
  data: Readonly<Record<string, string>> | undefined,
  key: string,
  optional: boolean,
  missing: string,
): string | undefined {
  const value = data !== undefined && Object.hasOwn(data, key) ? data[key] : undefined;
  if (value === undefined && !optional) throw notFound(missing);
  return value;
}

function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
