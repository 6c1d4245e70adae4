import type { Readable } from 'node:stream';

import { CriLines, timestamp } from './cri-lines.ts';
import { LogFile, type LogLimits } from './log-file.ts';

export type OutputStream = 'stdout' | 'stderr';
export type OutputListener = (stream: OutputStream, bytes: Buffer) => void;

/** How long after the last process of a container has ended its pipes may stay open and silent. */
const silenceMs = 1_000;

/** All that a container writes: to its log, and to whoever has attached. */
export class ContainerOutput {
  readonly #log: LogFile;
  readonly #sources = new Set<Readable>();
  readonly #listeners = new Set<OutputListener>();
  readonly #ends: Promise<void>[] = [];
  #lastByteAt = 0;

  private constructor(log: LogFile) {
    this.#log = log;
  }

  static async open(path: string, limits: LogLimits, onError: (error: unknown) => void): Promise<ContainerOutput> {
    const log = await LogFile.open(path, limits, onError);
    const output = new ContainerOutput(log);
    log.onDrain = () => output.#resume();
    return output;
  }

  /** Takes all that comes from a stream of the container. The slower of disk and container sets the pace. */
  add(stream: OutputStream, source: Readable): void {
    const lines = new CriLines(stream);
    this.#sources.add(source);
    this.#ends.push(
      new Promise((resolve) => {
        source.on('data', (bytes: Buffer) => {
          this.#lastByteAt = performance.now();
          for (const listener of this.#listeners) listener(stream, bytes);
          if (!this.#log.write(lines.push(bytes, timestamp()))) for (const each of this.#sources) each.pause();
        });
        source.once('close', () => {
          this.#sources.delete(source);
          this.#log.write(lines.end(timestamp()));
          resolve();
        });
        source.on('error', () => source.destroy()); // EIO is how a terminal says that it was left.
        source.once('end', () => source.destroy());
      }),
    );
  }

  #resume(): void {
    for (const source of this.#sources) source.resume();
  }

  /** Sees every piece from now on; the returned function ends that. */
  listen(listener: OutputListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /**
   * Called when no process of the container runs any more. Resolves when the log is complete; a pipe that a process
   * that got away still holds is given up once it is silent.
   */
  async close(): Promise<void> {
    this.#lastByteAt = Math.max(this.#lastByteAt, performance.now());
    const watchdog = setInterval(() => {
      const paused = [...this.#sources].some((source) => source.isPaused());
      if (paused || performance.now() - this.#lastByteAt < silenceMs) return;
      for (const source of this.#sources) source.destroy();
    }, silenceMs / 4);
    await Promise.all(this.#ends);
    clearInterval(watchdog);
    await this.#log.close();
  }

  /** For a container whose process could not be started. */
  async discard(): Promise<void> {
    await this.#log.close();
  }
}
