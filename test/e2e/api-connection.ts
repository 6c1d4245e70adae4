import { request, type RequestOptions } from 'node:https';
import { text } from 'node:stream/consumers';

import { adminKubeconfig } from './cluster.ts';

/** Where the API server is and how the admin shows who it is. */
export interface ApiConnection {
  readonly server: URL;
  readonly tls: Pick<RequestOptions, 'ca' | 'cert' | 'key'>;
  readonly headers: Readonly<Record<string, string>>;
}

/** For what kubectl does not do. Only credentials that a kubeconfig holds itself are known here. */
export async function apiConnection(): Promise<ApiConnection> {
  const config = await adminKubeconfig();
  const { cluster } = config.clusters[0]!;
  const { user } = config.users[0]!;
  const decoded = (fields: Record<string, unknown>, name: string) =>
    fields[name] === undefined ? undefined : Buffer.from(fields[name] as string, 'base64');
  const ca = decoded(cluster, 'certificate-authority-data');
  const cert = decoded(user, 'client-certificate-data');
  const key = decoded(user, 'client-key-data');
  return {
    server: new URL(cluster['server'] as string),
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
    headers: user['token'] === undefined ? {} : { authorization: `Bearer ${user['token'] as string}` },
  };
}

/** A GET whose answer is shown as it is, whatever its status. */
export async function directRequest(path: string): Promise<{ status: number | undefined; body: string }> {
  const { server, tls, headers } = await apiConnection();
  return await new Promise((resolve, reject) => {
    request(new URL(path, server), { ...tls, headers }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    })
      .on('error', reject)
      .end();
  });
}
