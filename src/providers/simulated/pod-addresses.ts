import { hash } from './config.ts';

/**
 * Addresses for pods out of one IPv4 range. A pod's place follows from its UID, so that a restarted daemon hardly
 * ever gives away what an earlier pod, not seen yet, will claim again.
 */
export class PodAddresses {
  readonly #base: number;
  readonly #size: number;
  /** Offsets into the range. */
  readonly #taken = new Set<number>();

  /** `cidr` is an IPv4 range with room for a pod. */
  constructor(cidr: string) {
    const [address = '', bits = '32'] = cidr.split('/');
    this.#size = 2 ** (32 - Number(bits));
    const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    this.#base = value - (value % this.#size);
  }

  get taken(): number {
    return this.#taken.size;
  }

  /** A free address for a pod, never the first or last of the range; undefined when all are taken. */
  take(uid: string): string | undefined {
    const usable = this.#size - 2;
    const start = hash(uid) % usable;
    for (let step = 0; step < usable && this.#taken.size < usable; step++) {
      const offset = 1 + ((start + step) % usable);
      if (this.#taken.has(offset)) continue;
      this.#taken.add(offset);
      return this.#addressAt(offset);
    }
    return undefined;
  }

  /** Marks an address that a pod had before this daemon started; one of another range is let be. */
  claim(address: string): void {
    const offset = this.#offsetOf(address);
    if (offset !== undefined) this.#taken.add(offset);
  }

  release(address: string): void {
    const offset = this.#offsetOf(address);
    if (offset !== undefined) this.#taken.delete(offset);
  }

  #addressAt(offset: number): string {
    const value = this.#base + offset;
    return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
  }

  #offsetOf(address: string): number | undefined {
    const offset = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) - this.#base;
    return offset > 0 && offset < this.#size ? offset : undefined;
  }
}
