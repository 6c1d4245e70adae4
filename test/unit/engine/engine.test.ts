import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { Container, Pod, PodStatus } from '../../../src/core/objects.ts';
import type { PodResolver } from '../../../src/providers/contract.ts';
import { literalResolver } from '../../../src/testing/index.ts';
import { EngineBench } from '../../helpers/engine-bench.ts';
import { podOf, recordOf } from './records-of.ts';

const stop = { gracePeriodSeconds: 30, reason: 'deleted' };
const sidecar = (name: string): Partial<Container> => ({ name, restartPolicy: 'Always' });

describe('the engine', () => {
  let bench: EngineBench;
  beforeEach(async () => {
    bench = await EngineBench.create();
  });
  afterEach(() => bench.dispose());

  const states = (pod: Pod) =>
    bench.report(pod).containers.map((c) => `${c.name} ${JSON.stringify(Object.keys(c.state)[0])}`);
  const starts = () => bench.runtime.calls.filter((c) => c.startsWith('start '));
  const said = (reason: string) => bench.events.filter((e) => e.includes(` ${reason} `));

  it('says when its listing is complete, though it holds nothing', () => {
    expect(bench.said).toEqual([{ type: 'synced' }]);
  });

  describe('starting a pod', () => {
    it('makes a sandbox, then each container in order', async () => {
      const pod = podOf(['a', 'b']);
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.runtime.calls).toEqual(['sandbox p#0', 'create a#0', 'start a#0', 'create b#0', 'start b#0']);
      expect(states(pod)).toEqual(['a "running"', 'b "running"']);
      expect(bench.events).toEqual([
        'Normal Created spec.containers{a} Container created',
        'Normal Started spec.containers{a} Container started',
        'Normal Created spec.containers{b} Container created',
        'Normal Started spec.containers{b} Container started',
      ]);
    });

    it('says that the sandbox is there before any container is', async () => {
      const pod = podOf(['a']);
      const gate = bench.hold('create');
      await bench.run(pod);
      expect(bench.report(pod)).toMatchObject({
        sandboxReady: true,
        containers: [{ state: { waiting: { reason: 'ContainerCreating' } } }],
      });
      gate.open();
      await bench.pass(0);
      expect(states(pod)).toEqual(['a "running"']);
    });

    it('runs init containers, then sidecars, then the rest', async () => {
      const pod = podOf(['c'], ['i1', sidecar('s'), 'i2']);
      bench.runtime.behaviours.set('i1', { ends: { afterMs: 1_000, exitCode: 0 } });
      bench.runtime.behaviours.set('i2', { ends: { afterMs: 1_000, exitCode: 0 } });
      await bench.run(pod);
      await bench.pass(500);
      expect(starts()).toEqual(['start i1#0']);
      await bench.pass(1_000);
      expect(starts()).toEqual(['start i1#0', 'start s#0', 'start i2#0']);
      await bench.pass(1_000);
      expect(starts()).toEqual(['start i1#0', 'start s#0', 'start i2#0', 'start c#0']);
      expect(said('Created')).toContain('Normal Created spec.initContainers{s} Container created');
    });

    it('hands the runtime what the resolver says, and where to log', async () => {
      const pod = podOf([
        {
          name: 'a',
          command: ['run'],
          args: ['-x'],
          env: [{ name: 'K', value: 'v' }],
          workingDir: '/w',
          tty: true,
          lifecycle: { stopSignal: 'SIGUSR1' },
        },
      ]);
      await bench.run(pod);
      expect([...bench.runtime.configs.values()]).toMatchObject([
        {
          command: ['run'],
          args: ['-x'],
          env: { K: 'v' },
          workingDir: '/w',
          tty: true,
          stopSignal: 'SIGUSR1',
          logPath: `${bench.directory}/logs/ns_p_uid/a/0.log`,
          annotations: {},
        },
      ]);
    });

    it('resolves a container anew at each start, with the pod’s addresses', async () => {
      const pod = podOf(['a']);
      const asked: string[] = [];
      const literal = literalResolver(pod);
      const resolver: PodResolver = {
        ...literal,
        container: (name, ips) => {
          asked.push(`${name} ${ips.join()}`);
          return literal.container(name, ips);
        },
      };
      await bench.run(pod, undefined, resolver);
      bench.runtime.exit('a', 1);
      await bench.pass(100);
      expect(asked).toEqual(['a 10.0.0.9', 'a 10.0.0.9']);
    });

    it('starts the others when one cannot be started', async () => {
      bench.runtime.behaviours.set('a', { startError: new Error('no such program') });
      const pod = podOf(['a', 'b'], [], { restartPolicy: 'Never' });
      await bench.run(pod);
      await bench.pass(0);
      expect(states(pod)).toEqual(['a "terminated"', 'b "running"']);
    });

    it('is done with a pod whose containers all ended under Never', async () => {
      const pod = podOf(['a'], [], { restartPolicy: 'Never' });
      bench.runtime.behaviours.set('a', { ends: { afterMs: 1_000, exitCode: 3 } });
      await bench.run(pod);
      await bench.pass(60_000, 5_000);
      expect(starts()).toEqual(['start a#0']);
      expect(bench.container(pod, 'a').state).toMatchObject({ terminated: { exitCode: 3, reason: 'Error' } });
    });

    it('starts an ephemeral container that comes with an update, once', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      const debugged: Pod = { ...pod, spec: { ...pod.spec, ephemeralContainers: [{ name: 'e', image: 'i' }] } };
      await bench.engine.update(debugged);
      await bench.pass(0);
      expect(bench.container(pod, 'e')).toMatchObject({ state: { running: {} }, ready: false });
      bench.runtime.exit('e', 1);
      await bench.pass(600_000, 10_000);
      expect(starts()).toEqual(['start a#0', 'start e#0']);
    });

    it('reports the generation that it has been given last', async () => {
      const pod = podOf(['a'], [], {}, { generation: 1 });
      await bench.run(pod);
      await bench.engine.update({ ...pod, metadata: { ...pod.metadata, generation: 2 } });
      await bench.pass(0);
      expect(bench.report(pod).observedGeneration).toBe(2);
    });
  });

  describe('when a container cannot be made', () => {
    it('says what it waits for, tries again, and starts it when that appears', async () => {
      const pod = podOf(['a']);
      let isThere = false;
      const missing = Object.assign(new Error('configmap "c" not found'), {
        waitingReason: 'CreateContainerConfigError',
      });
      const literal = literalResolver(pod);
      await bench.run(pod, undefined, {
        ...literal,
        container: (...of) => (isThere ? literal.container(...of) : Promise.reject(missing)),
      });
      await bench.pass(0);
      expect(bench.container(pod, 'a')).toMatchObject({
        state: { waiting: { reason: 'CreateContainerConfigError', message: 'configmap "c" not found' } },
        restartCount: 0,
      });
      expect(bench.events).toEqual(['Warning Failed spec.containers{a} Error: configmap "c" not found']);
      isThere = true;
      await bench.pass(9_000);
      expect(starts()).toEqual([]);
      await bench.pass(7_000);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 0 });
    });

    it('names an error without a reason of its own CreateContainerError', async () => {
      const pod = podOf(['a']);
      bench.runtime.fault = (operation) => {
        if (operation === 'create') throw new Error('no space left on device');
      };
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.container(pod, 'a').state).toEqual({
        waiting: { reason: 'CreateContainerError', message: 'no space left on device' },
      });
    });

    it('makes another try, not another restart, of a start that the runtime refused', async () => {
      const pod = podOf(['a']);
      let isBusy = true;
      bench.runtime.fault = (operation) => {
        if (operation === 'start' && isBusy)
          throw Object.assign(new Error('runtime is busy'), { waitingReason: 'RunContainerError' });
      };
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.container(pod, 'a').state).toEqual({
        waiting: { reason: 'RunContainerError', message: 'runtime is busy' },
      });
      isBusy = false;
      await bench.pass(16_000);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 0 });
      expect(bench.runtime.containers.size).toBe(1);
    });

    it('shows a program that cannot be started, for a second, then tries again, then backs off', async () => {
      const pod = podOf(['a']);
      const failure = Object.assign(new Error('exec: "/no": not found'), { waitingReason: 'RunContainerError' });
      bench.runtime.behaviours.set('a', { startError: failure });
      await bench.run(pod);
      await bench.pass(500);
      const first = {
        state: { waiting: { reason: 'RunContainerError', message: failure.message } },
        lastState: { terminated: { reason: 'StartError', exitCode: 128 } },
      };
      expect(bench.container(pod, 'a')).toMatchObject({ ...first, restartCount: 0 });
      await bench.pass(1_000);
      expect(bench.container(pod, 'a')).toMatchObject({ ...first, restartCount: 1 });
      await bench.pass(1_000);
      expect(bench.container(pod, 'a')).toMatchObject({
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        restartCount: 1,
      });
      expect(bench.events).toEqual([
        'Normal Created spec.containers{a} Container created',
        'Warning Failed spec.containers{a} Error: exec: "/no": not found',
        'Normal Created spec.containers{a} Container created',
        'Warning Failed spec.containers{a} Error: exec: "/no": not found',
        'Warning BackOff spec.containers{a} Back-off restarting failed container a in pod p_ns(uid)',
      ]);
    });

    it('tries again for a sandbox that cannot be made, with an event each time', async () => {
      const pod = podOf(['a']);
      let failures = 2;
      bench.runtime.fault = (operation) => {
        if (operation === 'sandbox' && failures-- > 0) throw new Error('no address left');
      };
      await bench.run(pod);
      await bench.pass(10_000);
      expect(said('FailedCreatePodSandBox')).toEqual([
        'Warning FailedCreatePodSandBox Failed to create pod sandbox: no address left',
        'Warning FailedCreatePodSandBox Failed to create pod sandbox: no address left',
      ]);
      expect(states(pod)).toEqual(['a "running"']);
    });
  });

  describe('when a container crashes', () => {
    const crash = async (times: number) => {
      for (let i = 0; i < times; i++) {
        while (bench.runtime.latest('a')?.status.state !== 'running') await bench.pass(1_000);
        bench.runtime.exit('a', 1);
        await bench.pass(0);
      }
    };

    it('restarts it at once, then after 10 s from its exit', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await crash(1);
      expect(bench.container(pod, 'a')).toMatchObject({
        state: { running: {} },
        restartCount: 1,
        lastState: { terminated: { exitCode: 1 } },
      });
      await crash(1);
      await bench.pass(9_900);
      expect(bench.runtime.latest('a')?.attempt).toBe(1);
      await bench.pass(2_200);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 2 });
    });

    it('shows how it ended for most of the back-off, then that it waits, until it runs again', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await crash(2);
      await bench.pass(7_400);
      expect(bench.container(pod, 'a')).toMatchObject({
        state: { terminated: { exitCode: 1 } },
        lastState: { terminated: { exitCode: 1 } },
      });
      await bench.pass(200);
      expect(bench.container(pod, 'a')).toMatchObject({
        state: {
          waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting failed container=a pod=p_ns(uid)' },
        },
        lastState: { terminated: { exitCode: 1 } },
        restartCount: 1,
      });
      await bench.pass(2_300);
      expect(bench.container(pod, 'a').state).toMatchObject({ waiting: { reason: 'CrashLoopBackOff' } });
      await bench.pass(2_200);
      expect(bench.container(pod, 'a').state).toMatchObject({ running: {} });
    });

    it('says so once for each exit that must wait', async () => {
      await bench.run(podOf(['a']));
      await crash(3);
      await bench.pass(15_000);
      expect(said('BackOff')).toEqual([
        'Warning BackOff spec.containers{a} Back-off restarting failed container a in pod p_ns(uid)',
        'Warning BackOff spec.containers{a} Back-off restarting failed container a in pod p_ns(uid)',
      ]);
    });

    it('keeps the two newest dead instances of each container and no log beyond them', async () => {
      await bench.run(podOf(['a']));
      await crash(3);
      await bench.pass(100);
      expect([...bench.runtime.containers.values()].map((c) => c.attempt)).toEqual([1, 2]);
      expect(bench.runtime.calls).toContain('remove a#0');
    });

    it('does not make another container of the pod wait', async () => {
      const pod = podOf(['a', 'b']);
      await bench.run(pod);
      await crash(2);
      bench.runtime.exit('b', 1);
      await bench.pass(0);
      expect(bench.container(pod, 'b')).toMatchObject({ state: { running: {} }, restartCount: 1 });
    });

    it('goes on with the back-off where a daemon before it was', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await crash(3);
      await bench.restart();
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { terminated: { exitCode: 1 } }, restartCount: 2 });
      await bench.pass(16_000);
      expect(bench.container(pod, 'a').state).toMatchObject({
        waiting: { message: 'back-off 20s restarting failed container=a pod=p_ns(uid)' },
      });
      await bench.pass(9_000);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 3 });
    });

    it('does not take back, in a new process, that it waits', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await crash(2);
      await bench.pass(8_000);
      await bench.restart();
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.container(pod, 'a').state).toMatchObject({ waiting: { reason: 'CrashLoopBackOff' } });
    });
  });

  describe('over what a process before it left', () => {
    it('lists it, and says when it has', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await bench.restart();
      expect(bench.said.map((e) => e.type)).toEqual(['report', 'synced']);
      expect(bench.report(pod)).toMatchObject({
        uid: 'uid',
        name: 'p',
        namespace: 'ns',
        containers: [{ state: { running: {} } }],
      });
    });

    it('adopts a pod as it is: the same containers, nothing started twice', async () => {
      const pod = podOf(['a', 'b'], ['i']);
      bench.runtime.behaviours.set('i', { ends: { afterMs: 100, exitCode: 0 } });
      await bench.run(pod);
      await bench.pass(200);
      const before = bench.report(pod).containers;
      await bench.restart();
      bench.runtime.calls.length = 0;
      bench.events.length = 0;
      await bench.run(pod);
      await bench.pass(60_000, 5_000);
      expect(bench.runtime.calls).toEqual([]);
      expect(bench.events).toEqual([]);
      expect(bench.report(pod).containers).toEqual(before);
    });

    it('goes on after the init container that had ended', async () => {
      const pod = podOf(['c'], ['i1', 'i2']);
      bench.runtime.behaviours.set('i1', { ends: { afterMs: 1_000, exitCode: 0 } });
      await bench.run(pod);
      await bench.stop();
      await bench.pass(1_000);
      await bench.restart();
      await bench.run(pod);
      await bench.pass(0);
      expect(starts()).toEqual(['start i1#0', 'start i2#0']);
    });

    it('counts on: a container that ended meanwhile is restarted as the next', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await bench.stop();
      bench.runtime.exit('a', 1);
      await bench.restart();
      await bench.run(pod);
      await bench.pass(0);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 1 });
    });

    it('removes an instance that a crash left between its record and its start', async () => {
      const pod = podOf(['a']);
      const gate = bench.hold('start');
      await bench.run(pod);
      expect(bench.runtime.latest('a')?.status.state).toBe('created');
      // The process was killed: all that is left are the records of the runtime.
      const next = await EngineBench.create();
      for (const sandbox of bench.runtime.sandboxes.values()) next.runtime.putSandbox(sandbox);
      for (const container of bench.runtime.containers.values()) next.runtime.putContainer(container);
      await next.restart();
      await next.run(pod);
      await next.pass(0);
      expect(next.runtime.calls).toEqual(['remove a#0', 'create a#0', 'start a#0']);
      expect(next.container(pod, 'a')).toMatchObject({ restartCount: 0 });
      await next.dispose();
      gate.open();
    });

    it('starts what a machine lost anew, with a new sandbox', async () => {
      const pod = podOf(['c'], ['i']);
      bench.runtime.behaviours.set('i', { ends: { afterMs: 100, exitCode: 0 } });
      await bench.run(pod);
      await bench.pass(200);
      await bench.stop();
      bench.runtime.loseSandbox('p');
      await bench.restart();
      bench.runtime.calls.length = 0;
      await bench.run(pod);
      await bench.pass(1_000);
      expect(bench.runtime.calls).toEqual(['sandbox p#1', 'create i#1', 'start i#1', 'create c#1', 'start c#1']);
      expect(said('SandboxChanged')).toEqual([
        'Normal SandboxChanged Pod sandbox changed, it will be killed and re-created.',
      ]);
    });

    it('removes a sandbox that was replaced when nothing of it is left', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      for (let i = 0; i < 3; i++) {
        bench.runtime.loseSandbox('p');
        await bench.pass(400_000, 10_000);
      }
      expect([...bench.runtime.sandboxes.values()].map((s) => s.attempt)).toEqual([1, 2, 3]);
      expect(bench.report(pod)).toMatchObject({ sandboxReady: true, containers: [{ state: { running: {} } }] });
    });
  });

  describe('with what the API server last knew', () => {
    const known = (given: object): PodStatus => ({
      containerStatuses: [{ name: 'a', image: 'i', imageID: '', ready: true, restartCount: 4, ...given }],
    });

    it('goes on counting restarts of a container that the runtime has no record of', async () => {
      const pod = podOf(['a']);
      const gate = bench.hold('create');
      await bench.run(pod, known({ state: { running: {} }, containerID: 'scripted://gone' }));
      expect(bench.report(pod).containers).toMatchObject([
        { lastState: { terminated: { reason: 'ContainerStatusUnknown', exitCode: 137 } }, restartCount: 5 },
      ]);
      gate.open();
      await bench.pass(0);
      expect(bench.container(pod, 'a')).toMatchObject({ state: { running: {} }, restartCount: 5 });
    });

    it('starts with the count that it had when it never ran', async () => {
      const pod = podOf(['a']);
      await bench.run(pod, known({ state: { waiting: { reason: 'CreateContainerConfigError' } }, restartCount: 0 }));
      await bench.pass(0);
      expect(bench.container(pod, 'a').restartCount).toBe(0);
    });
  });

  describe('when the watch of the runtime breaks', () => {
    it('watches again, and takes what is not listed any more for gone', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await bench.pass(1_000);
      bench.runtime.isSilent = true;
      const [id] = bench.runtime.containers.keys();
      bench.runtime.containers.delete(id as string);
      bench.runtime.breakWatch();
      await bench.pass(2_000);
      bench.runtime.isSilent = false;
      await bench.pass(2_000);
      expect(starts()).toEqual(['start a#0', 'start a#0']);
      expect(bench.log.lines).toContainEqual(
        expect.objectContaining({ level: 'warn', message: 'runtime watch failed' }),
      );
    });

    it('does not start twice what is started while it lists', async () => {
      const pod = podOf(['a']);
      const listed = Promise.withResolvers<void>();
      bench.runtime.beforeSynced = () => listed.promise;
      bench.runtime.breakWatch();
      await bench.pass(2_000);
      await bench.run(pod);
      await bench.pass(100);
      listed.resolve();
      await bench.pass(5_000);
      expect(starts()).toEqual(['start a#0']);
      expect(states(pod)).toEqual(['a "running"']);
    });
  });

  describe('removing a pod', () => {
    it('frees everything that is kept for it', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await bench.engine.stop('uid', stop);
      await bench.engine.remove('uid');
      await bench.pass(0);
      expect(bench.engine.size).toBe(0);
      expect(bench.runtime.containers.size + bench.runtime.sandboxes.size).toBe(0);
      expect(bench.said.at(-1)).toEqual({ type: 'gone', uid: 'uid' });
      expect(bench.log.lines.filter((l) => l.level === 'error')).toEqual([]);
    });

    it('stops first what still runs', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      await bench.engine.remove('uid');
      await bench.pass(0);
      expect(bench.engine.size).toBe(0);
      expect(bench.runtime.containers.size).toBe(0);
    });

    it('is success for a pod that nobody knows', async () => {
      await expect(bench.engine.remove('other')).resolves.toBeUndefined();
    });

    it('can be tried again when the runtime refused', async () => {
      await bench.run(podOf(['a']));
      await bench.engine.stop('uid', stop);
      bench.runtime.fault = (operation) => {
        if (operation === 'removeSandbox') throw new Error('busy');
      };
      await expect(bench.engine.remove('uid')).rejects.toThrow('busy');
      bench.runtime.fault = () => {};
      await bench.engine.remove('uid');
      await bench.pass(0);
      expect(bench.engine.size).toBe(0);
    });

    it('leaves nothing behind of a late word on it', async () => {
      const pod = podOf(['a']);
      await bench.run(pod);
      const late = bench.runtime.latest('a');
      await bench.engine.stop('uid', stop);
      await bench.engine.remove('uid');
      await bench.pass(0);
      bench.runtime.putContainer(late ?? recordOf('a', { state: 'created' }));
      await bench.pass(0);
      await bench.runtime.removeContainer((late ?? recordOf('a', { state: 'created' })).id);
      await bench.pass(0);
      expect(bench.engine.size).toBe(0);
    });
  });

  describe('on a runtime whose pods share the network of the node', () => {
    const listening = (name: string, uid: string, port = 8080) =>
      podOf([{ name, ports: [{ containerPort: port }] }], [], {}, { name: `pod-${name}`, uid });
    const fails = async (name: string, lastWords: string) => {
      const record = bench.runtime.latest(name);
      const logPath = record?.logPath ?? '';
      await mkdir(dirname(logPath), { recursive: true });
      await writeFile(logPath, `2026-01-01T00:00:00Z stderr F ${lastWords}\n`);
      bench.runtime.exit(name, 1);
      await bench.pass(0);
    };

    it('names the pod that holds the port another one could not have', async () => {
      await bench.run(listening('a', 'u1'));
      await bench.run(listening('b', 'u2'));
      await fails('b', 'listen tcp :8080: bind: address already in use');
      expect(said('PortInUse')).toEqual([
        'Warning PortInUse spec.containers{b} Port 8080 of container b is held by pod ns/pod-a: pods of this node share its network, so two of them cannot listen on one port',
      ]);
    });

    it.each([
      ['for another reason', 8080, 'cannot read config'],
      ['while nobody else has that port', 9090, 'Error: listen EADDRINUSE'],
    ])('says nothing when it failed %s', async (_why, port, lastWords) => {
      await bench.run(listening('a', 'u1', port));
      await bench.run(listening('b', 'u2'));
      await fails('b', lastWords);
      expect(said('PortInUse')).toEqual([]);
    });
  });

  it('leaves running pods alone when it closes', async () => {
    const pod = podOf(['a']);
    await bench.run(pod);
    await bench.engine.close();
    bench.runtime.exit('a', 1);
    await bench.pass(60_000, 5_000);
    expect(starts()).toEqual(['start a#0']);
    expect(bench.runtime.closed).toBe(true);
  });

  it('lacks the capabilities that its runtime lacks', () => {
    expect(bench.engine.exec).toBeUndefined();
    expect(bench.engine.attach).toBeUndefined();
    expect(bench.engine.portForward).toBeUndefined();
    expect(bench.engine.node).toBeUndefined();
  });

  it('says which container it does not find', async () => {
    const target = { uid: 'uid', container: 'x' };
    const options = { follow: false, timestamps: false, stream: 'All' } as const;
    await expect(bench.engine.logs(target, options, new AbortController().signal)).rejects.toMatchObject({
      code: 'NotFound',
      message: 'container not found ("x")',
    });
  });
});
