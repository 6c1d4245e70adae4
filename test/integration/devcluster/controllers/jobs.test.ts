import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import type { Pod } from '../../../../src/core/objects.ts';
import type { CronJob, Job } from '../../../../src/devcluster/controllers/types.ts';
import { startDevCluster, type DevCluster } from '../../../../src/devcluster/index.ts';
import { FakeClock } from '../../../../src/testing/fake-clock.ts';
import { eventually, FakeKubelet, type Fate } from './fake-kubelet.ts';

let cluster: DevCluster;
let kubelet: FakeKubelet;
let clock: FakeClock;
let fateOf: (pod: Pod) => Fate = () => 'succeed';

const job = (name: string, spec: object = {}, pod: object = {}) => ({
  kind: 'Job',
  apiVersion: 'batch/v1',
  metadata: { name },
  spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'x' }], ...pod } }, ...spec },
});
const get = (name: string) => cluster.objects.get<Job>({ kind: 'Job', name });
const podsOf = (name: string) =>
  cluster.objects.list<Pod>('Pod').filter(({ metadata }) => metadata.labels?.['batch.kubernetes.io/job-name'] === name);
const conditions = (name: string) =>
  (get(name).status?.conditions ?? []).map(({ type, status, reason }) => [type, status, reason]);
const finished = (name: string) =>
  eventually(cluster, ['Job'], () =>
    get(name).status?.conditions?.some(({ type }) => type === 'Complete' || type === 'Failed'),
  );

/** Time goes by while the node keeps saying that it is well. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 20_000) {
    await clock.advance(Math.min(left, 20_000));
    kubelet.heartbeat(clock.now());
  }
}

beforeAll(async () => {
  clock = new FakeClock(Date.now());
  cluster = await startDevCluster({ controllers: true, clock });
  kubelet = new FakeKubelet(cluster, 'node-a', (pod) => fateOf(pod));
});
afterAll(async () => {
  kubelet.stop();
  await cluster.stop();
  expect(clock.pending).toBe(0);
});

describe('a Job', () => {
  it('completes when enough of its pods have succeeded, and lets them go', async () => {
    fateOf = () => 'succeed';
    let most = 0;
    const stop = cluster.objects.watch('Pod', () => {
      most = Math.max(most, podsOf('work').filter(({ status }) => status?.phase === 'Pending').length);
    });
    cluster.objects.create(job('work', { completions: 5, parallelism: 2 }));
    await finished('work');
    stop();
    expect(most).toBe(2);
    expect(get('work').status).toMatchObject({ succeeded: 5, ready: 0, terminating: 0, uncountedTerminatedPods: {} });
    expect(conditions('work')).toEqual([
      ['SuccessCriteriaMet', 'True', 'CompletionsReached'],
      ['Complete', 'True', 'CompletionsReached'],
    ]);
    expect(podsOf('work').map(({ metadata }) => metadata.finalizers)).toEqual(Array(5).fill(undefined));
  });

  it('gives each pod of an Indexed job its index', async () => {
    fateOf = () => 'succeed';
    cluster.objects.create(job('indexed', { completions: 4, parallelism: 4, completionMode: 'Indexed' }));
    await finished('indexed');
    expect(get('indexed').status?.completedIndexes).toBe('0-3');
    const hosts = podsOf('indexed')
      .map(({ spec }) => spec.hostname ?? '')
      .sort((a, b) => a.localeCompare(b));
    expect(hosts).toEqual(['indexed-0', 'indexed-1', 'indexed-2', 'indexed-3']);
    expect(podsOf('indexed')[0]?.spec.containers[0]?.env?.[0]?.name).toBe('JOB_COMPLETION_INDEX');
  });

  it('tries again after a growing delay, and fails beyond its back-off limit', async () => {
    fateOf = () => 'fail';
    cluster.objects.create(job('broken', { backoffLimit: 1 }));
    await eventually(cluster, ['Job'], () => get('broken').status?.failed === 1);
    expect(podsOf('broken')).toHaveLength(1);
    // The delay begins when the controller has looked at the failure, which may be after its status was seen.
    for (let seconds = 0; seconds < 30 && podsOf('broken').length < 2; seconds++) await pass(1_000);
    await finished('broken');
    expect(podsOf('broken')).toHaveLength(2);
    expect(get('broken').status).toMatchObject({ failed: 2, ready: 0, terminating: 0 });
    expect(conditions('broken')).toEqual([
      ['FailureTarget', 'True', 'BackoffLimitExceeded'],
      ['Failed', 'True', 'BackoffLimitExceeded'],
    ]);
  });

  it('ends what runs at its deadline', async () => {
    fateOf = () => 'run';
    cluster.objects.create(job('late', { activeDeadlineSeconds: 30 }));
    await eventually(cluster, ['Job'], () => get('late').status?.ready === 1);
    await pass(31_000);
    await finished('late');
    expect(conditions('late').at(-1)).toEqual(['Failed', 'True', 'DeadlineExceeded']);
    expect(podsOf('late')).toEqual([]);
  });

  it('has no pods while it is suspended', async () => {
    fateOf = () => 'run';
    cluster.objects.create(job('pause', { suspend: true, completions: 1 }));
    await eventually(cluster, ['Job'], () => conditions('pause').length > 0);
    expect(get('pause').status?.startTime).toBeUndefined();
    cluster.objects.patch({ kind: 'Job', name: 'pause' }, { spec: { suspend: false } });
    await eventually(cluster, ['Job'], () => get('pause').status?.active === 1);
    expect(conditions('pause')).toEqual([['Suspended', 'False', 'JobResumed']]);
    cluster.objects.patch({ kind: 'Job', name: 'pause' }, { spec: { suspend: true } });
    await eventually(cluster, ['Job', 'Pod'], () => podsOf('pause').length === 0);
    expect(get('pause').status?.failed ?? 0).toBe(0);
  });

  it('fails at once, or does not count a failure, as its failure policy says', async () => {
    fateOf = () => 'fail';
    const rule = (action: string) => ({ rules: [{ action, onExitCodes: { operator: 'In', values: [1] } }] });
    cluster.objects.create(job('strict', { podFailurePolicy: rule('FailJob') }));
    await finished('strict');
    expect(conditions('strict').at(-1)).toEqual(['Failed', 'True', 'PodFailurePolicy']);
    let failures = 0;
    fateOf = () => (failures++ === 0 ? 'fail' : 'succeed');
    cluster.objects.create(job('lenient', { backoffLimit: 0, podFailurePolicy: rule('Ignore') }));
    await finished('lenient');
    expect(conditions('lenient').at(-1)).toEqual(['Complete', 'True', 'CompletionsReached']);
  });

  it('goes with its pods when its time to live is over', async () => {
    fateOf = () => 'succeed';
    cluster.objects.create(job('brief', { ttlSecondsAfterFinished: 60 }));
    await finished('brief');
    await pass(61_000);
    await eventually(
      cluster,
      ['Job', 'Pod'],
      () => cluster.objects.find({ kind: 'Job', name: 'brief' }) === undefined && podsOf('brief').length === 0,
    );
  });

  it('takes its pods along when it is deleted while they run', async () => {
    fateOf = () => 'run';
    cluster.objects.create(job('cut'));
    await eventually(cluster, ['Job'], () => get('cut').status?.ready === 1);
    cluster.objects.delete({ kind: 'Job', name: 'cut' }, { propagationPolicy: 'Background' });
    await eventually(cluster, ['Pod'], () => podsOf('cut').length === 0);
  });
});

describe('a CronJob', () => {
  const cronJob = (name: string, spec: object = {}) => ({
    kind: 'CronJob',
    apiVersion: 'batch/v1',
    metadata: { name },
    spec: { schedule: '* * * * *', jobTemplate: { spec: job('x').spec }, ...spec },
  });
  const jobsOf = (name: string) =>
    cluster.objects.list<Job>('Job').filter(({ metadata }) => metadata.ownerReferences?.[0]?.name === name);
  const status = (name: string) => cluster.objects.get<CronJob>({ kind: 'CronJob', name }).status;

  it('starts a job each time it is due, and keeps as many as its history may have', async () => {
    fateOf = () => 'succeed';
    cluster.objects.create(cronJob('tick', { successfulJobsHistoryLimit: 2 }));
    for (let minute = 0; minute < 4; minute++) {
      const before = status('tick')?.lastScheduleTime;
      await pass(60_000);
      await eventually(
        cluster,
        ['CronJob'],
        () => status('tick')?.lastScheduleTime !== before && (status('tick')?.active ?? []).length === 0,
      );
    }
    await eventually(cluster, ['Job'], () => jobsOf('tick').length === 2);
    expect(jobsOf('tick').every(({ metadata }) => /^tick-\d+$/.test(metadata.name))).toBe(true);
    cluster.objects.delete({ kind: 'CronJob', name: 'tick' }, { propagationPolicy: 'Background' });
    await eventually(cluster, ['Job'], () => jobsOf('tick').length === 0);
  });

  it.each([
    ['Forbid', 1],
    ['Allow', 2],
    ['Replace', 1],
  ])(
    'with concurrency policy %s has %i jobs when the first still runs at the second time',
    async (concurrencyPolicy, count) => {
      fateOf = () => 'run';
      const name = concurrencyPolicy.toLowerCase();
      cluster.objects.create(cronJob(name, { concurrencyPolicy }));
      await pass(60_000);
      await eventually(cluster, ['Job'], () => jobsOf(name).length === 1);
      const [first] = jobsOf(name);
      await pass(60_000);
      await eventually(cluster, ['CronJob', 'Job', 'Event'], () =>
        concurrencyPolicy === 'Replace'
          ? jobsOf(name).length === 1 && jobsOf(name)[0]?.metadata.uid !== first?.metadata.uid
          : jobsOf(name).length === count,
      );
      cluster.objects.delete({ kind: 'CronJob', name }, { propagationPolicy: 'Background' });
      await eventually(cluster, ['Job'], () => jobsOf(name).length === 0);
    },
  );
});
