import { LRUCache } from 'lru-cache';

import type { Clock } from '../core/clock.ts';
import { rfc3339 } from '../core/clock.ts';
import type { KubeEvent } from '../core/objects.ts';

/** Defaults of k8s.io/client-go/tools/record/events_cache.go. */
const cacheSize = 4096;
const similarEvents = 10;
const similarWithinMs = 600_000;
const spamBurst = 25;
const spamRefillMs = 300_000;

/** What is to be sent for one event, if anything. `key` gives the answer back to {@link EventCorrelator.sent}. */
export type Correlated =
  | { readonly action: 'create'; readonly key: string; readonly event: KubeEvent }
  | { readonly action: 'patch'; readonly key: string; readonly event: KubeEvent; readonly patch: Partial<KubeEvent> }
  | { readonly action: 'skip' };

interface Similar {
  readonly messages: Set<string>;
  lastMs: number;
}

interface Observation {
  count: number;
  firstTimestamp: string | undefined;
  name: string;
}

/**
 * Keeps the API server from drowning in events: an event seen before is counted up, ten or more similar ones within
 * ten minutes become one, and an object that goes on talking is cut to a burst of 25 and one per five minutes. The
 * rules and their order are those of `EventCorrelator` in k8s.io/client-go/tools/record/events_cache.go.
 */
export class EventCorrelator {
  readonly #clock: Clock;
  readonly #similar = new LRUCache<string, Similar>({ max: cacheSize });
  readonly #observed = new LRUCache<string, Observation>({ max: cacheSize });
  readonly #budgets = new LRUCache<string, { tokens: number; atMs: number }>({ max: cacheSize });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  correlate(event: KubeEvent): Correlated {
    const { event: aggregated, key } = this.#aggregate(event);
    const observed = this.#observe(aggregated, key);
    return this.#spends(event) ? observed : { action: 'skip' };
  }

  /** The server has stored the event under this name and count. */
  sent(key: string, stored: KubeEvent): void {
    const name = stored.metadata.name;
    if (name !== undefined)
      this.#observed.set(key, { name, count: stored.count ?? 1, firstTimestamp: stored.firstTimestamp });
  }

  /** Similar events, once there are many, become one whose own key is that of the group. */
  #aggregate(event: KubeEvent): { event: KubeEvent; key: string } {
    const now = this.#clock.now();
    const group = groupKey(event);
    let similar = this.#similar.get(group);
    if (similar === undefined || now - similar.lastMs > similarWithinMs) similar = { messages: new Set(), lastMs: now };
    const message = event.message ?? '';
    similar.messages.add(message);
    similar.lastMs = now;
    this.#similar.set(group, similar);
    if (similar.messages.size < similarEvents)
      return { event, key: `${group}\n${event.involvedObject.fieldPath ?? ''}\n${message}` };

    // One of the ten is forgotten, so that the next new message finds the group just as full.
    const [oldest] = similar.messages;
    if (oldest !== undefined) similar.messages.delete(oldest);
    const time = rfc3339(now);
    const combined = {
      ...event,
      message: `(combined from similar events): ${message}`,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
    };
    return { event: combined, key: group };
  }

  #observe(event: KubeEvent, key: string): Exclude<Correlated, { action: 'skip' }> {
    const last = this.#observed.get(key);
    if (last === undefined) {
      this.sent(key, event);
      return { action: 'create', key, event };
    }
    const { name, firstTimestamp } = last;
    const counted: KubeEvent = {
      ...event,
      metadata: { ...event.metadata, name },
      count: last.count + 1,
      ...(firstTimestamp !== undefined && { firstTimestamp }),
    };
    this.sent(key, counted);
    const { count, lastTimestamp, message } = counted;
    return { action: 'patch', key, event: counted, patch: { count, lastTimestamp, message } as Partial<KubeEvent> };
  }

  /** A token bucket per source and object. */
  #spends(event: KubeEvent): boolean {
    const now = this.#clock.now();
    const key = objectKey(event);
    const budget = this.#budgets.get(key) ?? { tokens: spamBurst, atMs: now };
    const tokens = Math.min(spamBurst, budget.tokens + (now - budget.atMs) / spamRefillMs);
    const allowed = tokens >= 1;
    this.#budgets.set(key, { tokens: allowed ? tokens - 1 : tokens, atMs: now });
    return allowed;
  }
}

function objectKey({ source, involvedObject: { kind, namespace, name, uid, apiVersion } }: KubeEvent): string {
  return [source?.component, source?.host, kind, namespace, name, uid, apiVersion].join('\n');
}

function groupKey(event: KubeEvent): string {
  return [objectKey(event), event.type, event.reason, event.reportingComponent, event.reportingInstance].join('\n');
}
