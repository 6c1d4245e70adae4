import type { IncomingMessage, ServerResponse } from 'node:http';

import { ApiError, internalError, mediaTypesAccepted, notAcceptable } from '../api-error.ts';
import { yamlText } from './yaml.ts';

/** What the client wants an answer to be made of. */
export type Form = 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList';

const mediaTypes = ['application/json', 'application/yaml', 'application/*', '*/*'];

/** Writes JSON that is already text, under the content type that is set; as YAML for who would rather have that. */
export function answerText(
  response: ServerResponse,
  code: number,
  text: string,
  warnings: readonly string[] = [],
): void {
  if (warnings.length > 0)
    response.setHeader(
      'warning',
      warnings.map((warning) => `299 - ${JSON.stringify(warning)}`),
    );
  const yaml = wantsYaml(response.req);
  const body = yaml ? yamlText(JSON.parse(text)) : text;
  if (!response.hasHeader('content-type'))
    response.setHeader('content-type', yaml ? 'application/yaml' : 'application/json');
  response.writeHead(code, {
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-cache, private',
  });
  response.end(body);
}

export function answerPlain(response: ServerResponse, text: string): void {
  response
    .writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' })
    .end(text);
}

/** A path outside everything that is served, which the API server answers without a Status. */
export function answerNoSuchPath(response: ServerResponse): void {
  response
    .writeHead(404, { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' })
    .end('404 page not found\n');
}

/** Answers with the `metav1.Status` of what was thrown; what no request can cause is a 500. */
export function answerError(response: ServerResponse, error: unknown): void {
  const known =
    error instanceof ApiError ? error : internalError(error instanceof Error ? error.message : String(error));
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const retryAfter = known.details?.retryAfterSeconds;
  if (retryAfter !== undefined) response.setHeader('retry-after', String(retryAfter));
  answerText(response, known.code, JSON.stringify(known.toStatus()));
}

/**
 * What the client takes best of what there is: 406 when that is nothing. Protobuf is never what there is: clients
 * that ask for it take JSON too. Follows k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go.
 */
export function negotiate(request: IncomingMessage): Form {
  const entries = acceptedBy(request);
  if (entries.length === 0) return 'object';
  let known = false;
  for (const { type, parameters } of entries) {
    if (!mediaTypes.includes(type)) continue;
    known = true;
    const { as, g: group, v: version } = parameters;
    if (as === undefined) return 'object';
    if (group !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1')) continue;
    if (as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return as;
  }
  throw known ? mediaTypesAccepted() : notAcceptable();
}

/** The version of aggregated discovery that the client takes best, if it takes one. */
export function discoveryVersion(request: IncomingMessage): 'v2' | undefined {
  const entries = acceptedBy(request);
  for (const { type, parameters } of entries) {
    if (!mediaTypes.includes(type)) continue;
    const { as, g: group, v: version } = parameters;
    if (as === undefined) return undefined;
    if (as === 'APIGroupDiscoveryList' && group === 'apidiscovery.k8s.io' && version === 'v2') return version;
  }
  if (entries.length > 0) throw mediaTypesAccepted();
  return undefined;
}

interface Accepted {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
}

function acceptedBy(request: IncomingMessage): Accepted[] {
  const { accept = '' } = request.headers;
  if (accept === '') return [];
  return accept.split(',').map((entry) => {
    const [type = '', ...parameters] = entry.split(';').map((part) => part.trim());
    return { type, parameters: Object.fromEntries(parameters.map((parameter) => parameter.split('=', 2))) };
  });
}

function wantsYaml(request: IncomingMessage): boolean {
  return acceptedBy(request).find(({ type }) => mediaTypes.includes(type))?.type === 'application/yaml';
}
