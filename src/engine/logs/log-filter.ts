import type { LogOptions } from '../../providers/contract.ts';
import type { LogEntry } from './entry.ts';
import type { Output } from './output.ts';
import { fixedWidthTimestamp, timestampMs } from './timestamp.ts';

const newline = 0x0a;
const space = Buffer.from(' ');

/**
 * What of a log's entries a client asked for, and in which form. Entries are counted before they are filtered, so
 * "the last 10 since a minute ago" may be fewer than 10. Follows `logWriter` of cri-client/pkg/logs/logs.go.
 */
export class LogFilter {
  readonly #options: LogOptions;
  #bytesLeft: number;
  #entriesLeft: number;
  /** A line that is spread over several entries gets one timestamp, before its first. */
  #atLineStart = true;

  constructor(options: LogOptions) {
    this.#options = options;
    this.#bytesLeft = options.limitBytes ?? Number.POSITIVE_INFINITY;
    // A follower wants the last lines and all that come; anyone else no more than was asked for, however the log grows.
    this.#entriesLeft = options.follow ? Number.POSITIVE_INFINITY : (options.tailLines ?? Number.POSITIVE_INFINITY);
  }

  /** Nothing more will pass. */
  get isDone(): boolean {
    return this.#bytesLeft <= 0 || this.#entriesLeft <= 0;
  }

  /** Appends the entry to `output` in the form that was asked for, if it passes. */
  write(entry: LogEntry, output: Output): void {
    const { sinceMs } = this.#options;
    const isOld = sinceMs !== undefined && timestampMs(entry.time, entry.timeStart, entry.timeEnd) < sinceMs;
    if (!isOld) this.#writePassed(entry, output);
    this.#entriesLeft--;
    const { text, textStart, textEnd } = entry;
    this.#atLineStart = textEnd === textStart || text[textEnd - 1] === newline;
  }

  #writePassed(entry: LogEntry, output: Output): void {
    const { stream, timestamps } = this.#options;
    if (stream !== 'All' && stream !== entry.stream) return;
    if (timestamps && this.#atLineStart) {
      const time = fixedWidthTimestamp(entry.time, entry.timeStart, entry.timeEnd);
      this.#append(output, time, 0, time.length);
      this.#append(output, space, 0, space.length);
    }
    this.#append(output, entry.text, entry.textStart, entry.textEnd);
  }

  #append(output: Output, bytes: Buffer, start: number, end: number): void {
    const allowed = Math.min(end - start, this.#bytesLeft);
    if (allowed > 0) output.append(bytes, start, start + allowed);
    this.#bytesLeft -= allowed;
  }
}
