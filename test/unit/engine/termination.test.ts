import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { Container, Pod } from '../../../src/core/objects.ts';
import { EngineBench } from '../../helpers/engine-bench.ts';
import { podOf } from './records-of.ts';

const sidecar = (name: string): Partial<Container> => ({ name, restartPolicy: 'Always' });
const stop = (gracePeriodSeconds: number) => ({ gracePeriodSeconds, reason: 'deleted' });

describe('the end of a pod', () => {
  let bench: EngineBench;
  beforeEach(async () => {
    bench = await EngineBench.create();
  });
  afterEach(() => bench.dispose());

  const stops = () => bench.runtime.calls.filter((c) => c.startsWith('stop '));
  const started = async (pod: Pod) => {
    await bench.run(pod);
    await bench.pass(100);
    expect(bench.runtime.calls.filter((c) => c.startsWith('start ')).length).toBeGreaterThan(0);
  };

  it('stops regular containers together with the grace of the pod, and says so', async () => {
    const pod = podOf(['a', 'b']);
    await started(pod);
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(0);
    expect(stops()).toEqual(['stop a#0 30', 'stop b#0 30']);
    expect(bench.events.filter((e) => e.includes('Killing'))).toEqual([
      'Normal Killing spec.containers{a} Stopping container a',
      'Normal Killing spec.containers{b} Stopping container b',
    ]);
    expect(await ended).toMatchObject({
      sandboxReady: false,
      podIPs: ['10.0.0.9'],
      containers: [{ state: { terminated: { exitCode: 0 } } }, { state: { terminated: { exitCode: 0 } } }],
    });
    expect([...bench.runtime.sandboxes.values()]).toMatchObject([{ state: 'notReady' }]);
  });

  it.each([
    [0, 2],
    [1, 2],
    [2, 2],
    [5, 5],
  ])('of a grace period of %d s gives a container %d s', async (grace, given) => {
    await started(podOf(['a']));
    await bench.engine.stop('uid', stop(grace));
    expect(stops()).toEqual([`stop a#0 ${given}`]);
  });

  it('kills what ignores the signal when its grace is over', async () => {
    bench.runtime.behaviours.set('a', { onStop: 'ignored' });
    await started(podOf(['a']));
    const ended = bench.engine.stop('uid', stop(3));
    await bench.pass(2_900);
    expect(bench.runtime.latest('a')?.status.state).toBe('running');
    await bench.pass(100);
    expect(await ended).toMatchObject({ containers: [{ state: { terminated: { exitCode: 137, reason: 'Error' } } }] });
  });

  it('stops sidecars last, in reverse order, each with what is left of the grace period', async () => {
    const pod = podOf(['main'], [sidecar('s1'), sidecar('s2')]);
    for (const name of ['main', 's1', 's2'])
      bench.runtime.behaviours.set(name, { onStop: { afterMs: 4_000, exitCode: 0 } });
    await started(pod);
    const ended = bench.engine.stop('uid', stop(10));
    await bench.pass(15_000);
    await ended;
    expect(stops()).toEqual(['stop main#0 10', 'stop s2#0 6', 'stop s1#0 2']);
    expect(bench.events).toContain('Normal Killing spec.initContainers{s2} Stopping container s2');
  });

  it('knows the sidecars of a pod that this process has never run', async () => {
    const pod = podOf(['main'], [sidecar('s1')]);
    await started(pod);
    await bench.restart();
    bench.runtime.calls.length = 0;
    await bench.engine.stop('uid', { ...stop(10), pod });
    expect(stops()).toEqual(['stop main#0 10', 'stop s1#0 10']);
  });

  it('is brought nearer by a shorter grace, and never put off by a longer one', async () => {
    bench.runtime.behaviours.set('a', { onStop: 'ignored' });
    await started(podOf(['a']));
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(1_000);
    void bench.engine.stop('uid', stop(60));
    await bench.pass(0);
    expect(stops()).toEqual(['stop a#0 30']);
    const again = bench.engine.stop('uid', stop(2));
    await bench.pass(1_900);
    expect(bench.runtime.latest('a')?.status.state).toBe('running');
    await bench.pass(200);
    expect(await again).toEqual(await ended);
    expect(stops()).toEqual(['stop a#0 30', 'stop a#0 2']);
  });

  it('says what fails and tries again until it works', async () => {
    await started(podOf(['a']));
    let failures = 2;
    bench.runtime.fault = (operation) => {
      if (operation === 'stop' && failures-- > 0) throw new Error('runtime is busy');
    };
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(10_000);
    await ended;
    expect(stops()).toHaveLength(3);
    expect(bench.events.filter((e) => e.includes('FailedKillPod'))).toEqual([
      'Warning FailedKillPod error killing pod: runtime is busy',
      'Warning FailedKillPod error killing pod: runtime is busy',
    ]);
    expect(bench.events.filter((e) => e.includes('Killing'))).toHaveLength(1);
  });

  it('tries again to stop the sandbox', async () => {
    await started(podOf(['a']));
    let failures = 1;
    bench.runtime.fault = (operation) => {
      if (operation === 'stopSandbox' && failures-- > 0) throw new Error('network is busy');
    };
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(5_000);
    expect(await ended).toMatchObject({ sandboxReady: false });
    expect(bench.events).toContain('Warning FailedKillPod error killing pod: network is busy');
  });

  it('waits for the last record of a container, which may be late', async () => {
    await started(podOf(['a']));
    bench.runtime.isSilent = true;
    let report: unknown;
    void bench.engine.stop('uid', stop(30)).then((r) => (report = r));
    await bench.pass(1_000);
    expect(report).toBeUndefined();
    bench.runtime.tell();
    await bench.pass(0);
    expect(report).toMatchObject({ containers: [{ state: { terminated: { exitCode: 0 } } }] });
  });

  it('does not wait for ever for a record that never comes', async () => {
    await started(podOf(['a']));
    bench.runtime.isSilent = true;
    let report: unknown;
    void bench.engine.stop('uid', stop(30)).then((r) => (report = r));
    await bench.pass(2_100);
    expect(report).toMatchObject({ sandboxReady: false });
  });

  it('removes a container that was created and never started, and tells nothing of it', async () => {
    const release = Promise.withResolvers<void>();
    bench.runtime.fault = (operation) => (operation === 'create' ? release.promise : undefined);
    const pod = podOf(['a']);
    await bench.run(pod);
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(0);
    release.resolve();
    await bench.pass(0);
    expect(await ended).toMatchObject({ containers: [{ state: { waiting: { reason: 'ContainerCreating' } } }] });
    expect(bench.runtime.calls).toEqual(['sandbox p#0', 'create a#0', 'remove a#0']);
    expect(bench.events.filter((e) => e.includes('Killing'))).toEqual([]);
  });

  it('takes back what a container waited for', async () => {
    const pod = podOf(['a']);
    const missing = Object.assign(new Error('configmap "c" not found'), {
      waitingReason: 'CreateContainerConfigError',
    });
    await bench.run(pod, undefined, {
      container: () => Promise.reject(missing),
      volume: () => Promise.reject(missing),
    });
    await bench.pass(100);
    expect(bench.container(pod, 'a').state).toMatchObject({ waiting: { reason: 'CreateContainerConfigError' } });
    expect(await bench.engine.stop('uid', stop(30))).toMatchObject({
      containers: [{ state: { waiting: { reason: 'ContainerCreating' } } }],
    });
  });

  it('does not wait for an answer that a start waits for', async () => {
    const pod = podOf(['a']);
    const never = new Promise<never>(() => {});
    await bench.run(pod, undefined, { container: () => never, volume: () => never });
    await bench.engine.stop('uid', stop(30));
    expect(bench.runtime.calls).toEqual(['sandbox p#0']);
  });

  it('is success for a pod that nobody knows', async () => {
    await expect(bench.engine.stop('other', stop(30))).resolves.toBeUndefined();
  });

  it('is left where it is when the engine closes', async () => {
    bench.runtime.behaviours.set('a', { onStop: 'ignored' });
    await started(podOf(['a']));
    const ended = bench.engine.stop('uid', stop(30));
    await bench.pass(0);
    await bench.engine.close();
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
    expect(bench.runtime.latest('a')?.status.state).toBe('running');
  });
});
