import { open, realpath } from 'node:fs/promises';

import { CodedError, messageOf } from '../../core/errors.ts';
import type { LogOptions } from '../../providers/contract.ts';
import { LogReader, type LogSource } from './log-reader.ts';
import { tailStart } from './tail.ts';

/**
 * The bytes of a container's log as `kubectl logs` prints them, from a file in CRI format or docker's JSON lines.
 * Tail, then since, then limit apply, in this order. A follower gets what is written until the container has ended
 * and everything is read, through rotations of the file. A line that is not complete yet is held back until it is, or
 * until the container has ended. Lines that are not entries are skipped, unless the first is none: then the
 * iteration rejects, as it does for a file that cannot be read.
 *
 * Rejects with `NotFound` when there is no file, in the kubelet's words. The kubelet itself has sent its headers by
 * then, so `kubectl logs` prints such a text as if it were the log.
 *
 * Follows `ReadLogs` of cri-client/pkg/logs/logs.go.
 */
export async function readContainerLog(
  path: string,
  options: LogOptions,
  source: LogSource,
): Promise<AsyncIterable<Uint8Array>> {
  source.signal.throwIfAborted();
  const target = await describe(`failed to try resolving symlinks in path "${path}": lstat ${path}`, () =>
    realpath(path));
  const file = await describe(`failed to open log file "${target}": open ${target}`, () => open(target, 'r'));
  try {
    const { size } = await file.stat();
    const start = options.tailLines === undefined ? 0 : await tailStart(file, size, options.tailLines);
    return await LogReader.at(target, file, start, options, source);
  } catch (err) {
    await file.close();
    throw err;
  }
}

async function describe<T>(what: string, fn: () => Promise<T>): Promise<T> {
  try {
    return await fn();
  } catch (err) {
    const missing = (err as NodeJS.ErrnoException).code === 'ENOENT';
    throw new CodedError(
      missing ? 'NotFound' : 'Unavailable',
      `${what}: ${missing ? 'no such file or directory' : messageOf(err)}`,
      { cause: err },
    );
  }
}
