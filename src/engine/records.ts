import type { ContainerRecord, SandboxRecord } from '../providers/contract.ts';

/** What the runtime holds of one pod, indexed the ways the engine asks for it. */
export class PodRecords {
  readonly #sandboxes = new Map<string, SandboxRecord>();
  readonly #containers = new Map<string, ContainerRecord>();

  putSandbox(record: SandboxRecord): void {
    this.#sandboxes.set(record.id, record);
  }

  putContainer(record: ContainerRecord): void {
    const known = this.#containers.get(record.id);
    // A start's answer and its event may cross: an instance never moves backwards.
    if (known !== undefined && order[known.status.state] > order[record.status.state]) return;
    this.#containers.set(record.id, record);
  }

  removeSandbox(id: string): void {
    this.#sandboxes.delete(id);
  }

  removeContainer(id: string): void {
    this.#containers.delete(id);
  }

  get isEmpty(): boolean {
    return this.#sandboxes.size === 0 && this.#containers.size === 0;
  }

  /** The newest sandbox, ready or not. */
  get sandbox(): SandboxRecord | undefined {
    let newest: SandboxRecord | undefined;
    for (const s of this.#sandboxes.values()) {
      if (
        newest === undefined ||
        s.attempt > newest.attempt ||
        (s.attempt === newest.attempt && s.createdAt > newest.createdAt)
      )
        newest = s;
    }
    return newest;
  }

  sandboxes(): SandboxRecord[] {
    return [...this.#sandboxes.values()];
  }

  /** Sandboxes that were replaced and of which no container is left. */
  emptySandboxes(): SandboxRecord[] {
    const newest = this.sandbox;
    return this.sandboxes().filter((s) => s !== newest && !this.containers().some((c) => c.sandboxID === s.id));
  }

  containers(): ContainerRecord[] {
    return [...this.#containers.values()];
  }

  container(id: string): ContainerRecord | undefined {
    return this.#containers.get(id);
  }

  /** Instances of one container, newest first. */
  instances(name: string): ContainerRecord[] {
    return this.containers()
      .filter((c) => c.name === name)
      .sort((a, b) => b.attempt - a.attempt || b.createdAt - a.createdAt);
  }

  latest(name: string): ContainerRecord | undefined {
    return this.instances(name)[0];
  }

  running(): ContainerRecord[] {
    return this.containers().filter((c) => c.status.state !== 'exited');
  }
}

const order = { created: 0, running: 1, exited: 2 } as const;
