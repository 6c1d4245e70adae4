import { describe, expect, it } from '@jest/globals';

import { measuredRuntime } from '../../../src/engine/measured-runtime.ts';
import { podUsages } from '../../../src/engine/usage.ts';
import { createKubeletMetrics } from '../../../src/metrics/kubelet-metrics.ts';
import type { ContainerRuntime } from '../../../src/providers/contract.ts';
import { FakeClock } from '../../../src/testing/index.ts';
import { ScriptedRuntime } from '../../helpers/scripted-runtime.ts';
import { exited, recordOf, running } from './records-of.ts';

describe('what pods use', () => {
  const ref = { uid: 'uid', name: 'p', namespace: 'ns' };
  const around = { scope: 'cpuAndMemory', type: 'scripted', at: 5 } as const;

  it('is what the runtime says of their running containers, with the names that they have', async () => {
    const containers = [recordOf('a', running), recordOf('b', exited(0))];
    const usages = ['a-0', 'b-0', 'unknown'].map((id) => ({ id, cpu: { at: 5, usageCoreNanoSeconds: 1 } }));
    expect(await podUsages([{ ref, containers }], usages, around)).toEqual([
      {
        ...ref,
        containers: [
          {
            name: 'a',
            containerID: 'scripted://a-0',
            image: 'i',
            startedAt: 1_000,
            cpu: { at: 5, usageCoreNanoSeconds: 1 },
          },
        ],
      },
    ]);
  });

  it('is nothing when nothing of them runs', async () => {
    expect(await podUsages([{ ref, containers: [recordOf('b', exited(0))] }], [{ id: 'b-0' }], around)).toEqual([]);
  });
});

describe('a measured runtime', () => {
  const operations = (text: string) =>
    text.split('\n').filter((line) => /^kubelet_(runtime_operations|run_podsandbox)\w*(total|count)/.test(line));

  it('counts operations and errors by their names in CRI', async () => {
    const clock = new FakeClock();
    const runtime = new ScriptedRuntime(clock);
    const { runtime: metrics, registry } = createKubeletMetrics();
    const measured = measuredRuntime(runtime, metrics, clock);
    const pod = { uid: 'u', name: 'p', namespace: 'n' };
    const { id } = await measured.runSandbox({
      pod,
      attempt: 0,
      hostname: 'p',
      hostNetwork: false,
      logDirectory: '/logs',
    });
    runtime.fault = () => {
      throw new Error('away');
    };
    await expect(measured.stopSandbox(id)).rejects.toThrow('away');
    expect(operations(registry.render())).toEqual([
      'kubelet_run_podsandbox_duration_seconds_count{runtime_handler=""} 1',
      'kubelet_runtime_operations_duration_seconds_count{operation_type="run_podsandbox"} 1',
      'kubelet_runtime_operations_duration_seconds_count{operation_type="stop_podsandbox"} 1',
      'kubelet_runtime_operations_errors_total{operation_type="stop_podsandbox"} 1',
      'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
      'kubelet_runtime_operations_total{operation_type="stop_podsandbox"} 1',
    ]);
  });

  it('can no more than the runtime can', () => {
    const clock = new FakeClock();
    const { runtime: metrics } = createKubeletMetrics();
    const bare = measuredRuntime(new ScriptedRuntime(clock), metrics, clock);
    const optional: readonly (keyof ContainerRuntime)[] = ['exec', 'attach', 'portForward', 'stats', 'node'];
    for (const capability of optional) expect(bare).not.toHaveProperty(capability);
    const able = Object.assign(new ScriptedRuntime(clock), { stats: () => Promise.resolve([]) });
    expect(measuredRuntime(able, metrics, clock)).toHaveProperty('stats', expect.any(Function));
  });
});
