import { systemClock } from '../core/clock.ts';
import { silentLogger } from '../core/logger.ts';
import type { PodRef, ProviderContext } from '../providers/contract.ts';

/** An Event that a provider has recorded. */
export interface RecordedEvent {
  readonly pod: PodRef;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/**
 * A context for a provider in a test. Give `stateDir` (and `logs`) when it writes to disk; the defaults name folders
 * that do not exist.
 */
export function providerContext(
  given: Partial<ProviderContext> = {},
): ProviderContext & { readonly recorded: readonly RecordedEvent[] } {
  const recorded: RecordedEvent[] = [];
  return {
    nodeName: 'test-node',
    nodeIPs: ['192.0.2.1'],
    stateDir: '/nonexistent/state',
    logs: { directory: '/nonexistent/logs', maxSizeBytes: 10 * 2 ** 20, maxFiles: 5 },
    cluster: { dns: [], domain: 'cluster.local' },
    clock: systemClock,
    log: silentLogger,
    events: (pod, type, reason, message) => void recorded.push({ pod, type, reason, message }),
    signal: new AbortController().signal,
    ...given,
    recorded,
  };
}
