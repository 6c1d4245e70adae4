import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const marker = 'CONTAINER_SANDBOX_MOUNT_POINT';

/** A process of the machine, as `/proc` shows it. */
export interface RunningProcess {
  readonly pid: number;
  readonly command: string;
}

function processes(): { pid: number; command: string; environment: readonly string[] }[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      return [{ pid: Number(pid), command, environment }];
    } catch {
      return []; // It has just ended, or is another user's.
    }
  });
}

/** The processes of all containers whose files are under this directory. */
export function containerProcesses(stateDir: string): RunningProcess[] {
  return processes()
    .filter(({ environment }) => environment.some((entry) => entry.startsWith(`${marker}=${stateDir}/`)))
    .map(({ pid, command }) => ({ pid, command }));
}

/** The shims of the process runtime that keep their state under this directory. */
export function shimProcesses(stateDir: string): RunningProcess[] {
  return processes()
    .filter(({ command }) => command.includes('/shim/main.') && command.includes(stateDir))
    .map(({ pid, command }) => ({ pid, command }));
}

/** Sockets, pipes, and files of pods and containers under a state directory: what a node without pods does not need. */
export function leftoverFiles(stateDir: string): string[] {
  const found: string[] = [];
  const walk = (directory: string) => {
    let entries: Dirent[];
    try {
      entries = readdirSync(directory, { withFileTypes: true });
    } catch {
      return;
    }
    for (const entry of entries) {
      const path = join(directory, entry.name);
      const ofPods = /\/(sandboxes|containers|mounts|shims|pods)\/[^/]+$/.test(path.slice(stateDir.length));
      if (entry.isSocket() || entry.isFIFO() || entry.name.startsWith('daemon.lock')) found.push(path);
      else if (ofPods && !path.endsWith('/logs/pods')) found.push(path);
      if (entry.isDirectory()) walk(path);
    }
  };
  walk(stateDir);
  return found;
}
