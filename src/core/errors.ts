/**
 * The one family of errors. Code that must decide looks at {@link codeOf}, which follows the cause chain;
 * it never looks at message text, and never at `instanceof` across packages.
 */

export const errorCodes = [
  'InvalidInput',
  'NotFound',
  'Conflict',
  'Unsupported',
  'Unavailable',
  'Timeout',
  'Forbidden',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An error whose `code` is stable API; `message` says what failed, on what object, and what to do. */
export class CodedError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = code;
    this.code = code;
  }
}

export const invalidInput = (message: string, cause?: unknown) => coded('InvalidInput', message, cause);
export const notFound = (message: string, cause?: unknown) => coded('NotFound', message, cause);
export const conflict = (message: string, cause?: unknown) => coded('Conflict', message, cause);
export const unsupported = (message: string, cause?: unknown) => coded('Unsupported', message, cause);
export const unavailable = (message: string, cause?: unknown) => coded('Unavailable', message, cause);
export const timedOut = (message: string, cause?: unknown) => coded('Timeout', message, cause);
export const forbidden = (message: string, cause?: unknown) => coded('Forbidden', message, cause);

function coded(code: ErrorCode, message: string, cause: unknown): CodedError {
  return new CodedError(code, message, cause === undefined ? undefined : { cause });
}

/** The first known code along the cause chain, or undefined. Survives wrapping and foreign copies of this module. */
export function codeOf(error: unknown): ErrorCode | undefined {
  for (let e: unknown = error, depth = 0; e instanceof Object && depth < 16; depth++) {
    const { code, cause } = e as { code?: unknown; cause?: unknown };
    if (errorCodes.includes(code as ErrorCode)) return code as ErrorCode;
    e = cause;
  }
  return undefined;
}

/** The message of anything thrown, for a log field or a condition; never a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A reason to abort with: whatever rethrows it ends quietly. */
export function abortReason(message: string): Error {
  return Object.assign(new Error(message), { name: 'AbortError' });
}

/** True when the error is how an abort shows itself: nothing to log, rethrow or end quietly. */
export function isAbort(error: unknown, signal?: AbortSignal): boolean {
  if (signal?.aborted === true) return true;
  // A DOMException of another realm is no `Error` of this one.
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return name === 'AbortError' || code === 'ABORT_ERR';
}
