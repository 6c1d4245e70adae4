import { codeOf, messageOf, type ErrorCode } from '../core/errors.ts';
import { UpgradeRefused } from '../streaming/index.ts';

/** An answer that is not a success: thrown by a handler, written in one place. `body` is what kubectl prints. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;

  constructor(status: number, body: string, headers: Readonly<Record<string, string | readonly string[]>> = {}) {
    super(body);
    this.name = 'Refusal';
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Go's `http.Error` ends its text with a line feed and forbids content sniffing; some kubelet answers are made by it. */
export function goError(status: number, text: string): Refusal {
  return new Refusal(status, `${text}\n`, { 'X-Content-Type-Options': 'nosniff' });
}

/** The provider lacks a capability: 501, naming both. */
export function lacking(provider: string, capability: string): Refusal {
  return new Refusal(501, `provider "${provider}" does not support ${capability}`);
}

const statuses: Readonly<Record<ErrorCode, number>> = {
  InvalidInput: 400,
  Forbidden: 403,
  NotFound: 404,
  Conflict: 409,
  Unsupported: 501,
  Unavailable: 503,
  Timeout: 504,
};

/** What is answered to anything thrown. Unknown errors are 500 with their message, as the kubelet's. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof UpgradeRefused) return new Refusal(error.status, error.body, error.headers);
  if (error instanceof URIError) return new Refusal(400, 'Bad Request');
  const code = codeOf(error);
  return new Refusal(code === undefined ? 500 : statuses[code], messageOf(error));
}
