/** What tests may know of the requests that came, and do to those that come. */
import type { IncomingHttpHeaders } from 'node:http';

import type { ApiStatus } from '../../core/objects.ts';
import { pathPattern, type RequestInfo } from './request-info.ts';

/** One request as it came. `status` is 0 until it is answered. */
export interface RecordedRequest {
  readonly method: string;
  readonly verb: string;
  readonly path: string;
  /** The path with names replaced: `/api/v1/namespaces/{namespace}/pods/{name}/status`. */
  readonly pattern: string;
  readonly query: Readonly<Record<string, string>>;
  readonly contentType: string | undefined;
  readonly userAgent: string | undefined;
  user: string | undefined;
  status: number;
}

/** Which requests; what is absent matches all. A string matches the path, the pattern, or the beginning of the path when it ends with `*`. */
export interface RequestMatch {
  readonly method?: string;
  readonly verb?: string;
  readonly path?: string | RegExp;
  readonly user?: string;
}

/** What happens to a request instead of its answer. */
export type Fault =
  | {
      readonly status: number;
      readonly reason?: string;
      readonly message?: string;
      readonly retryAfterSeconds?: number;
    }
  /** The connection is cut before an answer; `after` lets the request take effect first. */
  | { readonly reset: 'before' | 'after' }
  /** No answer ever, until the client gives up or the server stops. */
  | { readonly hang: true };

interface PlannedFault {
  readonly match: RequestMatch;
  readonly fault: Fault;
  remaining: number;
}

const longestRecord = 20_000;

export class Traffic {
  readonly #requests: RecordedRequest[] = [];
  #faults: PlannedFault[] = [];

  /** Notes a request and returns its record and what is to go wrong with it. */
  begin(
    method: string,
    url: URL,
    info: RequestInfo,
    headers: IncomingHttpHeaders,
  ): { record: RecordedRequest; fault: Fault | undefined } {
    const record: RecordedRequest = {
      method,
      verb: info.verb,
      path: url.pathname,
      pattern: pathPattern(info),
      query: Object.fromEntries(url.searchParams),
      contentType: headers['content-type'],
      userAgent: headers['user-agent'],
      user: undefined,
      status: 0,
    };
    if (this.#requests.push(record) > longestRecord) this.#requests.splice(0, longestRecord / 2);
    const planned = this.#faults.find(({ match }) => matches(match, record));
    if (planned !== undefined && --planned.remaining === 0)
      this.#faults = this.#faults.filter((other) => other !== planned);
    return { record, fault: planned?.fault };
  }

  requests(match: RequestMatch = {}): RecordedRequest[] {
    return this.#requests.filter((request) => matches(match, request));
  }

  /** How many requests there were of each verb and pattern: `patch /api/v1/namespaces/{namespace}/pods/{name}/status`. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { verb, pattern } of this.#requests)
      counts.set(`${verb} ${pattern}`, (counts.get(`${verb} ${pattern}`) ?? 0) + 1);
    return counts;
  }

  forget(): void {
    this.#requests.length = 0;
  }

  /** The next `times` requests that match meet this fault. */
  fail(match: RequestMatch, fault: Fault, times: number): void {
    this.#faults.push({ match, fault, remaining: times });
  }

  heal(): void {
    this.#faults = [];
  }
}

/** The Status of a planned failure, in the words that the API server has for its code. */
export function statusOfFault({
  status,
  reason,
  message,
  retryAfterSeconds,
}: Extract<Fault, { status: number }>): ApiStatus {
  const details = retryAfterSeconds === undefined ? {} : { details: { retryAfterSeconds } };
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: message ?? `planned failure with status ${status}`,
    reason: reason ?? 'InternalError',
    ...details,
    code: status,
  };
}

function matches({ method, verb, path, user }: RequestMatch, request: RecordedRequest): boolean {
  if (method !== undefined && method !== request.method) return false;
  if (verb !== undefined && verb !== request.verb) return false;
  if (user !== undefined && request.user !== undefined && user !== request.user) return false;
  if (path === undefined) return true;
  if (path instanceof RegExp) return path.test(request.path);
  return path.endsWith('*')
    ? request.path.startsWith(path.slice(0, -1))
    : path === request.path || path === request.pattern;
}
