import { type SpawnOptions, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

import { closingCommand, restoringCommand } from './descriptors.ts';
import type { RunAs } from './find-program.ts';

/** What to run. The program has been found before; it is looked up again in the environment's PATH. */
export interface Launch {
  readonly argv: readonly [string, ...string[]];
  /** The whole environment; must hold PATH. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute, exists. */
  readonly directory: string;
  /** Switch to this user; absent means the caller's own, with its groups. */
  readonly user?: RunAs;
}

/** util-linux's, which can ask for a parent-death signal; busybox has one of the same name that cannot. */
let setpriv: string | undefined | null = null;

function setprivPath(): string | undefined {
  if (setpriv === null) {
    setpriv = ['/usr/bin/setpriv', '/bin/setpriv', '/usr/sbin/setpriv'].find(
      (path) =>
        existsSync(path) && spawnSync(path, ['--help'], { encoding: 'utf8', env: {} }).stdout.includes('--pdeathsig'),
    );
  }
  return setpriv;
}

/** True when a process can be given supplementary groups; without setpriv only user and group can be switched. */
export function canSetGroups(): boolean {
  return setprivPath() !== undefined;
}

/**
 * `argv` behind setpriv: the signal at the parent's death, then the user. setpriv sets the signal after it has
 * switched the user, which would clear it.
 */
function privileged(launch: Launch): readonly [string, ...string[]] {
  const path = setprivPath();
  if (path === undefined) return launch.argv;
  const { user } = launch;
  const switching =
    user === undefined
      ? []
      : [
          `--reuid=${user.uid}`,
          `--regid=${user.gid}`,
          user.groups.length === 0 ? '--clear-groups' : `--groups=${user.groups.join(',')}`,
        ];
  return [path, '--pdeathsig', 'KILL', ...switching, '--', ...launch.argv];
}

/**
 * The command that is really started. With `closeOthers` a shell in the way closes the descriptors above 2: once a
 * terminal was opened here its master, which cannot be marked, would be inherited.
 */
export function commandFor(launch: Launch, closeOthers: boolean): readonly [string, ...string[]] {
  const command = privileged(launch);
  const closing = closeOthers ? closingCommand() : undefined;
  if (closing === undefined) return command;
  return [...closing, ...restoringCommand(launch.env), ...command] as unknown as readonly [string, ...string[]];
}

/** Options of child_process that switch the user where setpriv does not. */
export function userOptions(launch: Launch): Pick<SpawnOptions, 'uid' | 'gid'> {
  return launch.user === undefined || setprivPath() !== undefined ? {} : { uid: launch.user.uid, gid: launch.user.gid };
}
