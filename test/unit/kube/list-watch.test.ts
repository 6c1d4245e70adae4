import { afterEach, describe, expect, it } from '@jest/globals';

import { unavailable } from '../../../src/core/errors.ts';
import type { ApiRequest } from '../../../src/kube/api.ts';
import { listWatch } from '../../../src/kube/list-watch.ts';
import type { ConnectionState, ListWatchEvent, WatchedObject } from '../../../src/kube/list-watch.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock, settle } from './manual-clock.ts';
import { RecordingLogger } from './recording-logger.ts';

const object = (uid: string, resourceVersion: string, name = uid) => ({
  metadata: { name, namespace: 'ns', uid, resourceVersion },
});
const list = (resourceVersion: string, items: object[], more?: string) => ({
  kind: 'PodList',
  apiVersion: 'v1',
  metadata: { resourceVersion, continue: more },
  items,
});
const bookmark = (resourceVersion: string) => ({ metadata: { resourceVersion } });

let stop = new AbortController();

/** Runs a list+watch into an array of short words. */
function follow(api: FakeApi, pageSize?: number) {
  stop = new AbortController();
  const clock = new ManualClock();
  const log = new RecordingLogger();
  const seen: string[] = [];
  const states: ConnectionState[] = [];
  const target = {
    path: '/api/v1/pods',
    fieldSelector: 'spec.nodeName=n',
    ...(pageSize !== undefined && { pageSize }),
  };
  const events = listWatch<WatchedObject>(api, target, {
    clock,
    log,
    signal: stop.signal,
    onConnection: (state) => states.push(state),
  });
  const done = (async () => {
    for await (const event of events) seen.push(word(event));
  })();
  return { clock, log, seen, states, done };
}

function word(event: ListWatchEvent<WatchedObject>): string {
  return 'object' in event ? `${event.type} ${event.object.metadata.uid}` : event.type;
}

/** Answers lists in turn; the last stays. */
function lists(api: FakeApi, ...answers: (object | Error)[]): void {
  api.answer = () => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

const queries = (requests: readonly ApiRequest[]) => requests.map(({ query }) => query);

describe('a list and watch', () => {
  afterEach(() => stop.abort());

  it('lists, says so, then tells changes', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '5')]));
    const { seen, states } = follow(api);
    await settle();
    api.lastWatch.send('ADDED', object('b', '11'));
    api.lastWatch.send('MODIFIED', object('a', '12'));
    api.lastWatch.send('DELETED', object('b', '13'));
    await settle();
    expect(seen).toEqual(['listing', 'apply a', 'synced', 'apply b', 'apply a', 'delete b']);
    expect(api.lastWatch.request.query).toMatchObject({
      resourceVersion: '10',
      allowWatchBookmarks: true,
      watch: true,
      fieldSelector: 'spec.nodeName=n',
    });
    expect(states).toMatchObject([{ connected: true }]);
  });

  it('asks for the most recent state, not for a cached one', async () => {
    const api = new FakeApi();
    lists(api, list('10', []));
    follow(api);
    await settle();
    expect(queries(api.requests)[0]).not.toHaveProperty('resourceVersion');
  });

  it('gives listed items the kind that lists leave out', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '5')]));
    const { signal } = (stop = new AbortController());
    for await (const event of listWatch<WatchedObject>(
      api,
      { path: '/api/v1/pods' },
      { clock: new ManualClock(), log: new RecordingLogger(), signal },
    )) {
      if (event.type === 'apply') {
        expect(event.object).toMatchObject({ kind: 'Pod', apiVersion: 'v1' });
        break;
      }
    }
  });

  it('follows the pages of a long list', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '1')], 'more'), list('10', [object('b', '2')]));
    const { seen } = follow(api, 1);
    await settle();
    expect(seen).toEqual(['listing', 'apply a', 'apply b', 'synced']);
    expect(queries(api.requests)).toMatchObject([{ limit: 1 }, { limit: 1, continue: 'more' }]);
  });

  it('asks for one whole list when a continue token has expired', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '1')], 'more'), refusal(410), list('11', [object('a', '1'), object('b', '2')]));
    const { seen, clock } = follow(api, 1);
    await clock.advance(2000);
    expect(seen).toEqual(['listing', 'apply a', 'listing', 'apply a', 'apply b', 'synced']);
    expect(queries(api.requests)[2]).toMatchObject({ limit: undefined, continue: undefined });
  });

  it('goes on from the last bookmark when the server ends the watch', async () => {
    const api = new FakeApi();
    lists(api, list('10', []));
    const { clock, seen } = follow(api);
    await settle();
    api.lastWatch.send('BOOKMARK', bookmark('77'));
    await clock.advance(300_000);
    api.lastWatch.end();
    await settle();
    expect(api.watches).toHaveLength(2);
    expect(api.watches[0]?.closed).toBe(true);
    expect(api.lastWatch.request.query).toMatchObject({ resourceVersion: '77' });
    expect(seen).toEqual(['listing', 'synced']);
  });

  it('goes on from the last resource version after a broken connection, with back-off and one warning', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '9')]));
    const { clock, log, seen, states } = follow(api);
    await settle();
    api.lastWatch.send('MODIFIED', object('a', '20'));
    await settle();
    api.acceptWatch = () => {
      throw unavailable('connection refused');
    };
    api.lastWatch.fail(unavailable('connection refused'));
    await clock.advance(120_000);
    expect(log.at('warn')).toEqual(['warn watch failed, will be retried']);
    expect(states.at(-1)).toMatchObject({ connected: false, message: 'connection refused' });
    api.acceptWatch = () => {};
    await clock.advance(60_000);
    expect(api.lastWatch.request.query).toMatchObject({ resourceVersion: '20' });
    expect(states.at(-1)).toMatchObject({ connected: true });
    expect(seen).toEqual(['listing', 'apply a', 'synced', 'apply a']);
  });

  it.each(['an HTTP answer', 'an ERROR event'])('lists again on 410 as %s, and reports what is gone', async (how) => {
    const api = new FakeApi();
    lists(api, list('10', [object('a', '1'), object('b', '2')]), list('50', [object('b', '2'), object('c', '40')]));
    const { clock, seen } = follow(api);
    await settle();
    if (how === 'an ERROR event')
      api.lastWatch.send('ERROR', {
        kind: 'Status',
        code: 410,
        reason: 'Expired',
        message: 'too old resource version',
      });
    else {
      let refused = false;
      api.acceptWatch = () => {
        if (!refused) {
          refused = true;
          throw refusal(410);
        }
      };
      await clock.advance(5000);
      api.lastWatch.end();
    }
    await clock.advance(5000);
    expect(seen).toEqual([
      'listing',
      'apply a',
      'apply b',
      'synced',
      'listing',
      'apply b',
      'apply c',
      'delete a',
      'synced',
    ]);
    expect(api.lastWatch.request.query).toMatchObject({ resourceVersion: '50' });
  });

  it('reports the end of the old object when a new one has its name', async () => {
    const api = new FakeApi();
    lists(api, list('10', [object('old', '1', 'web')]), list('20', [object('new', '15', 'web')]));
    const { clock, seen } = follow(api);
    await settle();
    api.lastWatch.fail(refusal(410));
    await clock.advance(5000);
    expect(seen.slice(3)).toEqual(['listing', 'apply new', 'delete old', 'synced']);
  });

  it('lists again when the server knows nothing of the resource version, as after a restored backup', async () => {
    const api = new FakeApi();
    lists(api, list('900', []), list('10', []));
    const { clock } = follow(api);
    await settle();
    api.lastWatch.fail(refusal(504, 'Too large resource version'));
    await clock.advance(5000);
    expect(api.lastWatch.request.query).toMatchObject({ resourceVersion: '10' });
  });

  it('waits as long as the server asks', async () => {
    const api = new FakeApi();
    lists(api, refusal(429, 'slow down', 20), list('10', []));
    const { clock, seen } = follow(api);
    await clock.advance(19_000);
    expect(seen).toEqual(['listing']);
    await clock.advance(2000);
    expect(seen).toEqual(['listing', 'listing', 'synced']);
  });

  it('does not spin when each watch ends at once', async () => {
    const api = new FakeApi();
    lists(api, list('10', []));
    const accept = api.stream.bind(api);
    api.stream = async (request) => {
      const watch = await accept(request);
      api.lastWatch.end();
      return watch as never;
    };
    const { clock } = follow(api);
    await clock.advance(60_000);
    expect(api.watches.length).toBeLessThan(12);
  });

  it('takes shorter silence for death once bookmarks have come', async () => {
    const api = new FakeApi();
    lists(api, list('10', []));
    follow(api);
    await settle();
    const { request } = api.lastWatch;
    expect(request.silenceMs()).toBeGreaterThanOrEqual(330_000);
    expect(request.silenceMs()).toBeLessThan(630_000);
    expect(request.silenceMs()).toBe(Number(request.query?.['timeoutSeconds']) * 1000 + 30_000);
    api.lastWatch.send('BOOKMARK', bookmark('11'));
    await settle();
    expect(request.silenceMs()).toBe(150_000);
  });

  it('ends quietly on abort, wherever it is', async () => {
    const watching = new FakeApi();
    lists(watching, list('10', []));
    const one = follow(watching);
    await settle();
    stop.abort();
    await one.done;
    expect(watching.lastWatch.closed).toBe(true);

    const failing = new FakeApi();
    lists(failing, unavailable('no'));
    const two = follow(failing);
    await settle();
    stop.abort();
    await two.done;
    expect(two.log.at('error')).toEqual([]);
  });
});
