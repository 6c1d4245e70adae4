import { describe, expect, it } from '@jest/globals';

import { unavailable } from '../../../src/core/errors.ts';
import type { KubeEvent } from '../../../src/core/objects.ts';
import { EventCorrelator } from '../../../src/kube/event-correlator.ts';
import { EventRecorder, nodeSubject, podSubject } from '../../../src/kube/event-recorder.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { RecordingLogger } from './recording-logger.ts';

const pod = podSubject({ name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7' }, 'spec.containers{c}');

function recorder(api: FakeApi, options: { queueLength?: number; burst?: number } = {}) {
  const clock = new ManualClock();
  const log = new RecordingLogger();
  return { clock, log, events: new EventRecorder(api, { nodeName: 'n1', clock, log, ...options }) };
}

/** A server that stores what it is given. */
function storing(): FakeApi {
  const api = new FakeApi();
  api.answer = ({ method, path, body }) =>
    method === 'PATCH' ? { metadata: { name: path.split('/').at(-1) }, ...(body as object) } : body;
  return api;
}

describe('an event', () => {
  it('is written as the kubelet writes it', async () => {
    const api = storing();
    const { events, clock } = recorder(api);
    events.record(pod, 'Normal', 'Started', 'Container started');
    await events.stop(1000);
    const nanos = (BigInt(clock.now()) * 1_000_000n).toString(16);
    expect(api.requests).toMatchObject([{ method: 'POST', path: '/api/v1/namespaces/shop/events' }]);
    expect(api.requests[0]?.body).toEqual({
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `web.${nanos}`, namespace: 'shop' },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'Pod',
        name: 'web',
        namespace: 'shop',
        uid: 'u1',
        resourceVersion: '7',
        fieldPath: 'spec.containers{c}',
      },
      type: 'Normal',
      reason: 'Started',
      message: 'Container started',
      count: 1,
      firstTimestamp: '2026-01-02T03:04:05Z',
      lastTimestamp: '2026-01-02T03:04:05Z',
      source: { component: 'kubelet', host: 'n1' },
      reportingComponent: 'kubelet',
      reportingInstance: 'n1',
    });
  });

  it('about the node goes to the default namespace and has its name as UID', async () => {
    const api = storing();
    const { events } = recorder(api);
    events.record(nodeSubject('n1'), 'Normal', 'Starting', 'Starting kubelet.');
    await events.stop(1000);
    expect(api.requests).toMatchObject([
      { path: '/api/v1/namespaces/default/events', body: { involvedObject: { kind: 'Node', name: 'n1', uid: 'n1' } } },
    ]);
  });

  it('seen again is counted up by a patch', async () => {
    const api = storing();
    const { events, clock } = recorder(api);
    events.record(pod, 'Warning', 'BackOff', 'Back-off restarting failed container c');
    await clock.advance(60_000);
    events.record(pod, 'Warning', 'BackOff', 'Back-off restarting failed container c');
    await events.stop(1000);
    const [first, second] = api.requests;
    const { name } = (first!.body as KubeEvent).metadata;
    expect(second).toMatchObject({
      method: 'PATCH',
      path: `/api/v1/namespaces/shop/events/${name}`,
      contentType: 'application/strategic-merge-patch+json',
      body: { count: 2, lastTimestamp: '2026-01-02T03:05:05Z' },
    });
  });

  it('whose record has expired is created anew with its count', async () => {
    const api = storing();
    const store = api.answer;
    const { events, clock } = recorder(api);
    events.record(pod, 'Normal', 'Pulled', 'x');
    await clock.advance(7_200_000);
    api.answer = (request) => {
      if (request.method === 'PATCH') throw refusal(404);
      return store(request);
    };
    events.record(pod, 'Normal', 'Pulled', 'x');
    await events.stop(1000);
    const [first, , third] = api.requests.map(({ body }) => body as KubeEvent);
    expect(api.requests.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
    expect(third).toMatchObject({ count: 2, firstTimestamp: first?.firstTimestamp });
    expect(third?.metadata.name).not.toBe(first?.metadata.name);
  });

  it('names differ within one millisecond', async () => {
    const api = storing();
    const { events } = recorder(api);
    for (const reason of ['A', 'B', 'C']) events.record(pod, 'Normal', reason, 'm');
    await events.stop(1000);
    expect(new Set(api.requests.map(({ body }) => (body as KubeEvent).metadata.name)).size).toBe(3);
  });
});

describe('the recorder', () => {
  it('waits for a server that is away, in order and without loss', async () => {
    const api = storing();
    const store = api.answer;
    api.answer = () => {
      throw unavailable('away');
    };
    const { events, clock } = recorder(api);
    events.record(pod, 'Normal', 'First', 'm');
    events.record(pod, 'Normal', 'Second', 'm');
    await clock.advance(60_000);
    api.requests.length = 0;
    api.answer = store;
    await clock.advance(60_000);
    await events.stop(1000);
    expect(api.requests.map(({ body }) => (body as KubeEvent).reason)).toEqual(['First', 'Second']);
    expect(events.dropped).toBe(0);
  });

  it('drops what is refused, with one warning', async () => {
    const api = new FakeApi();
    api.answer = () => {
      throw refusal(403, 'events is forbidden');
    };
    const { events, log } = recorder(api);
    for (const reason of ['A', 'B', 'C']) events.record(pod, 'Normal', reason, 'm');
    await events.stop(1000);
    expect(log.at('warn')).toHaveLength(1);
    expect(events.dropped).toBe(3);
    expect(api.requests).toHaveLength(3);
  });

  it('keeps no more than its queue while the server is away', async () => {
    const api = new FakeApi();
    api.answer = () => new Promise(() => {});
    const { events, log } = recorder(api, { queueLength: 10 });
    for (let i = 0; i < 50; i++) events.record(pod, 'Normal', `R${i}`, 'm');
    await settle();
    // Ten wait, one is on its way.
    expect(events.dropped).toBe(39);
    expect(log.at('warn')).toHaveLength(1);
  });

  it('keeps to its rate', async () => {
    const api = storing();
    const { events, clock } = recorder(api, { burst: 2 });
    for (let i = 0; i < 12; i++)
      events.record(podSubject({ name: `p${i}`, namespace: 'a', uid: `${i}` }), 'Normal', 'R', 'm');
    await settle();
    expect(api.requests).toHaveLength(2);
    await clock.advance(100);
    expect(api.requests).toHaveLength(7);
    await clock.advance(1000);
    expect(api.requests).toHaveLength(12);
  });

  it('gives up at the deadline of its stop, and records nothing afterwards', async () => {
    const api = new FakeApi();
    api.answer = () => {
      throw unavailable('away');
    };
    const { events, clock } = recorder(api);
    events.record(pod, 'Normal', 'R', 'm');
    const stopped = events.stop(5000);
    await clock.advance(5000);
    await stopped;
    const asked = api.requests.length;
    events.record(pod, 'Normal', 'R', 'm');
    await settle();
    expect(api.requests).toHaveLength(asked);
    expect(clock.waiting).toBe(0);
  });
});

describe('correlation', () => {
  const event = (message: string, uid = 'u1', reason = 'Unhealthy'): KubeEvent => ({
    metadata: { name: `web.${message}`, namespace: 'shop' },
    involvedObject: { kind: 'Pod', name: 'web', namespace: 'shop', uid, apiVersion: 'v1' },
    source: { component: 'kubelet', host: 'n1' },
    type: 'Warning',
    reason,
    message,
    count: 1,
    firstTimestamp: 't',
    lastTimestamp: 't',
  });

  it('combines the tenth similar event and counts the following into it', () => {
    const correlator = new EventCorrelator(new ManualClock());
    for (let i = 1; i < 10; i++) expect(correlator.correlate(event(`m${i}`))).toMatchObject({ action: 'create' });
    expect(correlator.correlate(event('m10'))).toMatchObject({
      action: 'create',
      event: { message: '(combined from similar events): m10', count: 1 },
    });
    expect(correlator.correlate(event('m11'))).toMatchObject({
      action: 'patch',
      patch: { message: '(combined from similar events): m11', count: 2 },
    });
  });

  it('forgets similarity after ten quiet minutes', async () => {
    const clock = new ManualClock();
    const correlator = new EventCorrelator(clock);
    for (let i = 1; i < 10; i++) correlator.correlate(event(`m${i}`));
    await clock.advance(601_000);
    expect(correlator.correlate(event('m10'))).toMatchObject({ action: 'create', event: { message: 'm10' } });
  });

  it('does not take another object or reason for similar', () => {
    const correlator = new EventCorrelator(new ManualClock());
    for (let i = 1; i < 10; i++) correlator.correlate(event(`m${i}`));
    expect(correlator.correlate(event('x', 'u2'))).toMatchObject({ event: { message: 'x' } });
    expect(correlator.correlate(event('x', 'u1', 'Other'))).toMatchObject({ event: { message: 'x' } });
  });

  it('lets an object say 25 things, then one in five minutes', async () => {
    const clock = new ManualClock();
    const correlator = new EventCorrelator(clock);
    const actions = Array.from({ length: 30 }, () => correlator.correlate(event('same')).action);
    expect(actions.filter((action) => action !== 'skip')).toHaveLength(25);
    expect(correlator.correlate(event('same', 'u2')).action).toBe('create');
    await clock.advance(300_000);
    expect([correlator.correlate(event('same')).action, correlator.correlate(event('same')).action]).toEqual([
      'patch',
      'skip',
    ]);
  });

  it('counts also what it does not send', async () => {
    const clock = new ManualClock();
    const correlator = new EventCorrelator(clock);
    for (let i = 0; i < 30; i++) correlator.correlate(event('same'));
    await clock.advance(300_000);
    expect(correlator.correlate(event('same'))).toMatchObject({ action: 'patch', patch: { count: 31 } });
  });
});
