import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { Pod } from '../../src/core/objects.ts';
import { cluster } from './cluster.ts';
import { type ControlPlane, startControlPlane } from './control-plane/index.ts';
import { eventually } from './eventually.ts';
import { containerProcesses } from './leftovers.ts';
import { isReady, sh, TestNode, untilTerminated } from './test-node.ts';

// A cluster that a person has named is not ours to stop.
const describeOwn = cluster.isOurs ? describe : describe.skip;

describeOwn('an API server that is gone', () => {
  let controlPlane: ControlPlane;
  const node = new TestNode('faults', { kubeconfig: () => controlPlane.kubeconfigPath });
  const file = (name: string) => node.scratch.file(name);
  const lines = (name: string) => (existsSync(file(name)) ? readFileSync(file(name), 'utf8').trim().split('\n') : []);
  const containerOf = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0];

  /** Scheduled already: after an outage a scheduler may take half a minute to come back. */
  const bound = { nodeName: node.name };

  const goes = () => controlPlane.components.apiServer.stop();
  const returns = async () => {
    await controlPlane.components.apiServer.start();
    await controlPlane.ready();
  };

  beforeAll(async () => {
    controlPlane = await startControlPlane();
    await node.setUp();
    const untilToldTo = (name: string, then: string) =>
      sh(
        `echo start >> ${file(name)}; until [ -e ${file(`${name}-go`)} ]; do sleep 0.05; done; rm ${file(`${name}-go`)}; ${then}`,
      );
    await node.apply(
      node.pod('steady', { command: sh(`echo start >> ${file('steady')}; ${untilTerminated()}`) }),
      node.pod('restarts', { command: untilToldTo('restarts', 'exit 4') }),
      node.pod('finishes', { command: untilToldTo('finishes', 'exit 0') }, { restartPolicy: 'Never' }),
    );
    await Promise.all(['steady', 'restarts', 'finishes'].map((name) => node.podReady(name)));
  });
  afterAll(async () => {
    try {
      await node.tearDown();
    } finally {
      await controlPlane.stop();
    }
  });

  it('while pods run changes nothing for them, and their statuses catch up', async () => {
    const before = containerOf(node.pods.get('steady'));
    await goes();
    writeFileSync(file('restarts-go'), '');
    writeFileSync(file('finishes-go'), '');
    // The container is started again though nobody can be told.
    await eventually(() => lines('restarts').length === 2, 'the container to be restarted');
    await eventually(() => !existsSync(file('finishes-go')), 'the other to end');
    await returns();

    const restarted = await node.pods.untilObject(
      'restarts',
      (pod) => containerOf(pod)?.restartCount === 1 && isReady(pod),
      'was restarted',
    );
    expect(containerOf(restarted)?.lastState?.terminated).toMatchObject({ exitCode: 4 });
    await node.podPhase('finishes', 'Succeeded');
    expect(await node.kubectl(['exec', 'steady', '--', 'echo', 'reached'])).toBe('reached\n');
    expect(containerOf(node.pods.get('steady'))).toMatchObject({
      containerID: before!.containerID,
      restartCount: 0,
      ready: true,
    });
    expect(lines('steady')).toEqual(['start']);
    expect(isReady(node.nodes.get(node.name)!)).toBe(true);
  });

  it('is not waited for to take new pods once it is back', async () => {
    await node.runPod('after', { command: sh(untilTerminated()) }, bound);
    await node.kubectl(['delete', 'pod', 'after']);
  });

  it('and a deletion that nobody could watch is found by listing again', async () => {
    await node.apply(node.pod('forgotten', { command: sh('trap "" TERM; sleep 6001; sleep 6001') }));
    const pod = await node.podReady('forgotten');
    // A daemon that is stopped hears of nothing, and what it missed is compacted away meanwhile.
    process.kill(node.daemon.pid, 'SIGSTOP');
    try {
      await node.kubectl(['delete', 'pod', 'forgotten', '--grace-period=0', '--force']);
      await node.pods.untilGone('forgotten', pod.metadata.uid);
      await goes();
      await returns();
    } finally {
      process.kill(node.daemon.pid, 'SIGCONT');
    }
    await eventually(
      () => containerProcesses(node.stateDir).every(({ command }) => !command.includes('6001')),
      'its processes to end',
    );
    expect(containerOf(node.pods.get('steady'))).toMatchObject({ restartCount: 0, ready: true });
  });

  it('at the start is said once and waited for, while what runs is supervised', async () => {
    const before = containerOf(node.pods.get('steady'));
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });
    await goes();
    const daemon = node.start();
    await daemon.untilSaid(/API server not reached/);
    expect(containerProcesses(node.stateDir).length).toBeGreaterThan(0);
    await returns();
    await daemon.ready();
    expect(daemon.log.filter(({ msg }) => /not reached/.test(msg))).toHaveLength(1);
    expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    await node.nodes.untilObject(node.name, isReady, 'is Ready');
    expect(containerOf(node.pods.get('steady'))).toMatchObject({ containerID: before!.containerID, restartCount: 0 });
    expect(lines('steady')).toEqual(['start']);
  });

  it('is complained about a few times, not at every try', async () => {
    await goes();
    const from = node.daemon.log.length;
    await eventually(() => node.daemon.log.slice(from).some(({ level }) => level === 'warn'), 'a complaint');
    await returns();
    await node.runPod('again', { command: sh(untilTerminated()) }, bound);
    const complaints = node.daemon.log.slice(from).filter(({ level }) => level === 'warn' || level === 'error');
    expect(complaints.filter(({ level }) => level === 'error')).toEqual([]);
    expect(complaints.length).toBeLessThan(15);
  });
});
