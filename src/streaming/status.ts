import { messageOf } from '../core/errors.ts';
import type { ApiStatus } from '../core/objects.ts';
import type { ExitStatus } from '../providers/contract.ts';

/** What a session was doing, in the kubelet's words for its failure. */
export type SessionActivity = 'executing command in container' | 'attaching to container';

/**
 * The `metav1.Status` that ends a remote command which went its way: success, or the exit code in the form that
 * client-go decodes (`k8s.io/client-go/tools/remotecommand/v4.go`: an unsigned 8-bit number).
 */
export function exitedStatus(result: ExitStatus | void): ApiStatus {
  if (result === undefined || result.exitCode === 0) return { metadata: {}, status: 'Success' };
  const code = result.exitCode >= 0 && result.exitCode <= 255 ? result.exitCode : 255;
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: command terminated with exit code ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** The `metav1.Status` of a remote command that could not be run or was broken off (`apierrors.NewInternalError`). */
export function failedStatus(activity: SessionActivity, error: unknown): ApiStatus {
  const cause = `error ${activity}: ${messageOf(error)}`;
  return {
    metadata: {},
    status: 'Failure',
    message: `Internal error occurred: ${cause}`,
    reason: 'InternalError',
    details: { causes: [{ message: cause }] },
    code: 500,
  };
}

/** The bytes for protocols from v4 on: JSON as Go's encoder writes it, which escapes what HTML would mind. */
export function statusJson(status: ApiStatus): string {
  return JSON.stringify(status).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The bytes for protocols before v4: the plain message of a failure, nothing for success. */
export function statusText(status: ApiStatus): string {
  return status.status === 'Success' ? '' : (status.message ?? '');
}
