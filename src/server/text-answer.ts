import type { ServerResponse } from 'node:http';

import type { Refusal } from './refusal.ts';

/** Answers with plain text, complete and with its length. */
export function answerText(res: ServerResponse, status: number, body: string): void {
  res.statusCode = status;
  if (!res.hasHeader('Content-Type')) res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(body);
}

/** Writes a refusal, unless the answer has already begun: then the connection is cut, so that nobody takes it for whole. */
export function answerRefusal(res: ServerResponse, refusal: Refusal): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  for (const [name, value] of Object.entries(refusal.headers)) res.setHeader(name, value);
  answerText(res, refusal.status, refusal.body);
}
