import { existsSync, readFileSync } from 'node:fs';

import { describe, expect, it } from '@jest/globals';

import type { ContainerStateTerminated, Pod } from '../../src/core/objects.ts';
import { eventually } from './eventually.ts';
import { containerProcesses, leftoverFiles } from './leftovers.ts';
import { isReady, obedient, sh, testNode, untilTerminated } from './test-node.ts';

const node = testNode('deletion');

const file = (name: string) => node.scratch.file(name);
const lines = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim().split('\n') : []);

/** Everything that carries a word of this test in its command line. */
const running = (word: string) => containerProcesses(node.stateDir).filter(({ command }) => command.includes(word));
const noneRuns = (word: string) => eventually(() => running(word).length === 0, `everything of ${word} to end`);

/** How the object looked when it went. */
const lastOf = (pod: Pod): Pod => node.pods.deleted.findLast(({ metadata }) => metadata.uid === pod.metadata.uid)!;
const endOf = (pod: Pod | undefined): ContainerStateTerminated | undefined =>
  pod?.status?.containerStatuses?.[0]?.state?.terminated;
const gone = (pod: Pod) => node.pods.untilGone(pod.metadata.name, pod.metadata.uid);

/** What outlives a main process that is asked to leave: children of every kind that do not listen. */
const deaf = (word: string) =>
  `trap '' TERM; setsid sh -c 'trap "" TERM; sleep ${word} & wait' & sh -c 'sleep ${word}; :' &`;

describe('kubectl delete pod', () => {
  it('asks the main process to leave, shows how it left, and only then lets the object go', async () => {
    const pod = await node.runPod('polite', {
      command: sh(`trap 'echo leaving; sleep 0.3; exit 5' TERM; echo up; sleep 1001 & wait`),
    });
    await node.logged('polite', /up/);
    await node.kubectl(['delete', 'pod', 'polite']);
    await gone(pod);
    expect(lastOf(pod).status?.phase).toBe('Failed');
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 5, reason: 'Error' });
    // While it was leaving it was seen as running and to be deleted.
    const seen = node.pods.history('polite');
    const terminating = seen.filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
    expect(terminating[0]?.status?.phase).toBe('Running');
    await node.event('polite', 'Killing', /^Stopping container main$/);
    expect(running('1001')).toEqual([]);
  });

  it('shows a pod that leaves with 0 as Succeeded', async () => {
    const pod = await node.runPod('content', { command: sh(obedient(0)) });
    await node.logged('content', /up/);
    await node.kubectl(['delete', 'pod', 'content']);
    await gone(pod);
    expect(lastOf(pod).status?.phase).toBe('Succeeded');
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 0, reason: 'Completed' });
  });

  it('kills all that belongs to the container when the grace period is over', async () => {
    const command = sh(`${deaf('1002')} sleep 1002; sleep 1002`);
    const pod = await node.runPod('deaf', { command }, { terminationGracePeriodSeconds: 2 });
    await eventually(() => running('1002').length >= 5, 'all its processes to run');
    const startedAt = performance.now();
    await node.kubectl(['delete', 'pod', 'deaf']);
    await gone(pod);
    expect(performance.now() - startedAt).toBeGreaterThan(1_900);
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 137, reason: 'Error' });
    expect(running('1002')).toEqual([]);
  });

  it('sends the stop signal to the main process only, and SIGKILL to what it leaves behind', async () => {
    const child = `sh -c 'trap "echo asked >> ${file('child')}" TERM; while :; do sleep 0.05; done; : 1003'`;
    const pod = await node.runPod('parent', { command: sh(`${child} & ${obedient(0, 1003)}`) });
    await node.logged('parent', /up/);
    await eventually(() => running('1003').length >= 2, 'its child to run');
    await node.kubectl(['delete', 'pod', 'parent']);
    await gone(pod);
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 0 });
    expect(lines('child')).toEqual([]);
    expect(running('1003')).toEqual([]);
  });

  it('with a shorter grace period hastens a deletion that is under way', async () => {
    const pod = await node.runPod(
      'hastened',
      { command: sh(`${deaf('1004')} sleep 1004; sleep 1004`) },
      { terminationGracePeriodSeconds: 120 },
    );
    await node.kubectl(['delete', 'pod', 'hastened', '--wait=false']);
    await node.event('hastened', 'Killing');
    await node.kubectl(['delete', 'pod', 'hastened', '--grace-period=1', '--wait=false']);
    await gone(pod);
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 137 });
  });

  it('--force takes the object at once, and the node ends what runs', async () => {
    const pod = await node.runPod('forced', { command: sh(`${deaf('1005')} sleep 1005; sleep 1005`) });
    await node.kubectl(['delete', 'pod', 'forced', '--grace-period=0', '--force']);
    await gone(pod);
    expect(endOf(lastOf(pod))).toBeUndefined();
    await noneRuns('1005');
    await eventually(
      () => leftoverFiles(node.stateDir).every((path) => !path.includes(pod.metadata.uid)),
      'its files to go',
    );
  });

  it('leaves an object with finalizers as it ended, and a daemon that waits for it', async () => {
    const pod = node.pod('finalized', { command: sh(obedient(6)) }) as { metadata: object };
    Object.assign(pod.metadata, { finalizers: ['example.com/hold'] });
    await node.apply(pod);
    const created = await node.podReady('finalized');
    await node.logged('finalized', /up/);
    await node.kubectl(['delete', 'pod', 'finalized', '--wait=false']);
    const ended = await node.podPhase('finalized', 'Failed');
    expect(endOf(ended)).toMatchObject({ exitCode: 6 });
    await node.kubectl(['patch', 'pod', 'finalized', '--type=merge', '-p', '{"metadata":{"finalizers":null}}']);
    await gone(created);
  });
});

describe('a pod that is deleted before it runs', () => {
  it('in an init container ends there', async () => {
    const initContainers = [{ name: 'init', image: 'none', command: sh('sleep 2001; sleep 2001') }];
    await node.apply(
      node.pod(
        'initializing',
        { command: sh(`echo ran >> ${file('initializing')}`) },
        { initContainers, terminationGracePeriodSeconds: 1 },
      ),
    );
    const pod = await node.pods.untilObject(
      'initializing',
      ({ status }) => status?.initContainerStatuses?.[0]?.state?.running,
      'initialises',
    );
    await node.kubectl(['delete', 'pod', 'initializing']);
    await gone(pod);
    expect(lines('initializing')).toEqual([]);
    expect(running('2001')).toEqual([]);
    expect(lastOf(pod).status?.phase).toBe('Failed');
  });

  it('that waits for a ConfigMap goes at once', async () => {
    await node.apply(
      node.pod('no-env', { command: sh('true'), envFrom: [{ configMapRef: { name: 'nowhere' } }] }),
      node.pod(
        'no-volume',
        { command: sh('true'), volumeMounts: [{ name: 'v', mountPath: '/v' }] },
        { volumes: [{ name: 'v', configMap: { name: 'nowhere' } }] },
      ),
    );
    const waiting = (pod: Pod) => pod.status?.containerStatuses?.[0]?.state?.waiting?.reason;
    const noEnv = await node.pods.untilObject(
      'no-env',
      (pod) => waiting(pod) === 'CreateContainerConfigError',
      'waits',
    );
    const noVolume = await node.pods.untilObject('no-volume', (pod) => waiting(pod) === 'ContainerCreating', 'waits');
    await node.event('no-volume', 'FailedMount', /configmap "nowhere" not found/);
    await node.kubectl(['delete', 'pod', 'no-env', 'no-volume']);
    await Promise.all([gone(noEnv), gone(noVolume)]);
  });

  it('at the moment of its creation leaves nothing', async () => {
    const names = Array.from({ length: 8 }, (_, at) => `short-${at}`);
    await node.apply(
      ...names.map((name) => node.pod(name, { command: sh(`sleep 2002; :`) }, { terminationGracePeriodSeconds: 1 })),
    );
    const force = names.slice(0, 4);
    await Promise.all([
      node.kubectl(['delete', 'pod', '--grace-period=0', '--force', ...force]),
      node.kubectl(['delete', 'pod', '--now', ...names.slice(4)]),
    ]);
    await noneRuns('2002');
    await eventually(
      () => leftoverFiles(node.stateDir).every((path) => !/mounts\/|containers\//.test(path)),
      'all their files to go',
    );
  });

  it('in a crash loop is not started again', async () => {
    await node.apply(node.pod('looping', { command: sh(`echo run >> ${file('looping')}; exit 1`) }));
    const pod = await node.pods.untilObject(
      'looping',
      ({ status }) => status?.containerStatuses?.[0]?.restartCount === 1,
      'has crashed twice',
    );
    await node.kubectl(['delete', 'pod', 'looping']);
    await gone(pod);
    expect(lines('looping')).toEqual(['run', 'run']);
    expect(lastOf(pod).status?.phase).toBe('Failed');
    expect(endOf(lastOf(pod))).toMatchObject({ exitCode: 1 });
  });
});

describe('a deletion that the daemon did not see', () => {
  it('is found by its next listing', async () => {
    await node.apply(
      node.pod('vanished', { command: sh(obedient(9, 3001)) }),
      node.pod('marked', { command: sh(obedient(9, 3002)) }),
      node.pod('stays', { command: sh(obedient(9, 3003)) }),
    );
    const [vanished, marked, stays] = await Promise.all(
      ['vanished', 'marked', 'stays'].map((name) => node.podReady(name)),
    );
    await node.logged('marked', /up/);
    await node.daemon.stop('SIGKILL');
    await node.kubectl(['delete', 'pod', 'vanished', '--grace-period=0', '--force']);
    await node.kubectl(['delete', 'pod', 'marked', '--wait=false']);
    expect(running('3001')).not.toEqual([]);

    await node.start().ready();
    await gone(marked!);
    expect(endOf(lastOf(marked!))).toMatchObject({ exitCode: 9 });
    await noneRuns('3001');
    await noneRuns('3002');
    await eventually(
      () => leftoverFiles(node.stateDir).every((path) => !path.includes(vanished!.metadata.uid)),
      'its files to go',
    );
    expect(running('3003')).not.toEqual([]);
    expect(node.pods.get('stays')?.status?.containerStatuses?.[0]?.containerID).toBe(
      stays?.status?.containerStatuses?.[0]?.containerID,
    );
    await node.kubectl(['delete', 'pod', 'stays', '--wait=false']);
  });
});

describe('a new pod under the name of another', () => {
  it('is another pod, though the first has not yet ended', async () => {
    const first = await node.runPod('same', { command: sh(`${deaf('4001')} sleep 4001; sleep 4001`) });
    await node.kubectl(['delete', 'pod', 'same', '--grace-period=0', '--force']);
    await node.apply(node.pod('same', { command: sh(`echo second; ${untilTerminated()}`) }));
    const second = await node.pods.untilObject(
      'same',
      (pod) => pod.metadata.uid !== first.metadata.uid && isReady(pod),
      'is the second',
    );
    expect(second.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, lastState: {} });
    expect(await node.logs('same')).toBe('second\n');
    await noneRuns('4001');
    // The end of the first has not touched the second.
    expect(await node.kubectl(['exec', 'same', '--', 'echo', 'here'])).toBe('here\n');
    expect(node.pods.get('same')?.metadata.uid).toBe(second.metadata.uid);
    expect(isReady(node.pods.get('same')!)).toBe(true);
    await node.kubectl(['delete', 'pod', 'same', '--wait=false']);
  });

  it('of a StatefulSet comes when the first has gone', async () => {
    const spec = {
      replicas: 1,
      serviceName: 'set',
      selector: { matchLabels: { app: 'set' } },
      template: {
        metadata: { labels: { app: 'set' } },
        spec: node.podSpec({
          command: sh(`trap 'echo down >> ${file('set')}; exit 0' TERM; echo up >> ${file('set')}; sleep 4002 & wait`),
        }),
      },
    };
    await node.apply({ apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: { name: 'set' }, spec });
    const first = await node.podReady('set-0');
    await eventually(() => lines('set').length === 1, 'the first to be up');
    await node.kubectl(['delete', 'pod', 'set-0']);
    await node.pods.untilObject(
      'set-0',
      (pod) => pod.metadata.uid !== first.metadata.uid && isReady(pod),
      'is the second',
    );
    await eventually(() => lines('set').length === 3, 'the second to be up');
    expect(lines('set')).toEqual(['up', 'down', 'up']);
    await node.kubectl(['delete', 'statefulset', 'set']);
    await node.pods.untilGone('set-0');
  });
});
