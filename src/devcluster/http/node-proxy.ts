import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

import { ApiError, badRequest } from '../api-error.ts';
import type { KubeletClient } from './kubelet-client.ts';
import { endToEndHeaders, forwardedHeaders, relayUpgrade, type Upgrade } from './upgrade-relay.ts';

/**
 * nodes/{name}/proxy/{path}: any request, passed to the node's kubelet as it is. The node may be written
 * `name`, `name:port` or `https:name:port`; only the kubelet's own port is reachable.
 */
export async function serveNodeProxy(
  node: string,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: Upgrade | undefined,
  kubelet: KubeletClient,
): Promise<void> {
  const match = /^(?:(https?):)?([^:]+)(?::(\d*))?$/.exec(node);
  if (match === null) throw badRequest(`invalid node request ${JSON.stringify(node)}`);
  const endpoint = kubelet.endpointOf(match[2] as string, 'nodes');
  if (match[3] && Number(match[3]) !== endpoint.port)
    throw badRequest(`the development cluster proxies to a node's kubelet only, which listens on ${endpoint.port}`);
  const upstream = kubelet.request(
    endpoint,
    path === '' ? '/' : path,
    request.method ?? 'GET',
    forwardedHeaders(request),
  );
  if (upgrade !== undefined) return relayUpgrade(upstream, response, upgrade);

  response.once('close', () => upstream.destroy());
  const reply = await new Promise<IncomingMessage>((resolve, reject) => {
    upstream.once('response', resolve);
    upstream.once('error', (error) =>
      reject(new ApiError(503, 'ServiceUnavailable', `error trying to reach service: ${error.message}`)),
    );
    // When the client breaks off, the close above ends the other side too.
    pipeline(request, upstream).catch(reject);
  });
  response.writeHead(reply.statusCode ?? 502, endToEndHeaders(reply));
  response.flushHeaders();
  await pipeline(reply, response).catch(() => response.destroy());
}
