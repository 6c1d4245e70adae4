import type { ContainerStatus } from '../../../src/core/objects.ts';

const base = (name: string): ContainerStatus => ({
  name,
  image: 'i',
  imageID: '',
  ready: false,
  started: false,
  restartCount: 0,
});

/** Container statuses in the few forms that decide something. */
export const status = {
  running: (name: string, given: Partial<ContainerStatus> = {}): ContainerStatus => ({
    ...base(name),
    state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    ready: true,
    started: true,
    ...given,
  }),
  ended: (name: string, exitCode: number, given: Partial<ContainerStatus> = {}): ContainerStatus => ({
    ...base(name),
    state: { terminated: { exitCode } },
    ...given,
  }),
  /** Never ran. */
  waiting: (name: string, given: Partial<ContainerStatus> = {}): ContainerStatus => ({
    ...base(name),
    state: { waiting: { reason: 'ContainerCreating' } },
    ...given,
  }),
  /** Ended, and waits to be started again. */
  backingOff: (name: string, exitCode: number): ContainerStatus => ({
    ...base(name),
    state: { waiting: { reason: 'CrashLoopBackOff' } },
    lastState: { terminated: { exitCode } },
  }),
};
