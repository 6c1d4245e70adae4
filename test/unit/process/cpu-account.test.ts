import { describe, expect, it } from '@jest/globals';

import { CpuAccount } from '../../../src/providers/process/cpu-account.ts';

const shim = 1;
const process = (pid: number, parent: number, own: number, children = 0, startTime = pid) => {
  return { pid, parent, session: pid, startTime, zombie: false, cpu: { own, children } };
};

describe('the CPU time of a container', () => {
  it('is what its processes have used, with those that they have waited for', () => {
    expect(new CpuAccount().take([process(10, shim, 5, 2), process(11, 10, 3)])).toBe(10);
  });

  it('does not change when a parent inherits the time of an ended child', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 5), process(11, 10, 3)]);
    expect(account.take([process(10, shim, 5, 3)])).toBe(8);
  });

  it('keeps what nobody in the container inherits', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 5), process(20, shim, 3)]);
    expect(account.take([process(10, shim, 6)])).toBe(9);
    expect(account.take([process(10, shim, 7)])).toBe(10);
  });

  it('goes to the nearest ancestor that is left', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 5), process(11, 10, 1), process(12, 11, 4)]);
    expect(account.take([process(10, shim, 5, 5)])).toBe(10);
  });

  it('keeps the time of a child that its parent did not wait for', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 5), process(11, 10, 3)]);
    expect(account.take([process(10, shim, 5)])).toBe(8);
  });

  it('does not take a new process for an old one of the same number', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 5), process(20, shim, 3, 0, 100)]);
    expect(account.take([process(10, shim, 5), process(20, shim, 1, 0, 200)])).toBe(9);
  });

  it('never falls', () => {
    const account = new CpuAccount();
    account.take([process(10, shim, 50)]);
    expect(account.take([process(10, shim, 49)])).toBe(50);
  });

  it('ends with a ring of parents', () => {
    const account = new CpuAccount();
    account.take([process(10, 11, 5), process(11, 10, 3)]);
    expect(account.take([process(12, shim, 1)])).toBe(9);
  });
});
