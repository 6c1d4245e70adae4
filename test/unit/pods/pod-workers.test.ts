import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { invalidInput } from '../../../src/core/errors.ts';
import type { ContainerStatus } from '../../../src/core/objects.ts';
import { endedContainer, runningContainer } from '../../helpers/fake-provider.ts';
import { quiet } from '../../helpers/quiet.ts';
import { refusal } from '../kube/fake-api.ts';
import { WorkersBench } from './workers-bench.ts';

describe('the pods of a node', () => {
  let bench: WorkersBench;
  beforeEach(() => {
    bench = new WorkersBench();
  });
  afterEach(async () => {
    await bench.stop();
    expect(bench.log.lines.filter((l) => l.level === 'error')).toEqual([]);
  });

  const { stringify } = JSON;
  const gone = (uid: string) => {
    expect(bench.api.pod('p')).toBeUndefined();
    expect(bench.kept).toEqual({});
    expect(bench.forgotten).toContain(uid);
  };

  describe('live', () => {
    beforeEach(() => bench.start());

    it('run, are shown to run, and are gone after their deletion', async () => {
      const { metadata } = await bench.create('p');
      expect(bench.api.status('p')).toMatchObject({
        phase: 'Running',
        podIP: '10.0.0.9',
        hostIP: '192.0.2.1',
        observedGeneration: 1,
      });
      expect(bench.workers.list()).toHaveLength(1);
      expect(bench.workers.byName('default', 'p')?.status?.phase).toBe('Running');
      await bench.delete('p');
      expect(bench.provider.calls).toEqual(['run p', 'update p', 'stop p 30 deleted', 'remove p']);
      expect(bench.phases(metadata.uid)).toEqual(['Pending', 'Running', 'Succeeded', 'gone']);
      gone(metadata.uid);
    });

    it('are deleted with a UID as precondition and without grace, after their last status has landed', async () => {
      const { metadata } = await bench.create('p');
      await bench.delete('p');
      const writes = bench.api.requests.filter((r) => r.method === 'PATCH' || r.method === 'DELETE');
      expect(writes.at(-1)).toMatchObject({
        method: 'DELETE',
        path: '/api/v1/namespaces/default/pods/p',
        body: { gracePeriodSeconds: 0, preconditions: { uid: metadata.uid } },
      });
      expect(writes.at(-2)).toMatchObject({ method: 'PATCH', body: { status: { phase: 'Succeeded' } } });
    });

    it('are not deleted before their last status has landed', async () => {
      await bench.create('p');
      bench.api.before = ({ body }) => {
        if (stringify(body ?? {}).includes('Succeeded')) throw refusal(500);
      };
      await bench.delete('p');
      await bench.pass(60_000, 2_000);
      expect(bench.api.asked('DELETE')).toEqual([]);
      bench.api.before = () => {};
      await bench.pass(60_000, 2_000);
      expect(bench.api.pod('p')).toBeUndefined();
      bench.log.lines.length = 0;
    });

    it('that end by themselves are stopped, stay as they ended, and are not run again', async () => {
      const { metadata } = await bench.create('p', { restartPolicy: 'Never' });
      bench.provider.exit(metadata.uid, 'c', 3);
      await quiet();
      expect(bench.api.status('p')).toMatchObject({
        phase: 'Failed',
        containerStatuses: [{ state: { terminated: { exitCode: 3 } } }],
      });
      expect(bench.provider.calls).toEqual(['run p', 'stop p 30 completed']);
      await bench.delete('p');
      expect(bench.provider.calls.at(-1)).toBe('remove p');
      gone(metadata.uid);
    });

    it('never leave a terminal phase', async () => {
      const { metadata } = await bench.create('p', { restartPolicy: 'Never' });
      bench.provider.exit(metadata.uid, 'c', 0);
      await quiet();
      const report = bench.provider.reports.get(metadata.uid);
      if (report !== undefined) bench.provider.report({ ...report, containers: [runningContainer('c')] });
      await quiet();
      expect(bench.phases(metadata.uid)).toEqual(['Pending', 'Running', 'Succeeded']);
    });

    it('free what they took up when they have ended', async () => {
      const big = {
        restartPolicy: 'Never',
        containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3' } } }],
      };
      const { metadata } = await bench.create('p', big);
      await bench.create('q', big);
      expect(bench.api.status('q')).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' });
      bench.provider.exit(metadata.uid, 'c', 0);
      await quiet();
      await bench.create('r', big);
      expect(bench.api.status('r').phase).toBe('Running');
    });

    it('hand what changed in them to the provider', async () => {
      await bench.create('p');
      bench.api.change('pods', 'p', (p) => (p.metadata['labels'] = { a: 'b' }), 'default');
      await quiet();
      expect(bench.provider.calls).toEqual(['run p', 'update p']);
    });

    it('say what a provider that cannot change them did not apply', async () => {
      delete bench.provider.update;
      await bench.create('p');
      bench.api.change('pods', 'p', (p) => (p.metadata['labels'] = { a: 'b' }), 'default');
      await quiet();
      expect(bench.events).toEqual([]);
      bench.api.change('pods', 'p', (p) => ((p.spec ?? {})['activeDeadlineSeconds'] = 600), 'default');
      await quiet();
      expect(bench.events).toEqual([
        'Warning FailedUpdate p: provider fake cannot change a pod that runs: the new spec is not applied',
      ]);
    });

    it('say what the provider did not take', async () => {
      bench.provider.fault = (operation) => {
        if (operation === 'update') throw new Error('image cannot be changed');
      };
      await bench.create('p');
      bench.api.change('pods', 'p', (p) => (p.metadata['labels'] = { a: 'b' }), 'default');
      await quiet();
      expect(bench.events).toEqual(['Warning FailedUpdate p: image cannot be changed']);
    });

    it('are made anew when the provider has lost them', async () => {
      const { metadata } = await bench.create('p');
      bench.provider.lose(metadata.uid);
      await quiet();
      expect(bench.provider.calls).toEqual(['run p', 'run p']);
      expect(bench.provider.lastStatuses[1]).toMatchObject({ containerStatuses: [{ state: { running: {} } }] });
    });

    it('fail with what the provider says of the whole pod', async () => {
      const { metadata } = await bench.create('p');
      const report = bench.provider.reports.get(metadata.uid);
      if (report !== undefined)
        bench.provider.report({ ...report, failure: { reason: 'HostLost', message: 'the host is gone' } });
      await quiet();
      expect(bench.api.status('p')).toMatchObject({ phase: 'Failed', reason: 'HostLost', message: 'the host is gone' });
    });
  });

  describe('being deleted', () => {
    beforeEach(() => bench.start());

    /** A stop takes until the test lets it end. */
    const holdStop = () => {
      const gate = Promise.withResolvers<void>();
      bench.provider.fault = (operation) => (operation === 'stop' ? gate.promise : undefined);
      return gate.resolve;
    };
    const stops = () => bench.provider.calls.filter((c) => c.startsWith('stop'));

    it('have the grace that was asked for', async () => {
      await bench.create('p');
      await bench.delete('p', 7);
      expect(stops()).toEqual(['stop p 7 deleted']);
    });

    it('are told at once of a shorter grace, and not of a longer one', async () => {
      const { metadata } = await bench.create('p');
      const release = holdStop();
      await bench.delete('p', 30);
      await bench.delete('p', 60);
      expect(stops()).toEqual(['stop p 30 deleted']);
      await bench.delete('p', 2);
      expect(stops()).toEqual(['stop p 30 deleted', 'stop p 2 deleted']);
      release();
      await quiet();
      gone(metadata.uid);
    });

    it('are stopped at once when the API server has forgotten them already', async () => {
      const { metadata } = await bench.create('p');
      await bench.delete('p', 0);
      expect(stops()).toEqual(['stop p 0 deleted']);
      expect(bench.api.asked('DELETE')).toEqual([]);
      gone(metadata.uid);
    });

    it('are hurried when they are forced while they stop', async () => {
      const { metadata } = await bench.create('p');
      const release = holdStop();
      await bench.delete('p', 30);
      await bench.delete('p', 0);
      expect(stops()).toEqual(['stop p 30 deleted', 'stop p 0 deleted']);
      expect(bench.kept).toMatchObject({ workers: 1 });
      release();
      await quiet();
      gone(metadata.uid);
    });

    it('are noticed also when only a new listing shows that they are gone', async () => {
      const { metadata } = await bench.create('p');
      bench.api.forget('pods', 'p', 'default');
      bench.api.breakWatches();
      await bench.pass(5_000);
      expect(stops()).toEqual(['stop p 0 deleted']);
      gone(metadata.uid);
    });

    it('wait, while they are being taken, until there is something to stop', async () => {
      const gate = Promise.withResolvers<void>();
      bench.provider.fault = (operation) => (operation === 'run' ? gate.promise : undefined);
      const { metadata } = await bench.create('p');
      await bench.delete('p', 5);
      expect(stops()).toEqual([]);
      gate.resolve();
      await quiet();
      expect(bench.provider.calls).toEqual(['run p', 'update p', 'stop p 5 deleted', 'remove p']);
      gone(metadata.uid);
    });

    it('do not wait for another try of a provider that fails', async () => {
      bench.provider.fault = (operation) => {
        if (operation === 'run') throw new Error('backend is down');
      };
      const { metadata } = await bench.create('p');
      await bench.delete('p', 5);
      gone(metadata.uid);
      await bench.pass(600_000, 10_000);
      expect(bench.provider.calls.filter((c) => c === 'run p')).toHaveLength(1);
    });

    it('are another pod than one that comes under their name', async () => {
      const old = await bench.create('p');
      const release = holdStop();
      await bench.delete('p', 0);
      const young = await bench.create('p');
      expect(bench.workers.byName('default', 'p')?.metadata.uid).toBe(young.metadata.uid);
      release();
      await quiet();
      expect(bench.forgotten).toEqual([old.metadata.uid]);
      expect(bench.api.status('p').phase).toBe('Running');
      expect(bench.workers.byName('default', 'p')?.metadata.uid).toBe(young.metadata.uid);
    });

    it('are stopped until it works, and say once what is wrong', async () => {
      const { metadata } = await bench.create('p');
      let failures = 3;
      bench.provider.fault = (operation) => {
        if (operation === 'stop' && failures-- > 0) throw new Error('backend is down');
      };
      await bench.delete('p', 5);
      await bench.pass(30_000, 500);
      expect(stops()).toHaveLength(4);
      expect(bench.events).toEqual(['Warning FailedKillPod p: error killing pod: backend is down']);
      gone(metadata.uid);
    });

    it('stay until the provider has freed what it keeps', async () => {
      const { metadata } = await bench.create('p');
      let failures = 2;
      bench.provider.fault = (operation) => {
        if (operation === 'remove' && failures-- > 0) throw new Error('busy');
      };
      await bench.delete('p', 5);
      expect(bench.api.asked('DELETE')).toEqual([]);
      await bench.pass(30_000, 500);
      gone(metadata.uid);
    });

    it('are asked for again when the API server could not delete them', async () => {
      const { metadata } = await bench.create('p');
      let failures = 2;
      bench.api.before = ({ method }) => {
        if (method === 'DELETE' && failures-- > 0) throw refusal(500);
      };
      await bench.delete('p', 5);
      await bench.pass(30_000, 500);
      expect(bench.provider.calls.filter((c) => c === 'remove p')).toHaveLength(1);
      gone(metadata.uid);
    });

    it('stay with their finalizers, with nothing more done to them', async () => {
      const { metadata } = await bench.create('p', {}, { finalizers: ['example.com/wait'] });
      await bench.delete('p', 5);
      await bench.pass(60_000, 5_000);
      expect(bench.api.status('p').phase).toBe('Succeeded');
      expect(bench.api.asked('DELETE')).toHaveLength(1);
      expect(bench.kept).toMatchObject({ workers: 1 });
      bench.api.remove('pods', 'p', 'default');
      await quiet();
      gone(metadata.uid);
    });

    it('end as their exit codes say, whatever their restart policy', async () => {
      const { metadata } = await bench.create('p');
      const stop = bench.provider.stop.bind(bench.provider);
      bench.provider.stop = async (uid, options) => {
        const last = await stop(uid, options);
        return last && { ...last, containers: [endedContainer('c', 137)] };
      };
      await bench.delete('p');
      expect(bench.phases(metadata.uid)).toEqual(['Pending', 'Running', 'Failed', 'gone']);
    });

    it('are shown as they were until all of them has stopped', async () => {
      const { metadata } = await bench.create('p', {
        containers: [
          { name: 'c', image: 'i' },
          { name: 'd', image: 'i' },
        ],
      });
      const release = holdStop();
      await bench.delete('p');
      bench.provider.exit(metadata.uid, 'c', 0);
      await quiet();
      expect(bench.api.status('p').containerStatuses).toMatchObject([
        { state: { running: {} } },
        { state: { running: {} } },
      ]);
      release();
      await quiet();
    });

    it('give the provider their spec, and are told by it only after its stop', async () => {
      const { metadata } = await bench.create('p');
      await bench.delete('p');
      expect(bench.provider.stopped).toMatchObject([{ pod: { metadata: { uid: metadata.uid } } }]);
    });
  });

  describe('that a process before this one ran', () => {
    const ran: ContainerStatus = {
      name: 'c',
      image: 'i',
      imageID: '',
      ready: true,
      started: true,
      restartCount: 2,
      state: { running: {} },
    };

    it('are adopted: taken again, and left to run', async () => {
      await bench.start();
      const { metadata } = await bench.create('p');
      const before = bench.api.history.length;
      await bench.restart();
      expect(bench.provider.calls).toEqual(['run p']);
      expect(bench.provider.lastStatuses.at(-1)).toMatchObject({ containerStatuses: [{ state: { running: {} } }] });
      expect(bench.api.history).toHaveLength(before);
      await bench.delete('p');
      gone(metadata.uid);
    });

    it('are not measured again', async () => {
      await bench.start();
      await bench.create('p', { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3' } } }] });
      bench.node = { ...bench.node, status: { allocatable: { cpu: '1', pods: '110' } } };
      await bench.restart();
      expect(bench.api.status('p').phase).toBe('Running');
    });

    it('are not measured again even when their first status was lost', async () => {
      const pod = bench.api.createPod({
        metadata: { name: 'p' },
        spec: { containers: [{ name: 'c', image: 'i' }], nodeSelector: { no: 'where' } },
      });
      const { uid, name, namespace } = pod.metadata;
      bench.provider.report({
        uid,
        name,
        namespace,
        sandboxReady: true,
        podIPs: [],
        containers: [runningContainer('c')],
      });
      await bench.start();
      expect(bench.api.status('p').phase).toBe('Running');
    });

    it('have their place before any that is new, however old', async () => {
      const asking = { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3' } } }] };
      bench.api.createPod({ metadata: { name: 'older' }, spec: asking });
      await bench.pass(1_000);
      bench.api.createPod({
        metadata: { name: 'p' },
        spec: asking,
        status: { phase: 'Running', startTime: '2026-01-01T00:00:00Z', containerStatuses: [ran] },
      });
      await bench.start();
      expect(bench.api.status('p').phase).toBe('Running');
      expect(bench.api.status('older')).toMatchObject({ phase: 'Failed', reason: 'OutOfcpu' });
    });

    it('are admitted in the order of their creation when all are new', async () => {
      const asking = { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '3' } } }] };
      for (const [name, creationTimestamp] of [
        ['young', '2026-01-01T00:00:09Z'],
        ['old', '2026-01-01T00:00:01Z'],
      ] as const)
        bench.api.createPod({ metadata: { name, creationTimestamp } as { name: string }, spec: asking });
      await bench.start();
      expect(bench.api.status('old').phase).toBe('Running');
      expect(bench.api.status('young').phase).toBe('Failed');
    });

    it('and have ended are stopped for good, not run again', async () => {
      await bench.start();
      const { metadata } = await bench.create('p', { restartPolicy: 'Never' });
      bench.provider.exit(metadata.uid, 'c', 0);
      await quiet();
      await bench.restart();
      expect(bench.provider.calls).toEqual(['stop p 30 deleted']);
      expect(bench.kept).not.toHaveProperty('usage');
      await bench.delete('p');
      gone(metadata.uid);
    });

    it('and are being deleted are stopped at once, with the grace that was asked for', async () => {
      await bench.start();
      const { metadata } = await bench.create('p');
      await bench.stop();
      bench.api.deletePod('p', 12);
      await bench.restart();
      expect(bench.provider.calls).toEqual(['stop p 12 deleted', 'remove p']);
      expect(bench.phases(metadata.uid)).toEqual(['Pending', 'Running', 'Succeeded', 'gone']);
      gone(metadata.uid);
    });

    it('and are being deleted, of which the provider knows nothing, end as unknown', async () => {
      const pod = bench.api.createPod({
        metadata: { name: 'p', finalizers: ['x'] } as { name: string },
        spec: { containers: [{ name: 'c', image: 'i' }] },
        status: { phase: 'Running', startTime: '2026-01-01T00:00:00Z', containerStatuses: [ran] },
      });
      bench.api.deletePod('p', 12);
      await bench.start();
      expect(bench.api.status('p')).toMatchObject({
        phase: 'Failed',
        containerStatuses: [
          { state: { terminated: { reason: 'ContainerStatusUnknown', exitCode: 137 } }, restartCount: 2 },
        ],
      });
      bench.api.remove('pods', 'p', 'default');
      await quiet();
      gone(pod.metadata.uid);
    });

    it('and that nobody wants any more are stopped, but not before both listings are complete', async () => {
      bench.provider.report({
        uid: 'u',
        name: 'orphan',
        namespace: 'default',
        sandboxReady: true,
        podIPs: [],
        containers: [runningContainer('c')],
      });
      bench.provider.isSlowToSync = true;
      const gate = Promise.withResolvers<void>();
      bench.api.before = ({ path, method }) => (method === 'GET' && path === '/api/v1/pods' ? gate.promise : undefined);
      const started = bench.start();
      await quiet();
      expect(bench.api.requests).toEqual([]);
      bench.provider.syncNow();
      await quiet();
      expect(bench.api.asked('GET')).toHaveLength(1);
      expect(bench.provider.calls).toEqual([]);
      gate.resolve();
      await started;
      await quiet();
      expect(bench.provider.calls).toEqual(['stop orphan 1 orphaned', 'remove orphan']);
      expect(bench.kept).toEqual({});
    });

    it('and that nobody wants are stopped until it works', async () => {
      bench.provider.report({
        uid: 'u',
        name: 'orphan',
        namespace: 'default',
        sandboxReady: true,
        podIPs: [],
        containers: [],
      });
      let failures = 2;
      bench.provider.fault = (operation) => {
        if (operation === 'stop' && failures-- > 0) throw new Error('busy');
      };
      await bench.start();
      await bench.pass(10_000);
      expect(bench.provider.calls.at(-1)).toBe('remove orphan');
      expect(bench.kept).toEqual({});
    });
  });

  it('that vanish while the first listing is made are never begun', async () => {
    bench.api.createPod({ metadata: { name: 'p' }, spec: { containers: [{ name: 'c', image: 'i' }] } });
    const list = bench.api.request.bind(bench.api);
    let pages = 0;
    // The first page names the pod; the second is too late, and the next listing does not name it any more.
    bench.api.request = async (request) => {
      if (request.path !== '/api/v1/pods') return list(request);
      pages++;
      if (pages === 2) {
        bench.api.forget('pods', 'p', 'default');
        throw refusal(410, 'continue token is too old');
      }
      const answer = await list<{ metadata: object }>(request);
      return (pages === 1 ? { ...answer, metadata: { ...answer.metadata, continue: 'more' } } : answer) as never;
    };
    const started = bench.start();
    await bench.pass(5_000);
    await started;
    expect(bench.provider.calls).toEqual([]);
    expect(bench.kept).toEqual({});
  });

  describe('with a deadline', () => {
    it('fail when it has passed, counted from their start', async () => {
      await bench.start();
      await bench.create('p', { activeDeadlineSeconds: 10, terminationGracePeriodSeconds: 3 });
      await bench.pass(9_900);
      expect(bench.api.status('p').phase).toBe('Running');
      await bench.pass(200);
      expect(bench.api.status('p')).toMatchObject({
        phase: 'Failed',
        reason: 'DeadlineExceeded',
        message: 'Pod was active on the node longer than the specified deadline',
      });
      expect(bench.provider.calls).toEqual(['run p', 'stop p 3 DeadlineExceeded']);
      expect(bench.events).toEqual([
        'Normal DeadlineExceeded p: Pod was active on the node longer than the specified deadline',
      ]);
    });

    it('have failed for good, whatever a later process sees of their containers', async () => {
      await bench.start();
      await bench.create('p', { activeDeadlineSeconds: 5 });
      await bench.pass(6_000);
      await bench.restart();
      bench.api.change('pods', 'p', (p) => (p.metadata['labels'] = { a: 'b' }), 'default');
      await quiet();
      expect(bench.api.status('p')).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
    });

    it('have one that is brought nearer', async () => {
      await bench.start();
      await bench.create('p');
      bench.api.change('pods', 'p', (p) => ((p.spec ?? {})['activeDeadlineSeconds'] = 5), 'default');
      await bench.pass(5_100);
      expect(bench.api.status('p')).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
    });

    it('are stopped in time although the API server cannot be told', async () => {
      await bench.start();
      await bench.create('p', { activeDeadlineSeconds: 5 });
      bench.api.before = ({ method }) => {
        if (method === 'PATCH') throw refusal(503);
      };
      await bench.pass(6_000);
      expect(bench.provider.calls).toEqual(['run p', 'stop p 30 DeadlineExceeded']);
      bench.api.before = () => {};
    });

    it('and have passed it while no process was there fail at once', async () => {
      await bench.start();
      await bench.create('p', { activeDeadlineSeconds: 10 });
      await bench.stop();
      await bench.pass(20_000);
      await bench.restart();
      await bench.pass(100);
      expect(bench.api.status('p')).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' });
    });
  });

  describe('that the node does not take', () => {
    it('fail with its reason, have no containers, and are not deleted by the node', async () => {
      await bench.start();
      const { metadata } = await bench.create('p', { nodeSelector: { no: 'where' } });
      const message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
      expect(bench.api.status('p')).toEqual({
        phase: 'Failed',
        qosClass: 'BestEffort',
        reason: 'NodeAffinity',
        message: `Pod was rejected: ${message}`,
        startTime: '2026-01-01T00:00:00Z',
        observedGeneration: 1,
      });
      expect(bench.events).toEqual([`Warning NodeAffinity p: ${message}`]);
      await bench.pass(60_000, 5_000);
      expect(bench.provider.calls).toEqual([]);
      expect(bench.api.asked('DELETE')).toEqual([]);
      await bench.delete('p');
      gone(metadata.uid);
    });

    it('do not take up anything', async () => {
      await bench.start();
      await bench.create('p', {
        nodeSelector: { no: 'where' },
        containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '4' } } }],
      });
      await bench.create('q', { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '4' } } }] });
      expect(bench.api.status('q').phase).toBe('Running');
    });
  });

  describe('that the provider does not take', () => {
    it('are refused after a while, longer each time for the pods of one owner', async () => {
      await bench.start();
      bench.provider.fault = (operation) => {
        if (operation === 'run') throw invalidInput('no such platform');
      };
      const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'rs', uid: 'rs', controller: true }];
      const waits: number[] = [];
      for (const name of ['p1', 'p2', 'p3', 'p4']) {
        await bench.create(name, {}, { ownerReferences });
        expect(bench.api.status(name)).toMatchObject({
          phase: 'Pending',
          containerStatuses: [{ state: { waiting: { reason: 'ProviderRefused', message: 'no such platform' } } }],
        });
        const since = bench.clock.now();
        while (bench.api.status(name).phase === 'Pending') await bench.pass(100);
        waits.push((bench.clock.now() - since) / 1000);
        expect(bench.api.status(name)).toMatchObject({
          phase: 'Failed',
          reason: 'ProviderRefused',
          message: 'no such platform',
        });
      }
      expect(waits.map(Math.round)).toEqual([1, 2, 4, 8]);
      expect(bench.events.slice(0, 1)).toEqual(['Warning ProviderRefused p1: no such platform']);
      await bench.create('other');
      await bench.pass(1_200);
      expect(bench.api.status('other').phase).toBe('Failed');
    });

    it('are offered again for ever, and say what is wrong when it changes', async () => {
      await bench.start();
      let message: string | undefined = 'backend is down';
      bench.provider.fault = (operation) => {
        if (operation === 'run' && message !== undefined) throw new Error(message);
      };
      await bench.create('p');
      expect(bench.api.status('p')).toMatchObject({
        phase: 'Pending',
        containerStatuses: [{ state: { waiting: { reason: 'ProviderFailed', message: 'backend is down' } } }],
      });
      await bench.pass(10_000, 500);
      message = 'quota exceeded';
      await bench.pass(60_000, 1_000);
      expect(bench.events).toEqual([
        'Warning ProviderFailed p: backend is down',
        'Warning ProviderFailed p: quota exceeded',
      ]);
      expect(bench.provider.calls.length).toBeGreaterThan(4);
      message = undefined;
      await bench.pass(200_000, 5_000);
      expect(bench.api.status('p').phase).toBe('Running');
    });
  });

  describe('with conditions of others', () => {
    beforeEach(() => bench.start());
    const setCondition = async (type: string, status: string) => {
      bench.api.change(
        'pods',
        'p',
        (p) => {
          const conditions = ((p.status?.['conditions'] ?? []) as { type: string }[]).filter((c) => c.type !== type);
          p.status = { ...p.status, conditions: [...conditions, { type, status }] };
        },
        'default',
      );
      await quiet();
    };

    it('keep them', async () => {
      const { metadata } = await bench.create('p');
      await setCondition('example.com/mine', 'True');
      const report = bench.provider.reports.get(metadata.uid);
      if (report !== undefined)
        bench.provider.report({ ...report, containers: [{ ...runningContainer('c'), ready: false }] });
      await quiet();
      expect(bench.condition('p', 'example.com/mine')).toBe('True');
      expect(bench.condition('p', 'Ready')).toBe('False ContainersNotReady');
    });

    it('are Ready when their gates are', async () => {
      await bench.create('p', { readinessGates: [{ conditionType: 'example.com/gate' }] });
      expect(bench.condition('p', 'Ready')).toBe('False ReadinessGatesNotReady');
      await setCondition('example.com/gate', 'True');
      expect(bench.condition('p', 'Ready')).toBe('True');
      await setCondition('example.com/gate', 'False');
      expect(bench.condition('p', 'Ready')).toBe('False ReadinessGatesNotReady');
    });

    it('say again that they are Ready when the node controller has said that they are not', async () => {
      await bench.create('p');
      await setCondition('Ready', 'False');
      expect(bench.condition('p', 'Ready')).toBe('True');
    });
  });

  describe('when a watch breaks', () => {
    it('of the provider, are looked at anew: what is not listed any more is made again', async () => {
      await bench.start();
      const { metadata } = await bench.create('p');
      await bench.create('q');
      bench.provider.reports.delete(metadata.uid);
      bench.provider.breakWatch();
      await bench.pass(5_000);
      expect(bench.provider.calls).toEqual(['run p', 'run q', 'run p']);
      expect(bench.log.lines).toContainEqual(
        expect.objectContaining({ level: 'warn', message: 'provider watch failed' }),
      );
    });

    it('of the API server, go on as they were', async () => {
      await bench.start();
      await bench.create('p');
      bench.api.breakWatches();
      await bench.pass(5_000);
      expect(bench.provider.calls).toEqual(['run p']);
      expect(bench.api.status('p').phase).toBe('Running');
    });
  });

  describe('when the node stops', () => {
    it('go on running', async () => {
      await bench.start();
      await bench.create('p');
      await bench.stop();
      expect(bench.provider.calls).toEqual(['run p']);
    });

    it('do not hold it up, whatever they wait for', async () => {
      await bench.start();
      await bench.create('p');
      await bench.create('q');
      bench.provider.fault = () => new Promise(() => {});
      await bench.delete('p');
      await bench.create('r');
      bench.api.before = ({ method }) => {
        if (method === 'PATCH') throw refusal(503);
      };
      await bench.delete('q', 1);
      await bench.stop();
      expect(bench.clock.pending).toBe(0);
    });

    it('are stopped first when they are to go with it', async () => {
      await bench.start();
      await bench.create('p');
      await bench.create('q');
      await bench.workers.stopAll(15);
      expect(bench.provider.calls).toEqual(['run p', 'run q', 'stop p 15 shutdown', 'stop q 15 shutdown']);
    });

    it('before its listings are there, end the start', async () => {
      bench.provider.isSlowToSync = true;
      const aborted = new AbortController();
      const starting = bench.workers.start(aborted.signal);
      await quiet();
      aborted.abort(new Error('enough'));
      await expect(starting).rejects.toThrow('enough');
      bench.provider.syncNow();
    });
  });
});
