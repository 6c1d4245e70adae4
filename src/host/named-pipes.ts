import { execFile, execFileSync } from 'node:child_process';
import { closeSync, constants, fchownSync, openSync, unlinkSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

import type { RunAs } from './find-program.ts';

/** How many are made by one call of `mkfifo`, which costs about as much for one as for many. */
const batch = 64;

/** One end for us, one descriptor for the process; the caller closes `fd` once the process has it. */
export interface ProcessPipe {
  readonly stream: Socket;
  readonly fd: number;
}

/**
 * Real pipes for the descriptors of processes. Node.js makes socket pairs for `stdio: 'pipe'`, and a socket cannot
 * be opened again by path: `echo x > /dev/stderr` and `tee /dev/stdout`, which half of all start scripts do, fail
 * on one. It has no call for a pipe, so named ones are made in stock and unlinked when they are taken.
 */
export class NamedPipes {
  readonly #directory: string;
  #stock: string[] = [];
  #made = 0;
  #refilling = false;

  /** `directory` exists and is only ours. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** A pipe that the process writes and we read. */
  forOutput(owner: RunAs | undefined): ProcessPipe {
    const path = this.#take();
    try {
      // The reader is there first, so that opening for writing does not wait for one.
      const read = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const fd = openSync(path, constants.O_WRONLY);
      give(fd, owner);
      return { stream: new Socket({ fd: read, readable: true, writable: false }), fd };
    } finally {
      unlinkSync(path);
    }
  }

  /** A pipe that we write and the process reads. */
  forInput(owner: RunAs | undefined): ProcessPipe {
    const path = this.#take();
    try {
      // A writer that does not block needs a reader to be there, and a reader that blocks a writer: hence the first.
      const early = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const write = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      const fd = openSync(path, constants.O_RDONLY);
      closeSync(early);
      give(fd, owner);
      return { stream: new Socket({ fd: write, readable: false, writable: true }), fd };
    } finally {
      unlinkSync(path);
    }
  }

  /** Makes a stock ahead of the first use. */
  fill(): void {
    const names = this.#names();
    execFileSync('/usr/bin/mkfifo', ['-m', '600', ...names], mkfifoOptions);
    this.#stock.push(...names);
  }

  #take(): string {
    if (this.#stock.length === 0) this.fill();
    const path = this.#stock.pop() as string;
    if (this.#stock.length < batch && !this.#refilling) {
      this.#refilling = true;
      const names = this.#names();
      execFile('/usr/bin/mkfifo', ['-m', '600', ...names], mkfifoOptions, (err) => {
        this.#refilling = false;
        if (err === null) this.#stock.push(...names);
      });
    }
    return path;
  }

  #names(): string[] {
    return Array.from({ length: batch }, () => join(this.#directory, `pipe-${++this.#made}`));
  }
}

const mkfifoOptions = { env: { PATH: '/usr/bin:/bin' }, stdio: 'ignore' } as const;

/** A process under another user may open its own `/dev/stdout` only when the pipe is that user's. */
function give(fd: number, owner: RunAs | undefined): void {
  if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
}
