import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import { createKubeletMetrics } from '../../../src/metrics/kubelet-metrics.ts';
import { countContainers } from '../../../src/pods/container-counts.ts';
import type { ContainerReport, PodReport } from '../../../src/providers/contract.ts';
import { testPod } from '../../../src/testing/index.ts';
import { quiet } from '../../helpers/quiet.ts';
import { WorkersBench } from './workers-bench.ts';

const lines = (text: string, begin: string) => text.split('\n').filter((line) => line.startsWith(begin));

describe('what is counted of pods', () => {
  let bench: WorkersBench;
  beforeEach(async () => {
    bench = new WorkersBench();
    await bench.start();
  });
  afterEach(() => bench.stop());
  const counted = (name: string) => lines(bench.metrics.registry.render(), name);

  it('is their start, its duration, and how long their status took to be written', async () => {
    await bench.create('p');
    expect(counted('kubelet_started_pods_total')).toEqual(['kubelet_started_pods_total 1']);
    expect(counted('kubelet_pod_start_duration_seconds_count')).toEqual(['kubelet_pod_start_duration_seconds_count 1']);
    expect(counted('kubelet_pod_worker_duration_seconds_count')).toContain(
      'kubelet_pod_worker_duration_seconds_count{operation_type="create"} 1',
    );
    expect(counted('kubelet_pod_status_sync_duration_seconds_count')).toEqual([expect.stringMatching(/ [1-9]$/)]);
    expect(counted('kubelet_started_containers_total')).toEqual([
      'kubelet_started_containers_total{container_type="container"} 1',
    ]);
  });

  it('is what the provider did not take', async () => {
    bench.provider.fault = (operation) => {
      if (operation === 'run') throw new Error('no room');
    };
    await bench.create('p');
    expect(counted('kubelet_started_pods_total')).toEqual(['kubelet_started_pods_total 0']);
    expect(counted('kubelet_started_pods_errors_total')).toEqual(['kubelet_started_pods_errors_total 1']);
  });

  it('is what the node refused, by its reason', async () => {
    await bench.create('p', {
      containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '100' } } }],
    });
    expect(counted('kubelet_admission_rejections_total')).toEqual([
      'kubelet_admission_rejections_total{reason="OutOfcpu"} 1',
    ]);
  });

  it('is not the start of pods that ran before', async () => {
    await bench.create('p');
    await bench.restart();
    expect(counted('kubelet_started_pods_total')).toEqual(['kubelet_started_pods_total 1']);
    expect(counted('kubelet_started_containers_total')).toEqual([
      'kubelet_started_containers_total{container_type="container"} 1',
    ]);
  });

  it('is how many there are now', async () => {
    const { metadata } = await bench.create('p');
    await bench.create('q');
    bench.provider.exit(metadata.uid, 'c', 0);
    await quiet();
    expect(bench.workers.counts()).toMatchObject({
      runningPods: 2,
      containers: { running: 1, exited: 1 },
      desiredPods: 2,
      activePods: 2,
      workingPods: [{ lifecycle: 'sync', config: 'desired', count: 2 }],
    });
  });
});

describe('what is counted of containers', () => {
  const pod = testPod({ containers: [{ name: 'c' }], initContainers: [{ name: 'i' }] });
  const report = (...containers: Partial<ContainerReport>[]): PodReport => ({
    uid: 'u',
    name: 'p',
    namespace: 'n',
    sandboxReady: true,
    podIPs: [],
    containers: containers.map((c) => ({
      name: 'c',
      state: { waiting: {} },
      ready: false,
      started: false,
      restartCount: 0,
      ...c,
    })),
  });
  const runs = (id: string): Partial<ContainerReport> => ({ containerID: id, state: { running: {} } });
  const ended = (id: string, exitCode: number, reason: string) => ({
    terminated: { containerID: id, exitCode, reason },
  });
  const counted = (...reports: PodReport[]) => {
    const { pods, registry } = createKubeletMetrics();
    let before: PodReport | undefined;
    for (const report of reports) {
      countContainers(pods, pod.spec, before, report);
      before = report;
    }
    return registry
      .render()
      .split('\n')
      .filter((line) => /^kubelet_(started|terminated)_containers/.test(line));
  };

  it('is each instance once, however often it is reported', () => {
    const end = { state: ended('1', 3, 'Error') };
    expect(counted(report(runs('1')), report(runs('1')), report(end), report(end))).toEqual([
      'kubelet_started_containers_total{container_type="container"} 1',
      'kubelet_terminated_containers_total{container_type="container",exit_code="3",reason="Error"} 1',
    ]);
  });

  it('is an end that shows only behind the next start', () => {
    expect(counted(report(runs('1')), report({ ...runs('2'), lastState: ended('1', 0, 'Completed') }))).toEqual([
      'kubelet_started_containers_total{container_type="container"} 2',
      'kubelet_terminated_containers_total{container_type="container",exit_code="0",reason="Completed"} 1',
    ]);
  });

  it('tells init containers from others', () => {
    expect(counted(report({ name: 'i', ...runs('1') }))).toEqual([
      'kubelet_started_containers_total{container_type="init_container"} 1',
    ]);
  });

  it('is an error when a program could not be started', () => {
    expect(counted(report({ state: ended('1', 128, 'StartError') }))).toEqual([
      'kubelet_started_containers_errors_total{code="StartError",container_type="container"} 1',
    ]);
  });
});
