import { messageOf } from '../../core/errors.ts';
import { queryOf, type Endpoint, type Handler } from '../endpoint.ts';
import { Refusal } from '../refusal.ts';
import { summary } from '../stats/summary.ts';
import type { UsageSource } from '../stats/usage-source.ts';

/** `/stats/summary`: what the node and its pods use (`pkg/kubelet/server/stats/handler.go`). */
export function statsSummary(usage: UsageSource): Endpoint {
  const answer: Handler = async (req, res) => {
    const asked = queryOf(req).getAll('only_cpu_and_memory');
    const scope = asked.length === 1 && asked[0] === 'true' ? 'cpuAndMemory' : 'all';
    const report = await usage(scope).catch((err: unknown) => {
      throw new Refusal(500, `Internal Error: ${messageOf(err)}`);
    });
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify(summary(report, scope), undefined, 1));
  };
  return { patterns: ['/stats/'], paths: ['/stats/summary'], methods: { GET: answer, POST: answer } };
}
