import { notFound } from '../../../src/core/errors.ts';
import type { ConfigMap, Container, Pod, PodSpec, Secret, Service, StoredMeta } from '../../../src/core/objects.ts';
import type { PodSources, TokenRequest } from '../../../src/podspec/sources.ts';

export function pod(spec: Partial<PodSpec> = {}, metadata: Partial<StoredMeta> = {}): Pod {
  return {
    metadata: { name: 'web', namespace: 'ns', uid: 'uid-1', ...metadata },
    spec: { containers: [{ name: 'c', image: 'i' }], nodeName: 'node-1', serviceAccountName: 'sa', ...spec },
  };
}

export function container(fields: Partial<Container> = {}): Container {
  return { name: 'c', image: 'i', ...fields };
}

export const base64 = (text: string) => Buffer.from(text).toString('base64');

export interface Objects {
  readonly configMaps?: Readonly<Record<string, Omit<ConfigMap, 'metadata'>>>;
  readonly secrets?: Readonly<Record<string, Omit<Secret, 'metadata'>>>;
  readonly services?: readonly Service[];
  readonly apiServer?: { host: string; port: number };
  readonly unavailable?: Error;
}

export interface FakeSources extends PodSources {
  readonly tokenRequests: TokenRequest[];
}

/** Sources over plain objects of namespace `ns`. */
export function sources({
  configMaps = {},
  secrets = {},
  services = [],
  apiServer,
  unavailable,
}: Objects = {}): FakeSources {
  const tokenRequests: TokenRequest[] = [];
  const get = <T>(kind: string, from: Readonly<Record<string, T>>, namespace: string, name: string): Promise<T> => {
    if (unavailable !== undefined) return Promise.reject(unavailable);
    const found = namespace === 'ns' ? from[name] : undefined;
    return found === undefined
      ? Promise.reject(notFound(`${kind} ${namespace}/${name} is not there`))
      : Promise.resolve(found);
  };
  return {
    tokenRequests,
    configMap: (namespace, name) => get('ConfigMap', configMaps, namespace, name),
    secret: (namespace, name) => get('Secret', secrets, namespace, name),
    services: (namespace) => services.filter((s) => s.metadata?.namespace === namespace),
    serviceAccountToken: (_, request) => {
      tokenRequests.push(request);
      return Promise.resolve(`token-${tokenRequests.length}`);
    },
    node: {
      name: 'node-1',
      ips: ['10.0.0.1', 'fd00::1'],
      allocatable: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '100Gi' },
    },
    ...(apiServer === undefined ? {} : { apiServer }),
  };
}

export function service(
  name: string,
  namespace: string,
  clusterIP: string | undefined,
  ports: [string | undefined, number, string?][],
): Service {
  return {
    metadata: { name, namespace },
    spec: {
      ...(clusterIP === undefined ? {} : { clusterIP }),
      ports: ports.map(([portName, port, protocol]) => ({
        port,
        ...(portName === undefined ? {} : { name: portName }),
        ...(protocol === undefined ? {} : { protocol }),
      })),
    },
  };
}
