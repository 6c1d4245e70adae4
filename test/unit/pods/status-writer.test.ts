import { beforeEach, describe, expect, it } from '@jest/globals';

import type { Pod } from '../../../src/core/objects.ts';
import { isNewer, PodStatusWriter } from '../../../src/pods/status-writer.ts';
import { FakeClock, MemoryLogger } from '../../../src/testing/index.ts';
import { MemoryApi } from '../../helpers/memory-api.ts';
import { pass, quiet } from '../../helpers/quiet.ts';
import { refusal } from '../kube/fake-api.ts';

describe('the pod status writer', () => {
  let clock: FakeClock;
  let log: MemoryLogger;
  let api: MemoryApi;
  let writer: PodStatusWriter;
  const never = new AbortController().signal;

  beforeEach(() => {
    clock = new FakeClock();
    log = new MemoryLogger();
    api = new MemoryApi(clock);
    writer = new PodStatusWriter(api, { clock, log, concurrency: 2 });
  });

  const observed = (name: string): Pod => {
    const pod = api.createPod({ metadata: { name }, spec: { containers: [] } });
    writer.observe(pod);
    return pod;
  };
  const patches = () => api.asked('PATCH').map((r) => (r.body as { status: { message?: string } }).status.message);
  /** Makes the API server take its time over patches. */
  const hold = () => {
    const gate = Promise.withResolvers<void>();
    api.before = (r) => (r.method === 'PATCH' ? gate.promise : undefined);
    return gate.resolve;
  };
  const fail = (...failures: readonly Error[]) => {
    const left = [...failures];
    api.before = (r) => {
      const failure = r.method === 'PATCH' ? left.shift() : undefined;
      if (failure !== undefined) throw failure;
    };
  };

  it('writes what differs, with the UID as precondition', async () => {
    const { metadata } = observed('p');
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
    await quiet();
    expect(api.status('p').phase).toBe('Running');
    expect(api.asked('PATCH')).toMatchObject([
      {
        path: '/api/v1/namespaces/default/pods/p/status',
        contentType: 'application/strategic-merge-patch+json',
        body: { metadata: { uid: metadata.uid }, status: { phase: 'Running' } },
      },
    ]);
  });

  it('does not write what the API server has', async () => {
    const pod = observed('p');
    writer.write(pod.metadata.uid, { ...pod.status });
    await quiet();
    expect(api.asked('PATCH')).toEqual([]);
  });

  it('has one write in flight for a pod, and writes the newest next', async () => {
    const { metadata } = observed('p');
    const release = hold();
    for (const message of ['1', '2', '3'])
      writer.write(metadata.uid, { phase: 'Pending', qosClass: 'BestEffort', message });
    await quiet();
    writer.write(metadata.uid, { phase: 'Pending', qosClass: 'BestEffort', message: '4' });
    await quiet();
    expect(patches()).toEqual(['1']);
    release();
    await quiet();
    expect(patches()).toEqual(['1', '4']);
    expect(api.status('p').message).toBe('4');
  });

  it('writes for some pods at once, in turn', async () => {
    const release = hold();
    for (const name of ['a', 'b', 'c'])
      writer.write(observed(name).metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
    await quiet();
    expect(api.asked('PATCH')).toHaveLength(2);
    release();
    await quiet();
    expect(api.asked('PATCH')).toHaveLength(3);
  });

  it('knows what the API server answered, and what is newer than that', async () => {
    const { metadata } = observed('p');
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
    await quiet();
    expect(writer.known(metadata.uid)).toMatchObject({ phase: 'Running' });
    const old = {
      metadata: { ...metadata, resourceVersion: '5' },
      spec: { containers: [] },
      status: { phase: 'Failed' },
    };
    writer.observe(old);
    expect(writer.known(metadata.uid)).toMatchObject({ phase: 'Running' });
    writer.observe({ ...old, metadata: { ...metadata, resourceVersion: '99999' } });
    expect(writer.known(metadata.uid)).toMatchObject({ phase: 'Failed' });
  });

  it('tries again, later each time, and with the newest', async () => {
    const { metadata } = observed('p');
    fail(refusal(500), refusal(503));
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort', message: 'old' });
    await quiet();
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort', message: 'new' });
    await pass(clock, 500);
    expect(patches()).toEqual(['old']);
    await pass(clock, 5_000);
    expect(patches()).toEqual(['old', 'new', 'new']);
    expect(api.status('p').message).toBe('new');
    expect(log.lines.map((l) => l.message)).toEqual(['pod status write failed', 'pod status write failed']);
  });

  it('writes the newest also after a failure that came while there was a newer one', async () => {
    const { metadata } = observed('p');
    const gate = Promise.withResolvers<void>();
    api.before = () => gate.promise;
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort', message: 'old' });
    await quiet();
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort', message: 'new' });
    gate.reject(refusal(500));
    await quiet();
    api.before = () => {};
    await pass(clock, 2_000);
    expect(patches()).toEqual(['old', 'new']);
  });

  it('waits as long as the API server asks', async () => {
    const { metadata } = observed('p');
    fail(refusal(429, 'slow down', 30));
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
    await pass(clock, 29_000, 1_000);
    expect(api.asked('PATCH')).toHaveLength(1);
    await pass(clock, 2_000);
    expect(api.status('p').phase).toBe('Running');
  });

  it.each([404, 409])('takes a pod for gone on %d, and never writes again', async (code) => {
    const { metadata } = observed('p');
    fail(refusal(code));
    writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
    await quiet();
    await expect(writer.landed(metadata.uid, never)).resolves.toBeUndefined();
    writer.write(metadata.uid, { phase: 'Failed', qosClass: 'BestEffort' });
    await pass(clock, 60_000, 5_000);
    expect(api.asked('PATCH')).toHaveLength(1);
    expect(log.lines).toEqual([]);
  });

  it('never writes to another pod of the same name', async () => {
    const { metadata } = observed('p');
    api.forget('pods', 'p', 'default');
    api.createPod({ metadata: { name: 'p' }, spec: { containers: [] } });
    writer.write(metadata.uid, { phase: 'Failed', qosClass: 'BestEffort' });
    await quiet();
    expect(api.status('p').phase).toBe('Pending');
  });

  describe('says when the newest status has landed', () => {
    const landed = async (uid: string) => {
      let has = false;
      void writer.landed(uid, never).then(() => (has = true));
      await quiet();
      return () => has;
    };

    it('at once when there is nothing to write', async () => {
      const { metadata } = observed('p');
      expect((await landed(metadata.uid))()).toBe(true);
      expect((await landed('unknown'))()).toBe(true);
    });

    it('after the write in flight and the one behind it', async () => {
      const { metadata } = observed('p');
      const release = hold();
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      await quiet();
      writer.write(metadata.uid, { phase: 'Succeeded', qosClass: 'BestEffort' });
      const has = await landed(metadata.uid);
      expect(has()).toBe(false);
      release();
      await quiet();
      expect(has()).toBe(true);
      expect(api.status('p').phase).toBe('Succeeded');
    });

    it('after a try that failed, when the next did not', async () => {
      const { metadata } = observed('p');
      fail(refusal(500));
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      const has = await landed(metadata.uid);
      expect(has()).toBe(false);
      await pass(clock, 2_000);
      expect(has()).toBe(true);
    });

    it('when the pod is gone', async () => {
      const { metadata } = observed('p');
      hold();
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      const has = await landed(metadata.uid);
      writer.forget(metadata.uid);
      await quiet();
      expect(has()).toBe(true);
      expect(writer.size).toBe(0);
    });

    it('or not at all, when whoever waits gives up', async () => {
      const { metadata } = observed('p');
      hold();
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      const giveUp = new AbortController();
      const waiting = writer.landed(metadata.uid, giveUp.signal);
      giveUp.abort(new Error('no more'));
      await expect(waiting).rejects.toThrow('no more');
    });
  });

  describe('when it stops', () => {
    it('writes first what waits', async () => {
      const { metadata } = observed('p');
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      await writer.stop(1_000);
      expect(api.status('p').phase).toBe('Running');
      expect(clock.pending).toBe(0);
    });

    it('leaves at its deadline what cannot be written, and takes nothing more', async () => {
      const { metadata } = observed('p');
      fail(...Array.from({ length: 50 }, () => refusal(500)));
      writer.write(metadata.uid, { phase: 'Running', qosClass: 'BestEffort' });
      let isStopped = false;
      const stopping = writer.stop(3_000).then(() => (isStopped = true));
      await pass(clock, 2_900);
      expect(isStopped).toBe(false);
      await pass(clock, 200);
      await stopping;
      const tries = api.asked('PATCH').length;
      writer.write(metadata.uid, { phase: 'Failed', qosClass: 'BestEffort' });
      await pass(clock, 60_000, 5_000);
      expect(api.asked('PATCH')).toHaveLength(tries);
    });
  });

  it.each([
    ['9', '10', false],
    ['10', '9', true],
    ['10', '10', false],
    ['11', '10', true],
  ])('compares the resource versions %s and %s as numbers', (a, b, expected) => {
    expect(isNewer(a, b)).toBe(expected);
  });
});
