/**
 * The shim: a small program that owns containers so that they outlive the daemon. Started by `shims.ts` with its
 * {@link ShimArguments} as JSON, in a session of its own. It loads little on purpose, since it stays in memory.
 */
import { closeSync, mkdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { writeFileAtomic } from '../../../host/atomic-file.ts';
import { closeInheritedDescriptors } from '../../../host/descriptors.ts';
import { NamedPipes } from '../../../host/named-pipes.ts';
import { readProcess } from '../../../host/process-table.ts';
import { StateFiles } from '../files.ts';
import type { ShimArguments } from '../protocol.ts';
import { temporaryFolderOf } from '../socket-path.ts';
import { ShimServer } from './server.ts';

/** Where the daemon waits for the greeting. */
const readyDescriptor = 3;

function log(message: string): void {
  process.stdout.write(`${new Date().toISOString()} ${message}\n`);
}

async function main(): Promise<void> {
  const args = JSON.parse(process.argv[2] ?? '') as ShimArguments;
  // A fault in one place must not end every container; it is in the log.
  process.on('uncaughtException', (err) => log(`fault: ${err.stack ?? err.message}`));
  process.on('unhandledRejection', (err) => log(`fault: ${String(err)}`));
  process.on('SIGHUP', () => {});
  process.on('SIGINT', () => {});
  process.umask(0o022);

  const files = new StateFiles(args.stateDir);
  const folder = files.shim(args.id);
  const pipeFolder = join(folder, 'pipes');
  mkdirSync(pipeFolder, { recursive: true, mode: 0o700 });
  const pipes = new NamedPipes(pipeFolder);
  pipes.fill();

  const server = new ShimServer({
    arguments: args,
    process: { pid: process.pid, startTime: readProcess(process.pid)?.startTime ?? 0 },
    files,
    pipes,
    log,
    onIdle() {
      server.close();
      rmSync(folder, { recursive: true, force: true });
      const temporary = temporaryFolderOf(args.socket);
      if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
      process.exit(0);
    },
  });
  await server.listen();
  writeFileAtomic(join(folder, 'shim.json'), JSON.stringify(server.hello));
  writeSync(readyDescriptor, JSON.stringify(server.hello));
  closeSync(readyDescriptor);
  closeInheritedDescriptors();
}

main().catch((err: unknown) => {
  log(`cannot start: ${err instanceof Error ? err.message : String(err)}`);
  process.exit(1);
});
