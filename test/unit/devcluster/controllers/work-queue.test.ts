import { describe, expect, it } from '@jest/globals';

import { silentLogger } from '../../../../src/core/logger.ts';
import { WorkQueue } from '../../../../src/devcluster/controllers/work-queue.ts';
import { FakeClock } from '../../../../src/testing/fake-clock.ts';

function queue(work: (key: string) => void = () => undefined) {
  const clock = new FakeClock();
  const done: string[] = [];
  const queue = new WorkQueue('test', clock, silentLogger, (key) => {
    done.push(key);
    work(key);
  });
  return { clock, done, queue };
}

describe('a work queue', () => {
  it('works on a key once however often it was added, and never at once', async () => {
    const { clock, done, queue: q } = queue();
    for (const key of ['a', 'b', 'a']) q.add(key);
    expect(done).toEqual([]);
    await clock.advance(0);
    expect(done).toEqual(['a', 'b']);
  });

  it('tries a failed key again after a growing delay, and forgets the delay after a success', async () => {
    let failing = true;
    const {
      clock,
      done,
      queue: q,
    } = queue(() => {
      if (failing) throw new Error('no');
    });
    q.add('a');
    await clock.advance(4);
    expect(done).toHaveLength(1);
    await clock.advance(1);
    expect(done).toHaveLength(2);
    await clock.advance(9);
    expect(done).toHaveLength(2);
    failing = false;
    await clock.advance(1);
    expect(done).toHaveLength(3);
    await clock.advance(60_000);
    expect(done).toHaveLength(3);
  });

  it('keeps the earlier of two times for a key', async () => {
    const { clock, done, queue: q } = queue();
    q.addAfter('a', 100);
    q.addAfter('a', 50);
    q.addAfter('a', 70);
    await clock.advance(50);
    expect(done).toEqual(['a']);
    await clock.advance(100);
    expect(done).toEqual(['a']);
  });

  it('does nothing more once it is stopped', async () => {
    const { clock, done, queue: q } = queue();
    q.add('a');
    q.addAfter('b', 10);
    q.stop();
    q.add('c');
    await clock.advance(100);
    expect(done).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
