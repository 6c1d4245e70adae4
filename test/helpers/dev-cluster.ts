import { afterAll, beforeAll } from '@jest/globals';
import { Agent, request } from 'undici';

import { startDevCluster, type DevCluster, type DevClusterOptions } from '../../src/devcluster/index.ts';

/** Starts a development cluster before the tests of a suite and stops it after them; returns how to get at it. */
export function useDevCluster(options: DevClusterOptions = {}): () => DevCluster {
  let cluster: DevCluster | undefined;
  beforeAll(async () => {
    cluster = await startDevCluster(options);
  });
  afterAll(async () => {
    await cluster?.stop();
  });
  return () => {
    if (cluster === undefined) throw new Error('the cluster is there only while tests run');
    return cluster;
  };
}

/** What a server answered; `body` is the parsed JSON, or the text when it is none. */
export interface ApiAnswer {
  readonly code: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: ApiBody;
}

/** Enough of an answer's shape for assertions. */
export interface ApiBody {
  readonly kind?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly [field: string]: unknown;
  };
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly items?: readonly ApiBody[];
  readonly [field: string]: unknown;
}

/** A plain HTTP client of a cluster for one user. */
export interface ApiClient {
  (method: string, path: string, body?: unknown, contentType?: string): Promise<ApiAnswer>;
  close(): Promise<void>;
}

/** A client by client certificate; an administrator's when no user is named. */
export async function certificateClient(
  cluster: Pick<DevCluster, 'url' | 'caPem' | 'clientCertificate'>,
  user = 'kubernetes-admin',
  groups: readonly string[] = ['system:masters'],
): Promise<ApiClient> {
  const { certPem, keyPem } = await cluster.clientCertificate(user, groups);
  return client(
    cluster.url,
    new Agent({ allowH2: false, connect: { ca: cluster.caPem, cert: certPem, key: keyPem } }),
    {},
  );
}

/** A client by bearer token, or an anonymous one. */
export function tokenClient(cluster: DevCluster, token?: string, url = cluster.url): ApiClient {
  return client(
    url,
    new Agent({ allowH2: false, connect: { ca: cluster.caPem } }),
    token === undefined ? {} : { authorization: `Bearer ${token}` },
  );
}

function client(url: string, dispatcher: Agent, headers: Readonly<Record<string, string>>): ApiClient {
  const send = async (
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<ApiAnswer> => {
    const response = await request(`${url}${path}`, {
      method: method as 'GET',
      dispatcher,
      headers: { ...headers, ...(body !== undefined && { 'content-type': contentType }) },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    return { code: response.statusCode, headers: response.headers, body: parsed(await response.body.text()) };
  };
  return Object.assign(send, { close: () => dispatcher.destroy() });
}

function parsed(text: string): ApiBody {
  try {
    return JSON.parse(text) as ApiBody;
  } catch {
    return { message: text };
  }
}

/** A Node that is ready, at an address where a kubelet may listen. */
export function readyNode(name: string, kubeletPort = 10_250, status: object = {}) {
  return {
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name } },
    status: {
      capacity: { cpu: '2', memory: '4Gi', pods: '110' },
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' },
      ],
      ...status,
    },
  };
}

/** A pod of one container `c`. */
export function simplePod(name: string, spec: object = {}, metadata: object = {}) {
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name, ...metadata },
    spec: { containers: [{ name: 'c', image: 'example.com/c:1' }], ...spec },
  };
}
