import { rm } from 'node:fs/promises';
import type { Container, Pod } from '../core/objects.ts';
import type { Mount, PodRef, PodResolver } from '../providers/contract.ts';

export class PodVolumes {
  readonly #stateDir: string;
  constructor(stateDir: string) { this.#stateDir = stateDir; }
  async prepare(_pod: Pod, _resolver: PodResolver, _ips: readonly string[]): Promise<ReadonlyMap<string, string>> { return new Map(); }
  async mounts(_pod: Pod, _c: Container, _p: ReadonlyMap<string, string>, _env: Readonly<Record<string, string>>): Promise<Mount[]> { return []; }
  async removeLog(path: string): Promise<void> { await rm(path, { force: true }); }
  async remove(_ref: PodRef, logDirectory: string): Promise<void> { await rm(logDirectory, { recursive: true, force: true }); void this.#stateDir; }
}
