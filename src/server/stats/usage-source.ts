import type { NodeUsage, UsageScope } from '../../core/resource-usage.ts';
import type { PodProvider } from '../../providers/contract.ts';
import type { PodSource } from '../pod-source.ts';
import type { UsageReport } from './summary.ts';

export interface UsageSourceOptions {
  readonly nodeName: string;
  /** What the machine uses; given by the daemon. */
  readonly node: (scope: UsageScope) => Promise<NodeUsage>;
  readonly provider: Pick<PodProvider, 'stats'>;
  readonly pods: PodSource;
}

/** Asks the machine and the provider what they use. */
export type UsageSource = (scope: UsageScope) => Promise<UsageReport>;

/** Where a provider cannot tell, the node's own figures are all there is. */
export function usageSource({ nodeName, node, provider, pods }: UsageSourceOptions): UsageSource {
  return async (scope) => {
    const [machine, used] = await Promise.all([node(scope), provider.stats?.(scope) ?? []]);
    const started = new Map(pods.list().map(({ metadata, status }) => [metadata.uid, status?.startTime]));
    // In an order that does not depend on what started when, so that two answers compare.
    const sorted = used.toSorted((a, b) => compare(a.namespace, b.namespace) || compare(a.name, b.name));
    return { nodeName, node: machine, pods: sorted, podStartTime: (uid) => started.get(uid) };
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
