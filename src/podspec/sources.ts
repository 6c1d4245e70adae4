import { codeOf, notFound } from '../core/errors.ts';
import type { ConfigMap, Pod, Secret, Service } from '../core/objects.ts';
import type { Allocatable } from './downward-api.ts';
import type { ApiServerAddress } from './service-variables.ts';

/** What is asked for a projected service account token. */
export interface TokenRequest {
  /** Absent: the API server's own audience. */
  readonly audience?: string;
  readonly expirationSeconds: number;
}

/**
 * All that a pod's spec may refer to. Every answer is the present one: the resolver asks again each time, and keeps
 * nothing itself.
 */
export interface PodSources {
  /** Rejects with `NotFound` when it does not exist. */
  configMap(namespace: string, name: string): Promise<ConfigMap>;
  /** Rejects with `NotFound` when it does not exist. */
  secret(namespace: string, name: string): Promise<Secret>;
  /** The services of one namespace. Resolves only once services have been listed. */
  services(namespace: string): readonly Service[] | Promise<readonly Service[]>;
  /** A token of the pod's service account that is bound to the pod. */
  serviceAccountToken(pod: Pod, request: TokenRequest): Promise<string>;
  /** Read at each use, so a getter may answer with what is true then. */
  readonly node: {
    readonly name: string;
    readonly ips: readonly string[];
    readonly allocatable: Allocatable;
  };
  /** Where containers reach the API server, when that is not the cluster IP of `default/kubernetes`. */
  readonly apiServer?: ApiServerAddress;
}

/** The object; undefined when it is missing and may be; `NotFound` in the API server's words when it may not. */
export async function configMapOf(
  sources: PodSources,
  namespace: string,
  name: string,
  optional: boolean,
): Promise<ConfigMap | undefined> {
  return find(() => sources.configMap(namespace, name), `configmap "${name}" not found`, optional);
}

/** As {@link configMapOf}, for a Secret. */
export async function secretOf(
  sources: PodSources,
  namespace: string,
  name: string,
  optional: boolean,
): Promise<Secret | undefined> {
  return find(() => sources.secret(namespace, name), `secret "${name}" not found`, optional);
}

async function find<T>(read: () => Promise<T>, missing: string, optional: boolean): Promise<T | undefined> {
  try {
    return await read();
  } catch (err) {
    if (codeOf(err) !== 'NotFound') throw err;
    if (optional) return undefined;
    throw notFound(missing, err);
  }
}
