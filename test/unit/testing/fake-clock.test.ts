import { describe, expect, it } from '@jest/globals';
import { rfc3339 } from '../../../src/core/clock.ts';
import { FakeClock } from '../../../src/testing/index.ts';

describe('FakeClock', () => {
  it('calls what is due, in order and at its time', async () => {
    const clock = new FakeClock();
    const said: string[] = [];
    clock.after(2000, () => said.push(`two at ${rfc3339(clock.now())}`));
    clock.after(1000, () => said.push(`one at ${rfc3339(clock.now())}`));
    clock.after(3000, () => said.push('three'));
    await clock.advance(2999);
    expect(said).toEqual(['one at 2026-01-01T00:00:01Z', 'two at 2026-01-01T00:00:02Z']);
    expect(clock.pending).toBe(1);
  });

  it('lets what a timer starts go on before the next timer', async () => {
    const clock = new FakeClock();
    const said: number[] = [];
    const loop = async () => {
      for (let i = 1; i <= 3; i++) {
        await clock.sleep(10);
        said.push(clock.now() - Date.UTC(2026, 0, 1));
      }
    };
    const done = loop();
    await clock.advance(30);
    await done;
    expect(said).toEqual([10, 20, 30]);
  });

  it('forgets what was cancelled or aborted', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    clock.after(10, () => expect(true).toBe(false))();
    const sleep = clock.sleep(10, stop.signal);
    stop.abort(new Error('enough'));
    await expect(sleep).rejects.toThrow('enough');
    expect(clock.pending).toBe(0);
    await clock.advance(100);
  });
});
