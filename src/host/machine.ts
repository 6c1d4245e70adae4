import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { arch, cpus, hostname, platform, release, totalmem, version } from 'node:os';

import { readBootID } from './boot-id.ts';

/** What a Node says of the machine it is on. */
export interface MachineFacts {
  /** Go's names: `linux`, `amd64`. */
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly kernelVersion: string;
  /** e.g. `Debian GNU/Linux 12 (bookworm)`. */
  readonly osImage: string;
  readonly machineID: string;
  readonly systemUUID: string;
  readonly bootID: string;
  readonly hostname: string;
  readonly cpuCount: number;
  readonly memoryBytes: number;
  /** Size of the file system that holds `storagePath`. */
  readonly storageBytes: number;
}

const goSystems: Readonly<Record<string, string>> = { win32: 'windows' };
const goArchitectures: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  ppc64: 'ppc64le',
  mips64el: 'mips64le',
};

/**
 * Reads the facts; what a system does not tell is empty. `storagePath` must exist.
 * Follows pkg/kubelet/nodestatus/setters.go `MachineInfo` and `VersionInfo`.
 */
export async function machineFacts(storagePath: string): Promise<MachineFacts> {
  const storage = await statfs(storagePath);
  return {
    operatingSystem: goSystems[platform()] ?? platform(),
    architecture: goArchitectures[arch()] ?? arch(),
    kernelVersion: release(),
    osImage: prettyName(read('/etc/os-release')) ?? version(),
    machineID: read('/etc/machine-id') ?? read('/var/lib/dbus/machine-id') ?? '',
    systemUUID: read('/sys/class/dmi/id/product_uuid') ?? '',
    bootID: readBootID() ?? '',
    hostname: hostname(),
    cpuCount: cpus().length,
    memoryBytes: totalmem(),
    storageBytes: storage.bsize * storage.blocks,
  };
}

function prettyName(osRelease: string | undefined): string | undefined {
  return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(osRelease ?? '')?.[1];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
