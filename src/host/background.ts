import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';

export interface BackgroundProgram {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  /** Open descriptor that gets its output and errors. */
  readonly log: number;
}

/**
 * Starts a program that outlives us, in a session of its own, and waits until it says that it is ready by closing
 * its descriptor 3. Resolves with what it wrote there; an empty text means that it ended instead.
 */
export async function startInBackground(
  program: BackgroundProgram,
): Promise<{ readonly pid: number; readonly said: string }> {
  const child = spawn(program.file, program.args, {
    cwd: program.directory,
    env: program.env,
    detached: true,
    stdio: ['ignore', program.log, program.log, 'pipe'],
  });
  if (child.pid === undefined) {
    const [error] = (await once(child, 'error')) as [Error];
    throw error;
  }
  child.on('error', () => {});
  child.unref();
  return { pid: child.pid, said: await text(child.stdio[3] as Readable) };
}
