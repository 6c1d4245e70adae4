import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { exposition, textFormat } from '../../metrics/exposition.ts';
import type { KubeletMetrics } from '../../metrics/kubelet-metrics.ts';
import { processStartedAt } from '../../metrics/process-metrics.ts';
import type { Endpoint, Handler } from '../endpoint.ts';
import { cadvisorMetrics, type MachineLabels } from '../stats/cadvisor-metrics.ts';
import { resourceMetrics } from '../stats/resource-metrics.ts';
import type { UsageSource } from '../stats/usage-source.ts';
import { answerText } from '../text-answer.ts';

export interface MetricsOptions {
  readonly metrics: Pick<KubeletMetrics, 'registry' | 'probeRegistry' | 'sliRegistry'>;
  readonly usage: UsageSource;
  readonly machine: MachineLabels;
  readonly log: Logger;
}

/** The five pages of metrics. They answer to every method, as Go's `promhttp` does. */
export function metrics({ metrics, usage, machine, log }: MetricsOptions): Endpoint[] {
  const { registry, probeRegistry, sliRegistry } = metrics;
  return [
    page('/metrics', () => registry.render()),
    page('/metrics/probes', () => probeRegistry.render()),
    page('/metrics/cadvisor', async () => exposition(cadvisorMetrics(await usage('all'), machine))),
    page('/metrics/resource', async () => {
      const report = await usage('cpuAndMemory').catch((err: unknown) => {
        log.warn('resource usage cannot be told', { err: messageOf(err) });
        return undefined;
      });
      return exposition(resourceMetrics(report));
    }),
    page(
      '/metrics/slis',
      () => sliRegistry.render(),
      () => {
        sliRegistry.clear();
        return 'metrics reset\n';
      },
    ),
  ];
}

/** `reset` is what a DELETE does, where it does something else than the others. */
function page(path: string, render: () => string | Promise<string>, reset?: () => string): Endpoint {
  const methods: Handler = async (req, res) => {
    if (req.method === 'DELETE' && reset !== undefined) return answerText(res, 200, reset());
    const body = await render();
    res.setHeader('Content-Type', textFormat);
    res.setHeader('Process-Start-Time-Unix', Math.floor(processStartedAt / 1000));
    answerText(res, 200, body);
  };
  return { patterns: [path], paths: [path], methods };
}
