import type { IncomingMessage, ServerResponse } from 'node:http';

import { ApiError, internalError, notAcceptable } from '../api-error.ts';

/** Writes JSON that is already text. */
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
  response.writeHead(code, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
  });
  response.end(text);
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

/** Whether the client wants objects or a Table of them; it takes neither: 406. */
export function negotiate(request: IncomingMessage): 'object' | 'table' {
  const accept = request.headers.accept;
  if (accept === undefined || accept === '') return 'object';
  for (const entry of accept.split(',')) {
    const [type = '', ...parameters] = entry.split(';').map((part) => part.trim());
    if (type !== 'application/json' && type !== 'application/*' && type !== '*/*') continue;
    const as = parameters.find((parameter) => parameter.startsWith('as='))?.slice(3);
    if (as === undefined) return 'object';
    if (as === 'Table' && parameters.includes('v=v1')) return 'table';
  }
  throw notAcceptable();
}
