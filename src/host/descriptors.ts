import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC as `/proc/<pid>/fdinfo` shows it, the same on every Linux architecture. */
const closeOnExec = 0o2000000;

/**
 * Closes the descriptors above 2 that this process was given by whoever started it, and that its own children
 * would inherit in turn. Node.js marks only the first of them on its own. Without /proc it does nothing.
 */
export function closeInheritedDescriptors(): void {
  if (!existsSync('/proc/self/fdinfo')) return;
  for (const name of readdirSync('/proc/self/fdinfo')) {
    const fd = Number(name);
    if (fd <= 2) continue;
    try {
      const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'utf8'))?.[1];
      if (flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0) closeSync(fd);
    } catch {
      // The descriptor that listed the folder is gone by now.
    }
  }
}

/** Run by a shell: closes all above 2, then becomes `"$@"`. */
const closingScript =
  'for d in /proc/self/fd/* /dev/fd/*; do d=${d##*/}; case $d in *[!0-9]*|0|1|2) ;; *) eval "exec $d>&-" ;; esac; done; exec "$@"';

let shell: string | undefined | null = null;

/**
 * A command that runs the command after it with no descriptor above 2, for the time when some of ours cannot be
 * marked (the masters of terminals). `undefined` when no shell here can close a descriptor of two digits.
 */
export function closingCommand(): readonly string[] | undefined {
  if (shell === null) shell = ['/bin/bash', '/usr/bin/bash', '/bin/sh'].find(closesTwoDigits);
  return shell === undefined ? undefined : [shell, '-c', closingScript, 'sh'];
}

function closesTwoDigits(path: string): boolean {
  if (!existsSync(path)) return false;
  try {
    execFileSync(path, ['-c', 'exec 12>&-; exit 0'], { stdio: 'ignore', env: {} });
    return true;
  } catch {
    return false;
  }
}

/** Variables that shells put into the environment of what they run. */
const shellVariables = ['PWD', 'OLDPWD', 'SHLVL', '_'];

/** A command that undoes what a shell before it did to the environment; `more` names what else was changed. */
export function restoringCommand(
  env: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): readonly string[] {
  const names = [...shellVariables, ...more];
  const removed = names.filter((name) => env[name] === undefined).flatMap((name) => ['-u', name]);
  const kept = names.filter((name) => env[name] !== undefined).map((name) => `${name}=${env[name]}`);
  return ['/usr/bin/env', ...removed, ...kept];
}
