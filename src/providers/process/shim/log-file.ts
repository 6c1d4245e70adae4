import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface LogLimits {
  readonly maxSizeBytes: number;
  /** With the one that is written, as the kubelet's `containerLogMaxFiles` counts. */
  readonly maxFiles: number;
}

/** More than this waiting for the disk, and the container has to wait too. */
const highWater = 1024 * 1024;
const lowWater = 256 * 1024;

/**
 * Appends to one container's log and rotates it as the kubelet does: the full file is renamed to
 * `<name>.<YYYYMMDD-HHMMSS>` and a new one takes its place; the oldest beyond the limit go. Writes are gathered
 * while one is under way.
 */
export class LogFile {
  readonly #path: string;
  readonly #limits: LogLimits;
  readonly #onError: (error: unknown) => void;
  /** Called after `write` returned false, when more may come. */
  onDrain: () => void = () => {};
  #handle: FileHandle;
  #size: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #blocked = false;
  #writing: Promise<void> | undefined;

  private constructor(
    path: string,
    limits: LogLimits,
    handle: FileHandle,
    size: number,
    onError: (error: unknown) => void,
  ) {
    this.#path = path;
    this.#limits = limits;
    this.#handle = handle;
    this.#size = size;
    this.#onError = onError;
  }

  /** Opens the file, making it and its folder when needed. */
  static async open(path: string, limits: LogLimits, onError: (error: unknown) => void): Promise<LogFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    const handle = await open(path, 'a', 0o640);
    return new LogFile(path, limits, handle, (await handle.stat()).size, onError);
  }

  /** False when the caller should stop until `onDrain` is called. Whole lines only: a rotation may follow each call. */
  write(lines: Buffer): boolean {
    if (lines.length === 0) return !this.#blocked;
    this.#waiting.push(...this.#cut(lines));
    this.#waitingBytes += lines.length;
    if (this.#waitingBytes > highWater) this.#blocked = true;
    this.#writing ??= this.#writeAll();
    return !this.#blocked;
  }

  /** Pieces that each fit in a file, cut between lines. */
  #cut(lines: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let rest = lines;
    while (rest.length > this.#limits.maxSizeBytes) {
      const end = rest.lastIndexOf('\n', this.#limits.maxSizeBytes - 1) + 1 || rest.indexOf('\n') + 1;
      pieces.push(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
    pieces.push(rest);
    return pieces;
  }

  /** Resolves when all is written and the file is closed. */
  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#handle.close();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        if (this.#isFull()) await this.#rotate().catch(this.#onError); // Rather a long log than none.
        const batch = this.#takeBatch();
        await this.#handle.appendFile(batch);
        this.#size += batch.length;
      } catch (err) {
        // A full disk must not stop the container for ever: what cannot be written now is lost, and said.
        this.#drop();
        this.#onError(err);
      }
      if (this.#blocked && this.#waitingBytes <= lowWater) {
        this.#blocked = false;
        this.onDrain();
      }
    }
    this.#writing = undefined;
  }

  #isFull(): boolean {
    const next = this.#waiting[0]?.length ?? 0;
    return this.#size > 0 && this.#size + next > this.#limits.maxSizeBytes;
  }

  /** As much as fits in the present file, at least one piece. */
  #takeBatch(): Buffer {
    let bytes = 0;
    let count = 0;
    for (const piece of this.#waiting) {
      if (count > 0 && this.#size + bytes + piece.length > this.#limits.maxSizeBytes) break;
      bytes += piece.length;
      count++;
    }
    const taken = this.#waiting.splice(0, count);
    this.#waitingBytes -= bytes;
    return taken.length === 1 ? (taken[0] as Buffer) : Buffer.concat(taken, bytes);
  }

  #drop(): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  async #rotate(): Promise<void> {
    const rotated = await this.#rotated();
    await rename(this.#path, join(dirname(this.#path), this.#nextName(rotated)));
    const handle = await open(this.#path, 'a', 0o640);
    await this.#handle.close();
    this.#handle = handle;
    this.#size = 0;
    const kept = Math.max(0, this.#limits.maxFiles - 1);
    const names = await this.#rotated();
    for (const name of names.slice(0, Math.max(0, names.length - kept)))
      await rm(join(dirname(this.#path), name), { force: true });
  }

  /** Rotated files of this log, oldest first: their names sort by time. */
  async #rotated(): Promise<string[]> {
    const start = `${basename(this.#path)}.`;
    return (await readdir(dirname(this.#path)))
      .filter((name) => name.startsWith(start) && /^\d{8}-\d{6}/.test(name.slice(start.length)))
      .sort();
  }

  /** Named after this second, or after the newest when a log fills more than one file in a second. */
  #nextName(rotated: readonly string[]): string {
    const start = `${basename(this.#path)}.`;
    const newest = rotated.at(-1) ?? '';
    let second = Math.floor(Date.now() / 1000);
    let name = `${start}${suffixOf(second)}`;
    while (name <= newest) name = `${start}${suffixOf(++second)}`;
    return name;
  }
}

/** `YYYYMMDD-HHMMSS`, in UTC. */
function suffixOf(second: number): string {
  const [day = '', time = ''] = new Date(second * 1000).toISOString().slice(0, 19).split('T');
  return `${day.replaceAll('-', '')}-${time.replaceAll(':', '')}`;
}
