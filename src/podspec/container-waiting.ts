import type { ContainerWaiting } from '../providers/contract.ts';

/** Why a container cannot be created now: an error whose `waitingReason` becomes the container's waiting state. */
export class ContainerWaitingError extends Error implements ContainerWaiting {
  readonly waitingReason: string;

  constructor(waitingReason: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = waitingReason;
    this.waitingReason = waitingReason;
  }
}

/** A {@link ContainerWaitingError}: `reason` is a waiting reason, `message` the kubelet's words for it. */
export function containerWaiting(reason: string, message: string, cause?: unknown): ContainerWaitingError {
  return new ContainerWaitingError(reason, message, cause === undefined ? undefined : { cause });
}

/** True for this room's errors and for those of a runtime that has its own class. */
export function isContainerWaiting(error: unknown): error is ContainerWaiting {
  return error instanceof Error && typeof (error as Partial<ContainerWaiting>).waitingReason === 'string';
}

/** The waiting reason of a container whose spec cannot be made concrete. */
export const createContainerConfigError = 'CreateContainerConfigError';

/** Anything thrown while a container's configuration is made, as the waiting state it leads to. */
export function asConfigError(error: unknown): ContainerWaiting {
  if (isContainerWaiting(error)) return error;
  return containerWaiting(createContainerConfigError, error instanceof Error ? error.message : String(error), error);
}
