import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { messageOf, unavailable } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { startInBackground } from '../../host/background.ts';
import { isRunning } from '../../host/process-table.ts';
import { killBelongings } from './belongings.ts';
import type { StateFiles } from './files.ts';
import { protocolVersion, type ShimArguments, type ShimHello } from './protocol.ts';
import { ShimLink, type ShimLinkHandlers } from './shim-link.ts';
import { newSocketPath, temporaryFolderOf } from './socket-path.ts';

export interface ShimsOptions {
  readonly files: StateFiles;
  readonly version: string;
  readonly bootID: string | undefined;
  readonly log: Logger;
  readonly handlers: ShimLinkHandlers;
}

/**
 * A shim stays in memory for as long as its containers, and at times moves a lot of bytes. A small young generation
 * and, with glibc, read buffers that go back to the system at once keep it near its size at rest.
 */
const smallMemory = {
  flags: ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=1'],
  env: { MALLOC_MMAP_THRESHOLD_: '65536' },
};

/** A folder without a greeting belongs to a shim that is just being started; after this long it never was. */
const startingMs = 10_000;

/** How long a shim that holds nothing may take to end. */
const endingMs = 1_000;

/** All shims that hold containers of ours: one of this version for new containers, older ones that drain. */
export class Shims {
  readonly #options: ShimsOptions;
  readonly #links = new Map<string, ShimLink>();
  #current: Promise<ShimLink> | undefined;
  #closed = false;

  constructor(options: ShimsOptions) {
    this.#options = options;
  }

  link(id: string): ShimLink | undefined {
    return this.#links.get(id);
  }

  /** Connects to every shim that runs, has the foreign ones drain, and clears up after those that do not. */
  async discover(): Promise<void> {
    const { shims } = this.#options.files;
    await Promise.all(readdirSync(shims).map((id) => this.#adopt(id)));
  }

  async #adopt(id: string): Promise<void> {
    const { files, version, log } = this.#options;
    const hello = readHello(files.shim(id));
    if (hello === undefined) {
      const ageMs = Date.now() - statSync(files.shim(id)).mtimeMs;
      if (ageMs > startingMs) this.#clearUp(id, hello);
      return;
    }
    if (!this.#runs(hello)) return this.#clearUp(id, hello);
    let link: ShimLink;
    try {
      link = await ShimLink.connect(hello.socket, version);
    } catch (err) {
      // It may just be ending by itself; if not, nothing may go on that nobody can reach.
      log.warn('a shim does not answer', { shim: id, pid: hello.process.pid, err: messageOf(err) });
      await killBelongings([{ main: hello.process }]);
      return this.#clearUp(id, hello);
    }
    await this.#join(link);
    const ours = link.hello.version === version && link.hello.protocol === protocolVersion && !link.hello.draining;
    if (ours && this.#current === undefined) {
      this.#current = Promise.resolve(link);
      return;
    }
    log.info('an older shim drains', { shim: id, version: link.hello.version, protocol: link.hello.protocol });
    await link.call('drain', {});
  }

  /** Compared with this boot, so that no number of a former one is taken for a process of ours. */
  #runs(hello: ShimHello): boolean {
    return hello.bootID === this.#options.bootID && isRunning(hello.process);
  }

  async #join(link: ShimLink): Promise<void> {
    this.#links.set(link.id, link);
    await link.watch({ ...this.#options.handlers, gone: (gone) => this.#gone(gone) });
  }

  #gone(link: ShimLink): void {
    this.#links.delete(link.id);
    if (this.#closed) return;
    void this.#current?.then((current) => {
      if (current === link) this.#current = undefined;
    });
    this.#options.handlers.gone(link);
  }

  /** The shim for new containers, started when there is none. */
  async current(): Promise<ShimLink> {
    if (this.#closed) throw unavailable('the process runtime is closed');
    this.#current ??= this.#start();
    const starting = this.#current;
    try {
      const link = await starting;
      if (this.#links.get(link.id) === link) return link;
    } catch (err) {
      if (this.#current === starting) this.#current = undefined;
      throw err;
    }
    if (this.#current === starting) this.#current = undefined;
    return await this.current();
  }

  async #start(): Promise<ShimLink> {
    const { files, version, bootID } = this.#options;
    const id = randomBytes(4).toString('hex');
    const folder = files.shim(id);
    mkdirSync(folder, { mode: 0o700 });
    const args: ShimArguments = { id, stateDir: files.root, socket: newSocketPath(folder), version, bootID };
    const log = openSync(join(folder, 'log'), 'a', 0o600);
    try {
      const { said } = await startInBackground({
        file: process.execPath,
        args: [...smallMemory.flags, shimProgram(), JSON.stringify(args)],
        env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...smallMemory.env },
        directory: '/',
        log,
      });
      if (said === '')
        throw unavailable(`the shim did not start: ${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`);
      const link = await ShimLink.connect(args.socket, version);
      await this.#join(link);
      this.#options.log.info('shim started', { shim: id, pid: link.hello.process.pid });
      return link;
    } catch (err) {
      removeFolder(folder, args.socket);
      throw err;
    } finally {
      closeSync(log);
    }
  }

  /** After a shim has ended without doing it itself. Its containers' records are judged by whoever owns those. */
  #clearUp(id: string, hello: ShimHello | undefined): void {
    const folder = this.#options.files.shim(id);
    removeFolder(folder, hello?.socket);
  }

  /** Removes the folder of a shim that is known to have ended. */
  forget(link: ShimLink): void {
    this.#clearUp(link.id, link.hello);
  }

  /** Leaves the shims that hold containers; the others, which nobody needs, have ended when it resolves. */
  async close(holds: (shim: string) => boolean): Promise<void> {
    this.#closed = true;
    const links = [...this.#links.values()];
    this.#links.clear();
    for (const link of links) if (holds(link.id)) link.close();
    await Promise.all(links.filter((link) => !holds(link.id)).map((link) => dismiss(link)));
  }
}

async function dismiss(link: ShimLink): Promise<void> {
  await link.call('drain', {}).catch(() => {});
  for (let left = endingMs; left > 0 && isRunning(link.hello.process); left -= 10) await delay(10);
  link.close();
}

function removeFolder(folder: string, socket: string | undefined): void {
  rmSync(folder, { recursive: true, force: true });
  const temporary = socket === undefined ? undefined : temporaryFolderOf(socket);
  if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
}

function readHello(folder: string): ShimHello | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'shim.json'), 'utf8')) as ShimHello;
  } catch {
    return undefined;
  }
}

/** The shim's program beside this file: TypeScript from a checkout, JavaScript from the package. */
function shimProgram(): string {
  return fileURLToPath(new URL(`./shim/main${extname(import.meta.url)}`, import.meta.url));
}
