import { codeOf } from '../core/errors.ts';
import type { ConfigMap } from '../core/objects.ts';
import type { KubeApi } from './api.ts';

/**
 * The CA that signs client certificates of this cluster (PEM), as the API server publishes it; undefined when it
 * publishes none. Reading it needs the Role `extension-apiserver-authentication-reader` in kube-system.
 *
 * @throws `Forbidden` without that role, `Unavailable`, `Timeout`
 */
export async function readClientCa(api: KubeApi, signal?: AbortSignal): Promise<string | undefined> {
  try {
    const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication';
    const { data } = await api.request<ConfigMap>({ method: 'GET', path, signal });
    return data?.['client-ca-file'] || undefined;
  } catch (err) {
    if (codeOf(err) === 'NotFound') return undefined;
    throw err;
  }
}
