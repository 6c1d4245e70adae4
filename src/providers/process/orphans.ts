import { writeFileAtomic } from '../../host/atomic-file.ts';
import type { Owner, Sweeper } from './belongings.ts';
import type { StateFiles } from './files.ts';
import type { StoredContainer, StoredStatus } from './protocol.ts';

export interface OrphanSurroundings {
  readonly files: StateFiles;
  readonly sweeper: Sweeper;
  readonly bootID: string | undefined;
  now(): number;
}

/** Killed, as 128 + SIGKILL. */
const killedExitCode = 137;

/**
 * Ends the record of a container whose shim has gone: kills what is left of it, and only then says that it has
 * exited. What ran before the machine was started again is not looked for: its process IDs are others' now.
 */
export async function settleOrphan(stored: StoredContainer, around: OrphanSurroundings): Promise<StoredContainer> {
  const { status } = stored;
  if (status.state === 'exited') return stored;
  const sameBoot = status.state === 'created' || status.bootID === around.bootID;
  if (sameBoot && status.state !== 'created') {
    const owner: Owner = {
      marker: around.files.mountPoint(stored.record.id),
      ...(status.state === 'running' && { main: status.process }),
    };
    await around.sweeper.kill(owner);
  }
  const settled = { ...stored, status: exited(status, sameBoot, around.now()) };
  writeFileAtomic(around.files.container(stored.record.id), JSON.stringify(settled));
  return settled;
}

function exited(
  status: Exclude<StoredStatus, { state: 'exited' }>,
  sameBoot: boolean,
  finishedAt: number,
): StoredStatus {
  const startedAt = status.state === 'running' ? status.startedAt : 0;
  return {
    state: 'exited',
    startedAt,
    finishedAt,
    exitCode: killedExitCode,
    reason: 'Error',
    message: why(status.state, sameBoot),
  };
}

function why(state: 'created' | 'starting' | 'running', sameBoot: boolean): string {
  if (state === 'created') return 'The process that was to start the container ended before it did';
  if (!sameBoot) return 'The machine was restarted while the container ran';
  return 'The process that supervised the container ended; what was left of the container was killed';
}
