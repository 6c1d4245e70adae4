import { CodedError, codeOf, messageOf } from '../../core/errors.ts';

/** One volume that could not be made ready. */
export interface VolumeFailure {
  readonly volume: string;
  readonly cause: unknown;
}

/**
 * Volumes that could not be made ready. `messages` has one text per volume, each that of a `FailedMount` event of the
 * kubelet; `message` is the first of them. The code is `Unsupported` if any volume's is, for that will not change by
 * trying again; else the first cause's.
 */
export class FailedMountError extends CodedError {
  readonly messages: readonly string[];

  constructor(failures: readonly [VolumeFailure, ...VolumeFailure[]]) {
    const codes = failures.map(({ cause }) => codeOf(cause));
    const code = codes.includes('Unsupported') ? 'Unsupported' : codes[0];
    const messages = failures.map(
      ({ volume, cause }) => `MountVolume.SetUp failed for volume "${volume}" : ${messageOf(cause)}`,
    );
    super(code ?? 'Unavailable', messages[0] ?? '', { cause: failures[0].cause });
    this.messages = messages;
  }
}
