import { afterEach, describe, expect, it } from '@jest/globals';
import { codeOf } from '../../../src/core/errors.ts';
import type { ContainerStatus, Pod, PodSpec, PodStatus } from '../../../src/core/objects.ts';
import type { PodEvent, PodReport } from '../../../src/providers/contract.ts';
import { configSchema } from '../../../src/providers/simulated/config.ts';
import { SimulatedProvider } from '../../../src/providers/simulated/simulated-provider.ts';
import { CollectedEvents, FakeClock, literalResolver, testPod } from '../../../src/testing/index.ts';

const cleanUps: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A watched provider, with what it last said of each pod. */
function bench(config: object = {}, clock = new FakeClock()) {
  const provider = new SimulatedProvider(configSchema.parse(config), { clock, nodeIPs: ['192.0.2.1'] });
  const events = new CollectedEvents<PodEvent>((signal) => provider.watch(signal));
  cleanUps.push(() => events.stop());
  const last = async (pod: Pod): Promise<PodReport> => {
    await clock.advance(0);
    const said = events.all.findLast((event) => event.type === 'report' && event.report.uid === pod.metadata.uid);
    if (said?.type !== 'report') throw new Error('nothing was said of the pod');
    return said.report;
  };
  const states = async (pod: Pod) =>
    Object.fromEntries((await last(pod)).containers.map(({ name, state }) => [name, Object.keys(state)[0]]));
  const run = (pod: Pod, status?: PodStatus) => provider.run(pod, literalResolver(pod), status);
  return { provider, clock, events, last, states, run };
}

function annotated(annotations: Record<string, string>, spec: Partial<PodSpec> = {}): Pod {
  const full = Object.fromEntries(
    Object.entries(annotations).map(([key, value]) => [`simulated.anylet.io/${key}`, value]),
  );
  return testPod(spec, { annotations: full });
}

/** The pod's status as the API server would have it after this report. */
function statusOf(report: PodReport): PodStatus {
  return {
    phase: 'Running',
    podIPs: report.podIPs.map((ip) => ({ ip })),
    containerStatuses: report.containers.map(
      ({ image = '', imageID = '', ...rest }) => ({ ...rest, image, imageID }) as ContainerStatus,
    ),
  };
}

describe('the simulated provider', () => {
  it('runs a pod at once, with an address of its own', async () => {
    const { run, last, provider } = bench();
    const [one, two] = [testPod(), testPod()];
    await run(one);
    await run(two);
    const reports = [await last(one), await last(two)];
    expect(reports.map(({ sandboxReady, containers }) => [sandboxReady, containers[0]?.ready])).toEqual([
      [true, true],
      [true, true],
    ]);
    expect(reports[0]?.podIPs[0]).toMatch(/^198\.1[89]\./);
    expect(reports[0]?.podIPs).not.toEqual(reports[1]?.podIPs);
    expect(provider.held).toEqual({ pods: 2, addresses: 2 });
  });

  it('lets init containers have done their work and sidecars run', async () => {
    const { run, last, states } = bench();
    const pod = testPod({
      initContainers: [
        { name: 'prepare', image: 'i' },
        { name: 'proxy', image: 'p', restartPolicy: 'Always' },
      ],
    });
    await run(pod);
    expect(await states(pod)).toEqual({ prepare: 'terminated', proxy: 'running', main: 'running' });
    expect((await last(pod)).containers[0]?.state).toMatchObject({ terminated: { exitCode: 0, reason: 'Completed' } });
  });

  it('waits for the start delay', async () => {
    const { run, last, clock } = bench({ startDelay: '5s' });
    const pod = testPod();
    await run(pod);
    expect(await last(pod)).toMatchObject({
      sandboxReady: false,
      containers: [{ state: { waiting: { reason: 'ContainerCreating' } }, ready: false }],
    });
    await clock.advance(4999);
    expect((await last(pod)).sandboxReady).toBe(false);
    await clock.advance(1);
    expect(await last(pod)).toMatchObject({ sandboxReady: true, containers: [{ ready: true }] });
    expect(clock.pending).toBe(0);
  });

  it('needs no timer for a pod without delays', async () => {
    const { run, clock } = bench();
    for (let i = 0; i < 10; i++) await run(testPod());
    expect(clock.pending).toBe(0);
  });

  it('never starts what its annotation says fails', async () => {
    const { run, last } = bench();
    const pod = annotated({ 'fail-start': 'ErrImagePull: no such image' });
    await run(pod);
    expect(await last(pod)).toMatchObject({
      sandboxReady: true,
      containers: [{ state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } } }],
    });
  });

  it('starts it when the annotation is taken away', async () => {
    const { run, last, provider } = bench();
    const pod = annotated({ 'fail-start': 'ErrImagePull' });
    await run(pod);
    await provider.update({ ...pod, metadata: { ...pod.metadata, annotations: {}, generation: 2 } });
    expect(await last(pod)).toMatchObject({ observedGeneration: 2, containers: [{ ready: true, restartCount: 0 }] });
  });

  it('lets a share of pods fail, the same ones each time', async () => {
    const pods = Array.from({ length: 200 }, () => testPod());
    const failing = async () => {
      const { run, last } = bench({ startFailures: 0.25 });
      for (const pod of pods) await run(pod);
      const reports = await Promise.all(pods.map((pod) => last(pod)));
      return reports.filter(({ containers }) => containers[0]?.ready === false).map(({ uid }) => uid);
    };
    const first = await failing();
    expect(first.length).toBeGreaterThan(20);
    expect(first.length).toBeLessThan(90);
    expect(await failing()).toEqual(first);
  });

  it('completes a Job: its containers end, and so do the sidecars', async () => {
    const { run, last, states, clock } = bench();
    const pod = annotated(
      { 'run-for': '3s' },
      {
        restartPolicy: 'Never',
        initContainers: [{ name: 'proxy', image: 'p', restartPolicy: 'Always' }],
      },
    );
    await run(pod);
    await clock.advance(3000);
    expect(await states(pod)).toEqual({ proxy: 'terminated', main: 'terminated' });
    const { sandboxReady, containers } = await last(pod);
    expect(sandboxReady).toBe(false);
    expect(containers[1]?.state).toEqual({
      terminated: {
        exitCode: 0,
        reason: 'Completed',
        startedAt: '2026-01-01T00:00:00Z',
        finishedAt: '2026-01-01T00:00:03Z',
        containerID: containers[1]?.containerID,
      },
    });
  });

  it.each([
    ['Always', '0', 1],
    ['OnFailure', '1', 1],
    ['OnFailure', '0', 0],
    ['Never', '1', 0],
  ])('with restartPolicy %s and exit code %s has restarted %i times', async (restartPolicy, exitCode, restartCount) => {
    const { run, last, clock } = bench();
    const pod = annotated({ 'run-for': '1s', 'exit-code': exitCode }, { restartPolicy });
    await run(pod);
    await clock.advance(1000);
    expect((await last(pod)).containers[0]?.restartCount).toBe(restartCount);
  });

  it('backs off as the kubelet does when a container crashes again and again', async () => {
    const { run, last, clock } = bench({ runFor: 1, exitCode: 3 });
    const pod = testPod();
    await run(pod);
    const restartsAfter = async (seconds: number) => {
      await clock.advance(seconds * 1000);
      return (await last(pod)).containers[0]?.restartCount;
    };
    expect(await restartsAfter(1)).toBe(1);
    expect(await restartsAfter(1)).toBe(1);
    const { metadata } = pod;
    expect((await last(pod)).containers[0]).toMatchObject({
      state: {
        waiting: {
          reason: 'CrashLoopBackOff',
          message: `back-off 10s restarting failed container=main pod=${metadata.name}_default(${metadata.uid})`,
        },
      },
      lastState: { terminated: { exitCode: 3, reason: 'Error' } },
      ready: false,
    });
    expect(await restartsAfter(9)).toBe(1);
    expect(await restartsAfter(1)).toBe(2);
    expect(await restartsAfter(1 + 19)).toBe(2);
    expect(await restartsAfter(1)).toBe(3);
  });

  it('stops at once, or after its delay, or is killed when the grace period ends', async () => {
    const { run, provider, clock } = bench();
    const stop = async (delay: string, gracePeriodSeconds: number) => {
      const pod = annotated({ 'stop-delay': delay });
      await run(pod);
      const before = clock.now();
      const stopped = provider.stop(pod.metadata.uid, { gracePeriodSeconds, reason: 'deleted' });
      await clock.advance(60_000);
      const state = (await stopped)?.containers[0]?.state;
      if (state === undefined || !('terminated' in state)) throw new Error('it did not end');
      return [state.terminated.exitCode, (Date.parse(state.terminated.finishedAt ?? '') - before) / 1000];
    };
    expect(await stop('0s', 30)).toEqual([0, 0]);
    expect(await stop('5s', 30)).toEqual([0, 5]);
    expect(await stop('40s', 30)).toEqual([137, 30]);
  });

  it('lets a shorter grace period shorten a stop in flight', async () => {
    const { run, provider, clock } = bench({ stopDelay: '1h' });
    const pod = testPod();
    await run(pod);
    const slow = provider.stop(pod.metadata.uid, { gracePeriodSeconds: 600, reason: 'deleted' });
    const fast = provider.stop(pod.metadata.uid, { gracePeriodSeconds: 0, reason: 'deleted' });
    expect(await slow).toEqual(await fast);
    expect(clock.pending).toBe(0);
  });

  it('stops a pod that never started', async () => {
    const { run, provider, clock } = bench({ startDelay: '1h' });
    const pod = testPod();
    await run(pod);
    const report = await provider.stop(pod.metadata.uid, { gracePeriodSeconds: 30, reason: 'deleted' });
    expect(report?.containers[0]?.state).toHaveProperty('waiting');
    expect(clock.pending).toBe(0);
  });

  it('goes on after a restart as if nothing had happened', async () => {
    const clock = new FakeClock();
    const before = bench({ runFor: '60s' }, clock);
    const pod = testPod();
    await before.run(pod);
    await clock.advance(70_000);
    const known = await before.last(pod);
    expect(known.containers[0]?.restartCount).toBe(1);
    await before.provider.close();

    await clock.advance(5000);
    const after = bench({ runFor: '60s' }, clock);
    await after.run(pod, statusOf(known));
    expect(await after.last(pod)).toEqual(known);
    expect(after.provider.held.addresses).toBe(1);

    // It still ends when it would have: started at 60 s, now it is 75 s.
    await clock.advance(44_000);
    expect(await after.states(pod)).toEqual({ main: 'running' });
    await clock.advance(1000);
    expect((await after.last(pod)).containers[0]?.state).toMatchObject({ waiting: { reason: 'CrashLoopBackOff' } });
  });

  it('runs ephemeral containers that are added, and restarts a container whose image changed', async () => {
    const { run, last, states, provider } = bench();
    const pod = testPod();
    await run(pod);
    const [main] = pod.spec.containers;
    await provider.update({
      ...pod,
      spec: {
        ...pod.spec,
        containers: [{ ...main, name: 'main', image: 'registry.example/app:2' }],
        ephemeralContainers: [{ name: 'debugger', image: 'busybox' }],
      },
    });
    expect(await states(pod)).toEqual({ main: 'running', debugger: 'running' });
    expect((await last(pod)).containers[0]).toMatchObject({ image: 'registry.example/app:2', restartCount: 1 });
  });

  it('gives pods on the host network the addresses of the node', async () => {
    const { run, last, provider } = bench();
    const pod = testPod({ hostNetwork: true });
    await run(pod);
    expect((await last(pod)).podIPs).toEqual(['192.0.2.1']);
    expect(provider.held.addresses).toBe(0);
  });

  it('keeps no trace of a removed pod', async () => {
    const { run, provider, clock, events } = bench({ runFor: '60s' });
    const pods = Array.from({ length: 20 }, () => testPod());
    for (const pod of pods) await run(pod);
    for (const { metadata } of pods) {
      await provider.stop(metadata.uid, { gracePeriodSeconds: 0, reason: 'deleted' });
      await provider.remove(metadata.uid);
    }
    await clock.advance(0);
    expect(provider.held).toEqual({ pods: 0, addresses: 0 });
    expect(clock.pending).toBe(0);
    expect(events.all.filter(({ type }) => type === 'gone')).toHaveLength(20);
  });

  it('refuses an annotation that it cannot read, and says so when no address is left', async () => {
    const { run } = bench({ podCIDR: '198.51.100.0/30' });
    const refusals = await Promise.allSettled([
      run(annotated({ 'run-for': 'ages' })),
      run(annotated({ 'start-dealy': '1s' })),
    ]);
    expect(refusals.map((each) => each.status === 'rejected' && codeOf(each.reason))).toEqual([
      'InvalidInput',
      'InvalidInput',
    ]);
    await run(testPod());
    await run(testPod());
    await expect(run(testPod())).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('lacks logs and exec, so that the node says that it cannot', () => {
    const { provider } = bench();
    expect(['logs', 'exec', 'attach', 'portForward'].filter((method) => method in provider)).toEqual([]);
  });
});
