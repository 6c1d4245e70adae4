import { describe, expect, it } from '@jest/globals';

import {
  type CrashLoop,
  crashLoopAnnotation,
  crashLoopOf,
  goSeconds,
  nextStep,
  startsAt,
} from '../../../src/engine/crash-loop.ts';

describe('the crash loop', () => {
  it('restarts at once, then after 10 s, doubling up to 5 min, counted from each exit', () => {
    const delays: number[] = [];
    let loop: CrashLoop | undefined;
    let finishedAt = 0;
    for (let exit = 0; exit < 9; exit++) {
      const at = startsAt(loop, finishedAt);
      delays.push((at - finishedAt) / 1000);
      loop = nextStep(loop, finishedAt, at);
      finishedAt = at + 100;
    }
    expect(delays).toEqual([0, 10, 20, 40, 80, 160, 300, 300, 300]);
  });

  it('starts over after a run of more than ten minutes, not after one of exactly ten', () => {
    const loop = { delayMs: 160_000, setAt: 0 };
    expect(startsAt(loop, 600_000)).toBe(760_000);
    expect(startsAt(loop, 600_001)).toBe(600_001);
    expect(nextStep(loop, 600_001, 600_001)).toEqual({ delayMs: 10_000, setAt: 600_001 });
  });

  it('survives as an annotation', () => {
    const loop = { delayMs: 40_000, setAt: 1_767_225_600_123 };
    expect(crashLoopOf(crashLoopAnnotation(loop))).toEqual(loop);
  });

  it.each([[{}], [{ 'io.anylet.container.crash-loop': 'soon' }], [{ 'io.anylet.container.crash-loop': '10@' }]])(
    'takes no annotation, or one that it did not write, for none (%#)',
    (annotations: Record<string, string>) => {
      expect(crashLoopOf(annotations)).toBeUndefined();
    },
  );

  it.each([
    [10_000, '10s'],
    [59_999, '1m0s'],
    [80_000, '1m20s'],
    [300_000, '5m0s'],
  ])('says %d ms as %s', (ms, text) => {
    expect(goSeconds(ms)).toBe(text);
  });
});
