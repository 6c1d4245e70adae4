import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { cluster } from './cluster.ts';
import { eventually } from './eventually.ts';
import { containerProcesses } from './leftovers.ts';
import { MetricsServer } from './metrics-server.ts';
import { sh, testNode } from './test-node.ts';

const node = testNode('metrics');
const metricsServer = new MetricsServer(node.scratch);

/** Works for about a third of the time, for ever. */
const busy = 'while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done';
/** Holds some 30 MB. */
const large = 'x=$(head -c 30000000 /dev/zero | tr "\\0" x); while :; do sleep 1000; done';

beforeAll(async () => {
  await node.apply(node.pod('used', [{ command: sh(busy) }, { command: sh(large) }]));
  await node.podReady('used');
  await metricsServer.start();
}, 600_000);
afterAll(() => metricsServer.stop());

/** Figures of `kubectl top`, in cores and bytes. */
interface Used {
  readonly cpu: number;
  readonly memory: number;
}

/** The rows of `kubectl top`, by their first two columns or their first; undefined while there is nothing to see. */
async function top(...args: readonly string[]): Promise<Map<string, Used> | undefined> {
  const { code, stdout } = await node.tryKubectl(['top', ...args, '--no-headers']);
  const rows = stdout
    .toString()
    .trim()
    .split('\n')
    .filter((row) => row !== '');
  if (code !== 0 || rows.length === 0) return undefined;
  return new Map(
    rows.map((row) => {
      const columns = row.trim().split(/\s+/);
      const name = columns.filter((column) => !/^(\d+(m|Mi|%)?|<unknown>)$/.test(column)).join(' ');
      const number = (pattern: RegExp) =>
        Number(columns.map((column) => pattern.exec(column)?.[1]).find(Boolean) ?? Number.NaN);
      return [name, { cpu: number(/^(\d+)m$/) / 1000, memory: number(/^(\d+)Mi$/) * 2 ** 20 }];
    }),
  );
}

/** CPU time in seconds and resident bytes of the containers' processes now, by container name. */
function usedByContainers(): Map<string, Used> {
  const found = new Map<string, Used>();
  for (const { pid, container } of containers()) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    const cpu = [11, 12, 13, 14].reduce((sum, field) => sum + Number(stat[field]), 0) / 100;
    const memory = Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024;
    const before = found.get(container) ?? { cpu: 0, memory: 0 };
    found.set(container, { cpu: before.cpu + cpu, memory: before.memory + memory });
  }
  return found;
}

/** What the busy container had used, by the time of day. */
class Samples {
  readonly #samples: { readonly at: number; readonly cpu: number }[] = [];
  readonly #timer = setInterval(() => this.take(), 250);

  take(): void {
    this.#samples.push({ at: Date.now(), cpu: usedByContainers().get('main')?.cpu ?? 0 });
  }

  /** Cores used on average between two moments, as near as it was looked. */
  cores(from: number, to: number): number {
    const nearest = (at: number) =>
      this.#samples.reduce((best, sample) => (Math.abs(sample.at - at) < Math.abs(best.at - at) ? sample : best));
    const [first, last] = [nearest(from), nearest(to)];
    return (last.cpu - first.cpu) / ((last.at - first.at) / 1000);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** The processes of the pod `used`; the sleep of the busy one comes and goes, and is next to nothing. */
function containers(): { pid: number; container: string }[] {
  return containerProcesses(node.stateDir).flatMap(({ pid }) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      const container = command.includes('20000') ? 'main' : command.includes('30000000') ? 'c1' : undefined;
      return container === undefined ? [] : [{ pid, container }];
    } catch {
      return [];
    }
  });
}

describe('kubectl top', () => {
  it('pod --containers is within a tenth of /proc', async () => {
    const samples = new Samples();
    samples.take();
    try {
      const startedAt = Date.now();
      // A window of metrics-server's that began after we had begun to look.
      const { rows, from, to } = await eventually(
        async () => {
          const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${node.namespace}/pods/used`;
          const { code, stdout } = await node.tryKubectl(['get', '--raw', path]);
          if (code !== 0) return undefined;
          const { timestamp, window } = JSON.parse(stdout.toString()) as { timestamp: string; window: string };
          const to = Date.parse(timestamp);
          const from = to - Number.parseFloat(window) * 1000;
          const rows = from > startedAt && (await top('pod', 'used', '--containers'));
          return rows ? { rows, from, to } : undefined;
        },
        'a window of metrics-server',
        80_000,
      );
      samples.take();
      const cores = samples.cores(from, to);
      expect(cores).toBeGreaterThan(0.05);
      expect(Math.abs(rows.get('used main')!.cpu / cores - 1)).toBeLessThan(0.1);
      const { memory } = rows.get('used c1')!;
      expect(Math.abs(memory / usedByContainers().get('c1')!.memory - 1)).toBeLessThan(0.1);
      expect(memory).toBeGreaterThan(25e6);
    } finally {
      samples.stop();
    }
  });

  it('node is within a tenth of /proc', async () => {
    const rows = await eventually(() => top('node', node.name), 'figures of the node', 60_000);
    const { memory, cpu } = rows.get(node.name)!;
    const meminfo = readFileSync('/proc/meminfo', 'latin1');
    const kib = (name: string) =>
      Number(new RegExp(`^${name.replace(/[()]/g, '\\$&')}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1]);
    const workingSet = (kib('MemTotal') - kib('MemFree') - kib('Inactive(file)')) * 1024;
    expect(Math.abs(memory / workingSet - 1)).toBeLessThan(0.1);
    expect(memory).toBeLessThan(totalmem());
    expect(cpu).toBeGreaterThan(0);
  });
});

describe('a HorizontalPodAutoscaler', () => {
  it('scales a Deployment on this node', async () => {
    const labels = { app: 'scaled' };
    const main = { command: sh(busy), resources: { requests: { cpu: '50m' } } };
    const template = { metadata: { labels }, spec: { ...node.podSpec(main), terminationGracePeriodSeconds: 1 } };
    await node.apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'scaled', namespace: node.namespace },
        spec: { replicas: 1, selector: { matchLabels: labels }, template },
      },
      {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'scaled', namespace: node.namespace },
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'scaled' },
          minReplicas: 1,
          maxReplicas: 2,
          metrics: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } },
          ],
        },
      },
    );
    await node.pods.until(
      () =>
        node.pods
          .all()
          .filter(({ metadata, status }) => metadata.labels?.['app'] === 'scaled' && status?.phase === 'Running')
          .length === 2,
      'two pods run',
      120_000,
    );
  }, 150_000);
});

describe('the API server', () => {
  const raw = (path: string) => node.kubectl(['get', '--raw', `/api/v1/nodes/${node.name}/proxy${path}`]);

  it('leads to the endpoints of the node', async () => {
    if (!cluster.canProxyToNodes) return;
    expect(JSON.parse(await raw('/stats/summary'))).toMatchObject({ node: { nodeName: node.name } });
    expect(await raw('/metrics')).toMatch(/^kubelet_running_pods [1-9]/m);
    expect(await raw('/metrics')).toMatch(
      /^rest_client_requests_total\{code="200",host="[^"]+",method="PATCH"\} [1-9]/m,
    );
    expect(await raw('/metrics/cadvisor')).toContain('container="main"');
    expect(JSON.parse(await raw('/configz'))).toMatchObject({ kubeletconfig: { kind: 'KubeletConfiguration' } });
    expect(await raw('/statusz')).toContain('kubelet statusz');
    expect(await raw('/flagz')).toContain(`node-name=${node.name}\n`);
  });
});
