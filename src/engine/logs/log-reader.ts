import type { BigIntStats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';

import type { Clock } from '../../core/clock.ts';
import { unavailable, unsupported, messageOf } from '../../core/errors.ts';
import { goQuote } from '../../podspec/go-quote.ts';
import type { LogOptions } from '../../providers/contract.ts';
import { emptyEntry, parseCriEntry, parseDockerEntry, type EntryParser } from './entry.ts';
import { FileChanges } from './file-changes.ts';
import { LogFilter } from './log-filter.ts';
import { Output } from './output.ts';

/** What a reader must know beside the file. */
export interface LogSource {
  /** False once the container will write no more. Asked before each look for the end of the file. */
  readonly isRunning: () => boolean;
  /** Aborted when the container ends: a follower then ends at once, not at its next look a second later. */
  readonly ended?: AbortSignal;
  readonly clock: Clock;
  /** Aborted when the client leaves: files are closed and the iteration rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

const newline = 0x0a;
/** Large blocks are faster; followers are many, and mostly have little to read. */
const blockSize = 256 * 1024;
const followBlockSize = 64 * 1024;
/** Runtimes split lines at 16 KiB; a file with longer entries than this is no container's log. */
const longestEntry = 16 * 1024 * 1024;
const longestQuote = 1024;

type FileIdentity = Pick<BigIntStats, 'dev' | 'ino'>;

function isSame(a: FileIdentity, b: FileIdentity): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

/** Reads one log file, and those that replace it, from an offset on. An iterable that can be iterated once. */
export class LogReader implements AsyncIterable<Uint8Array> {
  readonly #path: string;
  readonly #options: LogOptions;
  readonly #source: LogSource;
  readonly #filter: LogFilter;
  readonly #output = new Output();
  readonly #entry = emptyEntry();
  #parse: EntryParser | undefined;
  #file: FileHandle;
  #identity: FileIdentity;
  #position: number;
  /** What is read and not parsed yet: `#filled` bytes, the beginning of an entry. */
  #block = Buffer.alloc(0);
  #filled = 0;
  #changes: FileChanges | undefined;
  #closed: Promise<void> | undefined;

  private constructor(
    path: string,
    file: FileHandle,
    identity: FileIdentity,
    start: number,
    options: LogOptions,
    source: LogSource,
  ) {
    this.#path = path;
    this.#file = file;
    this.#identity = identity;
    this.#position = start;
    this.#options = options;
    this.#source = source;
    this.#filter = new LogFilter(options);
  }

  /** A reader of `file`, which lies at `path`, from byte `start` on. It owns the file once this has resolved. */
  static async at(
    path: string,
    file: FileHandle,
    start: number,
    options: LogOptions,
    source: LogSource,
  ): Promise<LogReader> {
    const reader = new LogReader(path, file, await file.stat({ bigint: true }), start, options, source);
    source.signal.addEventListener('abort', reader.#abort, { once: true });
    if (source.signal.aborted) reader.#abort();
    return reader;
  }

  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const chunks = this.#chunks();
    const plain = { next: chunks.next.bind(chunks), throw: chunks.throw.bind(chunks) };
    const leave = async (): Promise<IteratorReturnResult<void>> => {
      // A generator that waits for the file to change cannot be told to return: closing ends the wait.
      await this.#close();
      await chunks.return();
      return { done: true, value: undefined };
    };
    return {
      ...plain,
      return: leave,
      [Symbol.asyncIterator]() {
        return this;
      },
      [Symbol.asyncDispose]: async () => void (await leave()),
    };
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#readAll();
    } catch (err) {
      // What closing makes fail is no failure.
      if (!this.#isClosed()) throw err;
    } finally {
      await this.#close();
    }
    this.#source.signal.throwIfAborted();
  }

  async *#readAll(): AsyncGenerator<Uint8Array, void, undefined> {
    while (!this.#isOver()) {
      // Asked before reading to the end: what is written between the two is then read too.
      const running = this.#source.isRunning();
      yield* this.#readToEnd();
      if (this.#isOver()) return;
      const successor = this.#options.follow ? await this.#successor() : undefined;
      if (successor !== undefined) {
        yield* this.#finishFile();
        await this.#replaceFile(successor);
      } else if (!running) {
        yield* this.#finishFile();
        return;
      } else if (this.#options.follow) {
        await this.#change();
      } else {
        return;
      }
    }
  }

  /** Everything up to the present end of the file but a last line that is not complete. */
  async *#readToEnd(): AsyncGenerator<Uint8Array, void, undefined> {
    while (!this.#isOver()) {
      const block = this.#roomyBlock();
      const bytesRead = await this.#read(block);
      if (bytesRead === 0) return;
      this.#position += bytesRead;
      this.#filled += bytesRead;
      const parsed = this.#parseLines(block, this.#filled);
      block.copyWithin(0, parsed, this.#filled);
      this.#filled -= parsed;
      const chunk = this.#output.take();
      if (chunk !== undefined) yield chunk;
    }
  }

  /** The rest of a file that will not grow, its incomplete last line included. */
  async *#finishFile(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#readToEnd();
    if (this.#filled === 0 || this.#isOver()) return;
    this.#parseLine(this.#block, 0, this.#filled);
    this.#filled = 0;
    const chunk = this.#output.take();
    if (chunk !== undefined) yield chunk;
  }

  async #read(block: Buffer): Promise<number> {
    try {
      const { bytesRead } = await this.#file.read(block, this.#filled, block.length - this.#filled, this.#position);
      return bytesRead;
    } catch (err) {
      throw unavailable(`failed to read log file "${this.#path}": ${messageOf(err)}`, err);
    }
  }

  /** The block, with room for more: a new one when it was given up, a larger one when an entry fills it. */
  #roomyBlock(): Buffer {
    if (this.#filled < this.#block.length) return this.#block;
    if (this.#filled >= longestEntry)
      throw unsupported(`failed to read log file "${this.#path}": a line is longer than ${longestEntry} bytes`);
    const larger = Buffer.allocUnsafeSlow(
      Math.max(this.#options.follow ? followBlockSize : blockSize, this.#filled * 2),
    );
    this.#block.copy(larger, 0, 0, this.#filled);
    this.#block = larger;
    return larger;
  }

  /** Parses the complete lines of the first `length` bytes; returns how many bytes those were. */
  #parseLines(block: Buffer, length: number): number {
    const read = block.subarray(0, length);
    let start = 0;
    while (!this.#filter.isDone) {
      const end = read.indexOf(newline, start);
      if (end < 0) break;
      this.#parseLine(block, start, end + 1);
      start = end + 1;
    }
    return start;
  }

  #parseLine(block: Buffer, start: number, end: number): void {
    this.#parse ??= this.#formatOf(block, start, end);
    if (this.#parse(block, start, end, this.#entry)) this.#filter.write(this.#entry, this.#output);
  }

  #formatOf(block: Buffer, start: number, end: number): EntryParser {
    const parser = [parseCriEntry, parseDockerEntry].find((parse) => parse(block, start, end, this.#entry));
    if (parser !== undefined) return parser;
    const line = block.toString('utf8', start, Math.min(end, start + longestQuote));
    throw unsupported(`failed to get parse function: unsupported log format: ${goQuote(line)}`);
  }

  /** The file that has taken this one's place at its path; undefined while there is none. */
  async #successor(): Promise<FileHandle | undefined> {
    let candidate: FileHandle | undefined;
    try {
      if (isSame(await stat(this.#path, { bigint: true }), this.#identity)) return undefined;
      candidate = await open(this.#path, 'r');
      this.#identity = await candidate.stat({ bigint: true });
      return candidate;
    } catch (err) {
      await candidate?.close();
      // Between its renaming and the new file's creation a path names nothing.
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unavailable(`failed to open log file "${this.#path}": ${messageOf(err)}`, err);
    }
  }

  async #replaceFile(successor: FileHandle): Promise<void> {
    const old = this.#file;
    this.#file = successor;
    this.#position = 0;
    this.#filled = 0;
    await old.close();
    // Closing may have begun with the old file still in place.
    if (this.#isClosed()) await successor.close();
  }

  async #change(): Promise<void> {
    if (this.#changes === undefined) {
      this.#changes = new FileChanges(this.#path, this.#source.clock);
      this.#source.ended?.addEventListener('abort', this.#changes.notify, { once: true });
    }
    // Followers are many and wait nearly all the time: only what is not parsed yet is kept meanwhile.
    this.#block = Buffer.from(this.#block.subarray(0, this.#filled));
    await this.#changes.wait();
  }

  readonly #abort = (): void => {
    void this.#close();
  };

  #isOver(): boolean {
    return this.#filter.isDone || this.#isClosed();
  }

  #isClosed(): boolean {
    return this.#closed !== undefined;
  }

  #close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#source.signal.removeEventListener('abort', this.#abort);
      if (this.#changes !== undefined) this.#source.ended?.removeEventListener('abort', this.#changes.notify);
      this.#changes?.close();
      await this.#file.close();
    })();
    return this.#closed;
  }
}
