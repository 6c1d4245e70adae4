import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/**
 * What names the machine's present run: a process ID together with its start time means something only within one.
 * `undefined` where the platform has no such name; nothing recorded is then trusted across restarts.
 */
export function readBootID(): string | undefined {
  try {
    if (process.platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    if (process.platform === 'darwin') {
      return execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).trim();
    }
  } catch {
    // Absent in some sandboxes.
  }
  return undefined;
}
