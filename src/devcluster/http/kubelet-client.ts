import { once } from 'node:events';
import { request as httpsRequest, Agent, type RequestOptions } from 'node:https';
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';

import { ApiError, badRequest, notFound } from '../api-error.ts';
import type { KubeNode } from '../../core/objects.ts';
import type { KeyPair } from '../auth/certificate-authority.ts';
import { kindNamed } from '../kinds/table.ts';
import type { Registry } from '../registry.ts';

/** Where a node's kubelet listens. */
export interface KubeletEndpoint {
  readonly host: string;
  readonly port: number;
  /** What the node says it can do (`status.declaredFeatures`). */
  readonly features: readonly string[];
}

/** kubeadm's choice of `--kubelet-preferred-address-types`. */
const preferredAddresses = ['InternalIP', 'ExternalIP', 'Hostname'];
const dialTimeoutMs = 5000;

/** Talks to kubelets as the API server does: HTTPS, by its own client certificate, to the address the Node names. */
export class KubeletClient {
  readonly #registry: Registry;
  readonly #credentials: KeyPair;
  readonly #ca: string | undefined;
  readonly #agent: Agent;

  /** Without `ca` the kubelet's serving certificate is not verified, as without `--kubelet-certificate-authority`. */
  constructor(registry: Registry, credentials: KeyPair, ca: string | undefined) {
    this.#registry = registry;
    this.#credentials = credentials;
    this.#ca = ca;
    this.#agent = new Agent({ keepAlive: false });
  }

  /** `asked` is the resource of the request, which a missing node is reported as, strange as it is. */
  endpointOf(nodeName: string, asked: 'pods' | 'nodes'): KubeletEndpoint {
    const node = this.#registry.store.get(kindNamed('Node'), undefined, nodeName) as unknown as KubeNode | undefined;
    if (node === undefined) throw notFound({ group: '', resource: asked }, nodeName);
    const { status } = node;
    const addresses = status?.addresses ?? [];
    for (const type of preferredAddresses) {
      const host = addresses.find((address) => address.type === type)?.address;
      if (host !== undefined)
        return {
          host,
          port: status?.daemonEndpoints?.kubeletEndpoint?.Port || 10_250,
          features: declaredFeatures(status),
        };
    }
    throw new ApiError(
      500,
      '',
      `no preferred addresses found; known addresses: [${addresses.map((a) => `{${a.type} ${a.address}}`).join(' ')}]`,
    );
  }

  /** Begins a request; the caller ends it. */
  request(
    { host, port }: KubeletEndpoint,
    path: string,
    method: string,
    headers: OutgoingHttpHeaders,
    signal?: AbortSignal,
  ) {
    const options: RequestOptions = {
      host,
      port,
      path,
      method,
      headers,
      agent: this.#agent,
      // A stream's one direction may end before the other (an option of the connection, which the types do not show).
      ...({ allowHalfOpen: true } as object),
      cert: this.#credentials.certPem,
      key: this.#credentials.keyPem,
      rejectUnauthorized: this.#ca !== undefined,
      ...(this.#ca !== undefined && { ca: this.#ca }),
      ...(signal && { signal }),
    };
    const request = httpsRequest(options);
    // Only the dial is limited: a log may be silent for hours.
    request.once('socket', (socket) => {
      socket.setTimeout(dialTimeoutMs, () => request.destroy(new Error(`dial tcp ${host}:${port}: i/o timeout`)));
      socket.once('secureConnect', () => socket.setTimeout(0));
    });
    return request;
  }

  /** A GET whose answer the caller reads. */
  async get(endpoint: KubeletEndpoint, path: string, signal: AbortSignal): Promise<IncomingMessage> {
    const request = this.request(endpoint, path, 'GET', {}, signal);
    request.end();
    try {
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      return response;
    } catch (error) {
      throw new ApiError(
        500,
        '',
        `Get "https://${endpoint.host}:${endpoint.port}${path}": ${(error as Error).message}`,
      );
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Turns a kubelet's refusal of a log into the API server's answer (pkg/registry/generic/rest/response_checker.go). */
export async function refusalOf(response: IncomingMessage, resource: string, name: string): Promise<ApiError> {
  let text = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > 50_000) break;
  }
  text = text.slice(0, 50_000);
  const code = response.statusCode ?? 500;
  const details = { name, kind: resource };
  if (code === 400) return badRequest(text);
  if (code === 500)
    return new ApiError(500, 'InternalError', `Internal error occurred: ${text}`, { causes: [{ message: text }] });
  const { reason, message } = genericAnswer(code, text);
  return new ApiError(code, reason, `${message} ( ${resource} ${name})`, details);
}

function genericAnswer(code: number, text: string): { reason: string; message: string } {
  switch (code) {
    case 401:
      return { reason: 'Unauthorized', message: 'the server has asked for the client to provide credentials' };
    case 403:
      return { reason: 'Forbidden', message: text };
    case 404:
      return { reason: 'NotFound', message: 'the server could not find the requested resource' };
    case 405:
      return { reason: 'MethodNotAllowed', message: 'the server does not allow this method on the requested resource' };
    case 422:
      return { reason: 'Invalid', message: 'the server rejected our request due to an error in our request' };
    case 429:
      return {
        reason: 'TooManyRequests',
        message: 'the server has received too many requests and has asked us to try again later',
      };
    case 503:
      return { reason: 'ServiceUnavailable', message: 'the server is currently unable to handle the request' };
    default:
      return code >= 500
        ? {
            reason: 'InternalError',
            message: `an error on the server (${JSON.stringify(text)}) has prevented the request from succeeding`,
          }
        : {
            reason: '',
            message: `the server responded with the status code ${code} but did not return more information`,
          };
  }
}

/** Newer than the client library's types. */
function declaredFeatures(status: KubeNode['status']): readonly string[] {
  return status?.declaredFeatures ?? [];
}
