/**
 * What a provider plugin imports from `anylet`. The contract is types only; a plugin that needs no more than them has
 * nothing of anylet at run time.
 */
export {
  CodedError,
  codeOf,
  conflict,
  forbidden,
  invalidInput,
  messageOf,
  notFound,
  timedOut,
  unavailable,
  unsupported,
} from './core/errors.ts';
export type { ErrorCode } from './core/errors.ts';
export { rfc3339 } from './core/clock.ts';
export type { Clock } from './core/clock.ts';
export { LatestQueue } from './core/latest-queue.ts';
export type { LogFields, Logger } from './core/logger.ts';
export type * from './core/objects.ts';
export type * from './providers/contract.ts';
// Of the two of that name, the one that reports are made of.
export type { ContainerState } from './providers/contract.ts';
