import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { rfc3339 } from '../core/clock.ts';
import { codeOf, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { KubeEvent } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { retryAfterOf } from './api-error.ts';
import { patchTypes } from './api.ts';
import type { KubeApi } from './api.ts';
import { EventCorrelator } from './event-correlator.ts';
import type { Correlated } from './event-correlator.ts';

/** `v1.ObjectReference`, as far as events use it. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion?: string;
  /** `spec.containers{app}` and the like. */
  readonly fieldPath?: string;
}

export interface EventRecorderOptions {
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Events that may wait to be sent; further ones are dropped. Default 1000, as client-go's broadcaster. */
  readonly queueLength?: number;
  /** Events per second, and how many at once; the kubelet's `eventRecordQPS` 50 and `eventBurst` 100. */
  readonly perSecond?: number;
  readonly burst?: number;
}

/** The subject of an event about a pod, or about one of its containers by `fieldPath`. */
export function podSubject(
  pod: { readonly name: string; readonly namespace: string; readonly uid: string; readonly resourceVersion?: string },
  fieldPath?: string,
): EventSubject {
  const { name, namespace, uid, resourceVersion } = pod;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    name,
    namespace,
    uid,
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(fieldPath !== undefined && { fieldPath }),
  };
}

/** The subject of an event about this node: its UID is, by old custom, its name. */
export function nodeSubject(nodeName: string): EventSubject {
  return { apiVersion: 'v1', kind: 'Node', name: nodeName, uid: nodeName };
}

/**
 * Records core/v1 Events in the kubelet's name, as k8s.io/client-go/tools/record/event.go does: correlated, one after
 * the other, at a bounded rate. {@link record} never blocks and never throws; what cannot be kept is dropped, and
 * counted. An API server that is away is waited for; a refusal is not repeated.
 */
export class EventRecorder {
  readonly #api: KubeApi;
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #correlator: EventCorrelator;
  readonly #tasks: Tasks;
  readonly #backOff: BackOff;
  readonly #queue: KubeEvent[] = [];
  readonly #stopped = new AbortController();
  #sending = false;
  #dropped = 0;
  #warned = new Set<string>();
  #lastNanos = 0n;
  #tokens: number;
  #tokensAtMs: number;

  constructor(api: KubeApi, options: EventRecorderOptions) {
    this.#api = api;
    this.#options = options;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#correlator = new EventCorrelator(options.clock);
    this.#tasks = new Tasks(options.log);
    this.#backOff = new BackOff(options.clock);
    this.#tokens = options.burst ?? 100;
    this.#tokensAtMs = options.clock.now();
  }

  /** Events that were never stored: the queue was full, or the server would not have them. */
  get dropped(): number {
    return this.#dropped;
  }

  record(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#stopped.signal.aborted) return;
    if (this.#queue.length >= (this.#options.queueLength ?? 1000)) {
      this.#drop('the queue of events is full', undefined);
      return;
    }
    this.#queue.push(this.#event(subject, type, reason, message));
    if (this.#sending) return;
    this.#sending = true;
    this.#tasks.run('events', () => this.#send());
  }

  /** Stores what is queued, for at most `deadlineMs`, then records no more. Idempotent. */
  async stop(deadlineMs: number): Promise<void> {
    const cancel = this.#clock.after(deadlineMs, () => this.#stopped.abort());
    try {
      await this.#tasks.settled();
    } finally {
      cancel();
      this.#stopped.abort();
    }
  }

  async #send(): Promise<void> {
    try {
      for (
        let event = this.#queue.shift();
        event !== undefined && !this.#stopped.signal.aborted;
        event = this.#queue.shift()
      ) {
        const correlated = this.#correlator.correlate(event);
        if (correlated.action !== 'skip') await this.#store(correlated);
      }
    } finally {
      // In the same turn as the look at the empty queue, or an event recorded in between would lie there.
      this.#sending = false;
    }
  }

  /** Until the server has taken or refused it. */
  async #store(correlated: Exclude<Correlated, { action: 'skip' }>): Promise<void> {
    const { signal } = this.#stopped;
    for (;;) {
      try {
        await this.#pace(signal);
        this.#correlator.sent(correlated.key, await this.#write(correlated, signal));
        return;
      } catch (err) {
        if (signal.aborted) return;
        const code = codeOf(err);
        // The name is ours alone: an earlier try was stored after all.
        if (code === 'Conflict') return;
        if (code !== 'Unavailable' && code !== 'Timeout') {
          this.#drop('the API server refuses events', err);
          return;
        }
        this.#log.debug('event not stored, will be retried', { reason: correlated.event.reason, err: messageOf(err) });
        await this.#clock.sleep(Math.max(this.#backOff.next(), retryAfterOf(err) ?? 0), signal).catch(() => {});
      }
    }
  }

  async #write(correlated: Exclude<Correlated, { action: 'skip' }>, signal: AbortSignal): Promise<KubeEvent> {
    const { event } = correlated;
    const collection = `/api/v1/namespaces/${event.metadata.namespace}/events`;
    if (correlated.action === 'patch') {
      try {
        return await this.#api.request<KubeEvent>({
          method: 'PATCH',
          path: `${collection}/${event.metadata.name}`,
          contentType: patchTypes.strategicMerge,
          body: correlated.patch,
          signal,
        });
      } catch (err) {
        // Events live an hour; one that has gone is begun anew with its count, under a new name.
        if (codeOf(err) !== 'NotFound') throw err;
      }
      const metadata = { ...event.metadata, name: this.#name(event.involvedObject.name ?? '') };
      return this.#api.request<KubeEvent>({ method: 'POST', path: collection, body: { ...event, metadata }, signal });
    }
    return this.#api.request<KubeEvent>({ method: 'POST', path: collection, body: event, signal });
  }

  #event(subject: EventSubject, type: string, reason: string, message: string): KubeEvent {
    const { nodeName } = this.#options;
    const time = rfc3339(this.#clock.now());
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: this.#name(subject.name), namespace: subject.namespace ?? 'default' },
      involvedObject: { ...subject },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: time,
      lastTimestamp: time,
      source: { component: 'kubelet', host: nodeName },
      reportingComponent: 'kubelet',
      reportingInstance: nodeName,
    };
  }

  /** `<object>.<time in nanoseconds, hex>`; the clock has milliseconds, the rest counts up. */
  #name(object: string): string {
    const now = BigInt(this.#clock.now()) * 1_000_000n;
    this.#lastNanos = now > this.#lastNanos ? now : this.#lastNanos + 1n;
    return `${object}.${this.#lastNanos.toString(16)}`;
  }

  async #pace(signal: AbortSignal): Promise<void> {
    const { perSecond = 50, burst = 100 } = this.#options;
    const now = this.#clock.now();
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#tokensAtMs) / 1000) * perSecond);
    this.#tokensAtMs = now;
    if (this.#tokens < 1) await this.#clock.sleep(((1 - this.#tokens) / perSecond) * 1000, signal);
    this.#tokens--;
  }

  #drop(why: string, err: unknown): void {
    this.#dropped++;
    const message = err === undefined ? undefined : messageOf(err);
    const kind = `${why} ${codeOf(err) ?? ''}`;
    // Once per kind: a node that may not write events would else fill its log with that alone.
    if (this.#warned.has(kind)) return this.#log.debug('event dropped', { why, err: message });
    this.#warned.add(kind);
    this.#log.warn('event dropped; further ones like it are logged at debug', { why, err: message });
  }
}
