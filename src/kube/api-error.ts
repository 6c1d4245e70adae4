import { CodedError } from '../core/errors.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { ApiStatus } from '../core/objects.ts';

/** An API server's refusal. The message is the server's own (`metav1.Status`), which names a missing permission. */
export class ApiError extends CodedError {
  readonly httpStatus: number;
  /** `metav1.Status.reason`, e.g. `AlreadyExists`, `Conflict`, `Expired`. */
  readonly reason: string | undefined;
  /** What the server said, without the request in front. */
  readonly serverMessage: string;
  /** How long the server asks to wait (`Retry-After`). */
  readonly retryAfterMs: number | undefined;

  constructor(request: string, httpStatus: number, status: Partial<ApiStatus>, retryAfterSeconds?: number) {
    const serverMessage = status.message || status.reason || `HTTP status ${httpStatus}`;
    super(missesUid(status) ? 'Conflict' : codeFor(httpStatus), `${request}: ${serverMessage}`);
    this.httpStatus = httpStatus;
    this.reason = status.reason;
    this.serverMessage = serverMessage;
    const seconds = retryAfterSeconds ?? status.details?.retryAfterSeconds;
    this.retryAfterMs = seconds === undefined ? undefined : seconds * 1000;
  }
}

/**
 * The error of an answer that is not 2xx. `body` is shown only when it is a `metav1.Status`: what a proxy in between
 * has to say is not ours to repeat.
 */
export function errorFromAnswer(
  request: string,
  httpStatus: number,
  body: string,
  retryAfter: string | undefined,
): ApiError {
  const seconds = Number.parseInt(retryAfter ?? '', 10);
  return new ApiError(
    request,
    httpStatus,
    statusIn(body),
    Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined,
  );
}

/** The HTTP status of an API server's refusal, wherever it is in the cause chain. */
export function httpStatusOf(error: unknown): number | undefined {
  return apiErrorIn(error)?.httpStatus;
}

/** How long the server asked to wait before the next try. */
export function retryAfterOf(error: unknown): number | undefined {
  return apiErrorIn(error)?.retryAfterMs;
}

/** 410: the resource version or continue token is too old; list anew. */
export function isExpired(error: unknown): boolean {
  return httpStatusOf(error) === 410;
}

function apiErrorIn(error: unknown): ApiError | undefined {
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 16; e = e.cause, depth++)
    if (e instanceof ApiError) return e;
  return undefined;
}

function statusIn(body: string): Partial<ApiStatus> {
  try {
    const value: unknown = JSON.parse(body);
    return isStatus(value) ? value : {};
  } catch {
    return {};
  }
}

/**
 * A patch that names the UID of an object which is no more is answered 422, as if it tried to change the UID: it is
 * the precondition that failed.
 */
function missesUid(status: Partial<ApiStatus>): boolean {
  return status.details?.causes?.some(({ field }) => field === 'metadata.uid') === true;
}

function isStatus(value: unknown): value is ApiStatus {
  return value instanceof Object && (value as { kind?: unknown }).kind === 'Status';
}

function codeFor(httpStatus: number): ErrorCode {
  switch (httpStatus) {
    case 400:
    case 413:
    case 422:
      return 'InvalidInput';
    case 401:
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 405:
    case 406:
    case 415:
    case 501:
      return 'Unsupported';
    case 408:
    case 504:
      return 'Timeout';
    case 409:
      return 'Conflict';
    default:
      return 'Unavailable';
  }
}
