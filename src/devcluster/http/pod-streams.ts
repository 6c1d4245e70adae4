/** Subresources of a pod that its node's kubelet answers. Follows pkg/registry/core/pod/strategy.go and rest/. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

import type { Pod } from '../../core/objects.ts';
import { badRequest, fieldForbidden, fieldInvalid, invalid, type FieldError } from '../api-error.ts';
import type { KubeletClient } from './kubelet-client.ts';
import { refusalOf } from './kubelet-client.ts';
import { isTrue } from './request-info.ts';
import { forwardedHeaders, relayUpgrade, upgradeRequired, type Upgrade } from './upgrade-relay.ts';

/** GET pods/{name}/log */
export async function serveLog(
  pod: Pod,
  query: URLSearchParams,
  response: ServerResponse,
  kubelet: KubeletClient,
): Promise<void> {
  const { name, namespace } = pod.metadata;
  const errors = validateLogOptions(query);
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, name, errors);
  const container = containerOf(pod, query.get('container') ?? '');
  const headers = { 'content-type': 'text/plain', 'cache-control': 'no-cache, private' };
  if (!pod.spec.nodeName) {
    response.writeHead(200, headers).end();
    return;
  }
  const forwarded = new URLSearchParams();
  for (const flag of ['follow', 'previous', 'timestamps']) if (isTrue(query.get(flag))) forwarded.set(flag, 'true');
  for (const key of ['limitBytes', 'sinceSeconds', 'sinceTime', 'tailLines']) {
    const value = query.get(key);
    if (value !== null && value !== '') forwarded.set(key, value);
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const path = `/containerLogs/${namespace}/${name}/${container}${forwarded.size > 0 ? `?${forwarded.toString()}` : ''}`;
  const reply = await kubelet.get(kubelet.endpointOf(pod.spec.nodeName, 'pods'), path, gone.signal);
  if (reply.statusCode !== 200) throw await refusalOf(reply, 'pods/log', name);
  response.writeHead(200, headers);
  response.flushHeaders();
  // A client that goes, or a kubelet that breaks off, ends both; there is nobody left to tell.
  await pipeline(reply, response).catch(() => response.destroy());
}

export type StreamSubresource = 'exec' | 'attach' | 'portforward';

/** exec, attach and portforward: the upgraded connection is passed through to the kubelet. */
export async function serveStream(
  subresource: StreamSubresource,
  pod: Pod,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
  upgrade: Upgrade | undefined,
  kubelet: KubeletClient,
): Promise<void> {
  const { name, namespace } = pod.metadata;
  const container = subresource === 'portforward' ? undefined : containerOf(pod, query.get('container') ?? '');
  if (!pod.spec.nodeName) throw badRequest(`pod ${name} does not have a host assigned`);
  const endpoint = kubelet.endpointOf(pod.spec.nodeName, 'pods');
  if (upgrade === undefined) throw upgradeRequired();
  refuseUntranslatable(request, endpoint.features);
  const path = `/${subresource === 'portforward' ? 'portForward' : subresource}/${namespace}/${name}${container === undefined ? '' : `/${container}`}`;
  const forwarded = subresource === 'portforward' ? portForwardParameters(query) : streamParameters(subresource, query);
  const target = forwarded.size > 0 ? `${path}?${forwarded.toString()}` : path;
  await relayUpgrade(
    kubelet.request(endpoint, target, request.method ?? 'GET', forwardedHeaders(request)),
    response,
    upgrade,
  );
}

/** The named container, or the only one (`validateContainer` of the pod strategy). */
function containerOf({ metadata, spec }: Pod, wanted: string): string {
  const all = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])].map(
    (c) => c.name,
  );
  if (wanted !== '') {
    if (!all.includes(wanted)) throw badRequest(`container ${wanted} is not valid for pod ${metadata.name}`);
    return wanted;
  }
  const only = spec.containers[0];
  if (only !== undefined && spec.containers.length === 1) return only.name;
  throw badRequest(`a container name must be specified for pod ${metadata.name}, choose one of: [${all.join(' ')}]`);
}

function validateLogOptions(query: URLSearchParams): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, least] of [
    ['tailLines', 0],
    ['limitBytes', 1],
    ['sinceSeconds', 1],
  ] as const) {
    const text = query.get(key);
    if (text === null || text === '') continue;
    if (!/^-?\d+$/.test(text)) throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
    const message = least === 0 ? 'must be greater than or equal to 0' : 'must be greater than 0';
    if (Number(text) < least) errors.push(fieldInvalid(key, Number(text), message));
  }
  const sinceTime = query.get('sinceTime');
  if (sinceTime && Number.isNaN(Date.parse(sinceTime)))
    throw badRequest(`parsing time ${JSON.stringify(sinceTime)} as "2006-01-02T15:04:05Z07:00": cannot parse`);
  if (sinceTime && query.get('sinceSeconds'))
    errors.push(fieldForbidden('[]', 'at most one of `sinceTime` or `sinceSeconds` may be specified'));
  return errors;
}

function streamParameters(subresource: 'exec' | 'attach', query: URLSearchParams): URLSearchParams {
  const parameters = new URLSearchParams();
  for (const [ours, theirs] of [
    ['stdin', 'input'],
    ['stdout', 'output'],
    ['stderr', 'error'],
    ['tty', 'tty'],
  ] as const) {
    if (isTrue(query.get(ours))) parameters.set(theirs, '1');
  }
  if (subresource === 'exec') for (const word of query.getAll('command')) parameters.append('command', word);
  return parameters;
}

function portForwardParameters(query: URLSearchParams): URLSearchParams {
  const ports = query.getAll('ports').flatMap((list) => list.split(','));
  return new URLSearchParams(ports.length > 0 ? { port: ports.join(',') } : {});
}

/**
 * The API server translates two WebSocket protocols for nodes that do not declare that they speak them; this one
 * does not translate, and says so. kubectl then falls back to SPDY, which is passed through.
 */
function refuseUntranslatable({ headers }: IncomingMessage, features: readonly string[]): void {
  if (features.includes('ExtendWebSocketsToKubelet')) return;
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
  const untranslated = offered.find((protocol) => protocol === 'v5.channel.k8s.io' || protocol.startsWith('SPDY/3.1+'));
  if (untranslated === undefined) return;
  throw badRequest(
    `the node does not declare ExtendWebSocketsToKubelet, and the development cluster does not translate ${untranslated}`,
  );
}
