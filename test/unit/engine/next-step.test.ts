import { describe, expect, it } from '@jest/globals';

import type { Container, Pod } from '../../../src/core/objects.ts';
import type { CrashLoop } from '../../../src/engine/crash-loop.ts';
import { nextStep } from '../../../src/engine/next-step.ts';
import type { ContainerRecord, ContainerRuntimeStatus, SandboxRecord } from '../../../src/providers/contract.ts';
import { created, exited, podOf, recordOf, running, sandboxOf, startError } from './records-of.ts';

interface Seen {
  readonly [container: string]: ContainerRuntimeStatus | ContainerRecord;
}

interface Given {
  readonly sandbox?: SandboxRecord | undefined;
  readonly loops?: Readonly<Record<string, CrashLoop>>;
  readonly notStarted?: readonly string[];
  readonly now?: number;
}

/** `sandbox`, `finished`, or what starts and what waits: `start a b`, `wait c 12000`. */
function step(pod: Pod, seen: Seen = {}, given: Given = {}): string {
  const records = new Map(Object.entries(seen).map(([name, it]) => [name, 'state' in it ? recordOf(name, it) : it]));
  const next = nextStep({
    pod,
    sandbox: 'sandbox' in given ? given.sandbox : sandboxOf(),
    latest: (name) => records.get(name),
    crashLoop: (name) => given.loops?.[name],
    isStarted: (record) => record.status.state === 'running' && given.notStarted?.includes(record.name) !== true,
    now: given.now ?? 2_000,
  });
  if (next.type !== 'containers') return next.type;
  const start = next.start.length === 0 ? [] : [`start ${next.start.map((s) => s.container.name).join(' ')}`];
  return [...start, ...next.backingOff.map((b) => `wait ${b.name} ${b.until} of ${b.delayMs}`)].join(', ') || 'nothing';
}

const sidecar = (name: string): Partial<Container> => ({ name, restartPolicy: 'Always' });

describe('the next step of a pod', () => {
  describe('with regular containers', () => {
    const pod = podOf(['a', 'b']);

    it('begins with a sandbox', () => {
      expect(step(pod, {}, { sandbox: undefined })).toBe('sandbox');
    });

    it('starts all of them, in the order of the spec', () => {
      expect(step(pod)).toBe('start a b');
    });

    it('leaves alone what is created or runs', () => {
      expect(step(pod, { a: created, b: running })).toBe('nothing');
    });

    it.each([
      ['Always', 0, 'start a'],
      ['Always', 1, 'start a'],
      ['OnFailure', 0, 'nothing'],
      ['OnFailure', 1, 'start a'],
      ['Never', 0, 'nothing'],
      ['Never', 1, 'nothing'],
    ])('under %s after exit code %d beside one that runs: %s', (restartPolicy, exitCode, expected) => {
      expect(step(podOf(['a', 'b'], [], { restartPolicy }), { a: exited(exitCode), b: running })).toBe(expected);
    });

    it.each([
      ['OnFailure', 0, 'finished'],
      ['Never', 0, 'finished'],
      ['Never', 3, 'finished'],
      ['OnFailure', 3, 'start a'],
      ['Always', 0, 'start a'],
    ])('under %s after exit code %d of the only one: %s', (restartPolicy, exitCode, expected) => {
      expect(step(podOf(['a'], [], { restartPolicy }), { a: exited(exitCode) })).toBe(expected);
    });

    it('is finished only when every one is', () => {
      const never = podOf(['a', 'b'], [], { restartPolicy: 'Never' });
      expect(step(never, { a: exited(0) })).toBe('start b');
      expect(step(never, { a: exited(0), b: exited(1) })).toBe('finished');
    });

    it('restarts nothing in a pod that is being deleted', () => {
      const deleted = podOf(['a'], [], {}, { deletionTimestamp: '2026-01-01T00:00:00Z' });
      expect(step(deleted, { a: exited(1) })).toBe('finished');
    });
  });

  describe('with a restart policy of the container', () => {
    const withRules = (rules: Container['restartPolicyRules'], restartPolicy = 'Never') =>
      podOf([{ name: 'a', restartPolicy, ...(rules && { restartPolicyRules: rules }) }], [], {
        restartPolicy: 'Never',
      });
    const onCode = (operator: string, ...values: number[]) => [{ action: 'Restart', exitCodes: { operator, values } }];

    it.each([
      [withRules(undefined, 'Always'), 0, 'start a'],
      [withRules(undefined, 'OnFailure'), 1, 'start a'],
      [withRules(undefined, 'OnFailure'), 0, 'finished'],
      [withRules(onCode('In', 42)), 42, 'start a'],
      [withRules(onCode('In', 42)), 1, 'finished'],
      [withRules(onCode('NotIn', 0)), 5, 'start a'],
      [withRules(onCode('NotIn', 0)), 0, 'finished'],
    ])('follows it before that of the pod (%#)', (pod, exitCode, expected) => {
      expect(step(pod, { a: exited(exitCode) })).toBe(expected);
    });
  });

  describe('with init containers', () => {
    const pod = podOf(['c'], ['i1', 'i2']);

    it('runs them one at a time', () => {
      expect(step(pod)).toBe('start i1');
      expect(step(pod, { i1: running })).toBe('nothing');
      expect(step(pod, { i1: exited(0) })).toBe('start i2');
      expect(step(pod, { i1: exited(0), i2: running })).toBe('nothing');
      expect(step(pod, { i1: exited(0), i2: exited(0) })).toBe('start c');
    });

    it.each([
      ['Always', 'start i1'],
      ['OnFailure', 'start i1'],
      ['Never', 'finished'],
    ])('under %s, when one fails: %s', (restartPolicy, expected) => {
      expect(step(podOf(['c'], ['i1', 'i2'], { restartPolicy }), { i1: exited(4) })).toBe(expected);
    });

    it('never runs one again that succeeded, even under Always', () => {
      expect(step(pod, { i1: exited(0), i2: exited(0), c: running })).toBe('nothing');
    });

    it('never looks back once a regular container has had an instance', () => {
      expect(step(pod, { c: exited(1) })).toBe('start c');
      expect(step(pod, { i1: exited(4), i2: exited(4), c: running })).toBe('nothing');
    });

    it('runs all of them again in a new sandbox', () => {
      const seen = { i1: exited(0), i2: exited(0), c: exited(137) };
      expect(step(pod, seen, { sandbox: sandboxOf('notReady') })).toBe('sandbox');
      expect(step(pod, seen, { sandbox: sandboxOf('ready', 1) })).toBe('start i1');
      const again = { ...seen, i1: recordOf('i1', exited(0), { sandboxID: 's1', attempt: 1 }) };
      expect(step(pod, again, { sandbox: sandboxOf('ready', 1) })).toBe('start i2');
    });
  });

  describe('with sidecars', () => {
    const pod = podOf(['c'], [sidecar('s1'), 'i', sidecar('s2')]);

    it('begins what follows when a sidecar has started, not when it has ended', () => {
      expect(step(pod)).toBe('start s1');
      expect(step(pod, { s1: running }, { notStarted: ['s1'] })).toBe('nothing');
      expect(step(pod, { s1: running })).toBe('start i');
      expect(step(pod, { s1: running, i: exited(0) })).toBe('start s2');
      expect(step(pod, { s1: running, i: exited(0), s2: running }, { notStarted: ['s2'] })).toBe('nothing');
      expect(step(pod, { s1: running, i: exited(0), s2: running })).toBe('start c');
    });

    it('starts a sidecar again whatever the policy of the pod, also beside regular containers', () => {
      const never = podOf(['c'], [sidecar('s')], { restartPolicy: 'Never' });
      expect(step(never, { s: exited(0) })).toBe('start s');
      expect(step(never, { s: exited(1), c: running })).toBe('start s');
      expect(step(never, { s: running, c: running }, { notStarted: ['s'] })).toBe('nothing');
    });

    it('does not keep a pod alive whose regular containers are done', () => {
      const never = podOf(['c'], [sidecar('s')], { restartPolicy: 'Never' });
      expect(step(never, { s: running, c: exited(0) })).toBe('finished');
    });
  });

  describe('with ephemeral containers', () => {
    const pod = podOf(['c'], ['i'], { ephemeralContainers: [{ name: 'e', image: 'i' }] });

    it('starts one beside whatever goes on, and never again', () => {
      expect(step(pod, { i: running })).toBe('start e');
      expect(step(pod, { i: exited(0), c: running })).toBe('start e');
      expect(step(pod, { i: exited(0), c: running, e: exited(1) })).toBe('nothing');
    });
  });

  describe('after a crash', () => {
    const loops = { a: { delayMs: 20_000, setAt: 1_000 } };

    it('waits for the delay of the last step, counted from the exit', () => {
      expect(step(podOf(['a']), { a: exited(1) }, { loops })).toBe('wait a 22000 of 20000');
      expect(step(podOf(['a']), { a: exited(1) }, { loops, now: 21_999 })).toBe('wait a 22000 of 20000');
      expect(step(podOf(['a']), { a: exited(1) }, { loops, now: 22_000 })).toBe('start a');
    });

    it('starts the others meanwhile', () => {
      expect(step(podOf(['a', 'b']), { a: exited(1) }, { loops })).toBe('start b, wait a 22000 of 20000');
    });

    it('lets an init container that crashes hold back the rest', () => {
      const pod = podOf(['c'], ['a']);
      expect(step(pod, { a: exited(1) }, { loops })).toBe('wait a 22000 of 20000');
    });

    it('tries a start that failed again after a second', () => {
      expect(step(podOf(['a']), { a: startError })).toBe('wait a 3000 of 0');
      expect(step(podOf(['a']), { a: startError }, { now: 3_000 })).toBe('start a');
    });

    it('hands on the instance that the new one follows', () => {
      const previous = recordOf('a', exited(1));
      const next = nextStep({
        pod: podOf(['a']),
        sandbox: sandboxOf(),
        latest: () => previous,
        crashLoop: () => undefined,
        isStarted: () => false,
        now: 2_000,
      });
      expect(next).toMatchObject({ start: [{ kind: 'regular', previous }] });
    });
  });

  describe('with a sandbox that is no more', () => {
    const lost = { sandbox: sandboxOf('notReady') };

    it('makes another when something is to start', () => {
      expect(step(podOf(['a']), { a: exited(137) }, lost)).toBe('sandbox');
    });

    it('makes another when something is said to run in it, for it cannot', () => {
      expect(step(podOf(['a']), { a: running }, lost)).toBe('sandbox');
      expect(step(podOf(['a']), { a: created }, lost)).toBe('sandbox');
    });

    it('makes none for a pod that is over', () => {
      expect(step(podOf(['a'], [], { restartPolicy: 'Never' }), { a: exited(0) }, lost)).toBe('finished');
    });

    it('makes none before a back-off is over', () => {
      const loops = { a: { delayMs: 20_000, setAt: 1_000 } };
      expect(step(podOf(['a']), { a: exited(1) }, { ...lost, loops })).toBe('wait a 22000 of 20000');
    });
  });
});
