import type { Response } from 'express';

import { messageOf } from '../../core/errors.ts';
import type { HealthMetrics } from '../../metrics/kubelet-metrics.ts';
import { queryOf, type Endpoint } from '../endpoint.ts';
import { goError } from '../refusal.ts';
import { answerText } from '../text-answer.ts';

/** Something that must hold for the kubelet to be healthy; `check` rejects when it does not. */
export interface HealthCheck {
  readonly name: string;
  check(): Promise<void>;
}

/**
 * `/healthz` and one path per check (`apiserver/pkg/server/healthz`). They answer to every method. The results of
 * `/healthz` are counted where `metrics` are given.
 */
export function healthz(checks: readonly HealthCheck[], metrics?: HealthMetrics): Endpoint[] {
  const all: Endpoint = {
    patterns: ['/healthz'],
    paths: ['/healthz'],
    methods: async (req, res) => {
      const query = queryOf(req);
      const { healthy, report } = await runChecks(checks, new Set(query.getAll('exclude')), metrics);
      // Always verbose on failure.
      if (!healthy) throw goError(500, `${report}healthz check failed`);
      res.setHeader('X-Content-Type-Options', 'nosniff');
      answerText(res, 200, query.has('verbose') ? `${report}healthz check passed\n` : 'ok');
    },
  };
  return [all, ...checks.map(single)];
}

function single(health: HealthCheck): Endpoint {
  const path = `/healthz/${health.name}`;
  const methods = async (_req: unknown, res: Response) => {
    await health.check().catch((err: unknown) => {
      throw goError(500, `internal server error: ${messageOf(err)}`);
    });
    answerText(res, 200, 'ok');
  };
  return { patterns: [path], paths: [path], methods };
}

async function runChecks(
  checks: readonly HealthCheck[],
  excluded: Set<string>,
  metrics: HealthMetrics | undefined,
): Promise<{ healthy: boolean; report: string }> {
  let healthy = true;
  let report = '';
  const count = (name: string, passed: boolean) => {
    metrics?.result.set({ name, type: 'healthz' }, Number(passed));
    metrics?.results.add({ name, type: 'healthz', status: passed ? 'success' : 'error' });
  };
  for (const health of checks) {
    const { name } = health;
    if (excluded.delete(name)) {
      report += `[+]${name} excluded: ok\n`;
      continue;
    }
    try {
      await health.check();
      report += `[+]${name} ok\n`;
      count(name, true);
    } catch {
      healthy = false;
      count(name, false);
      report += `[-]${name} failed: reason withheld\n`;
    }
  }
  if (excluded.size > 0) {
    const names = [...excluded].sort().map((name) => JSON.stringify(name));
    report += `warn: some health checks cannot be excluded: no matches for ${names.join(', ')}\n`;
  }
  return { healthy, report };
}
