import { CodedError, codeOf, errorCodes, messageOf } from '../../core/errors.ts';
import type { WireError } from './protocol.ts';
import { containerWaiting } from '../../podspec/container-waiting.ts';

/** An error as it goes over the socket: what decides about it is kept, its stack is not. */
export function toWire(error: unknown): WireError {
  const code = codeOf(error);
  const waitingReason = error instanceof Object ? (error as { waitingReason?: unknown }).waitingReason : undefined;
  return {
    message: messageOf(error),
    ...(code === undefined ? {} : { code }),
    ...(typeof waitingReason === 'string' ? { waitingReason } : {}),
  };
}

/** The error again, on the other side. */
export function fromWire(wire: WireError): Error {
  if (wire.waitingReason !== undefined) return containerWaiting(wire.waitingReason, wire.message);
  const code = errorCodes.find((known) => known === wire.code);
  return code === undefined ? new Error(wire.message) : new CodedError(code, wire.message);
}
