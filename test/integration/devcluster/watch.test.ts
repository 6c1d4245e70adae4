import { request as httpsRequest } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';

import { startDevCluster, type DevCluster } from '../../../src/devcluster/index.ts';
import { certificateClient, simplePod, type ApiClient } from '../../helpers/dev-cluster.ts';

interface Event {
  readonly type: string;
  readonly object: {
    readonly kind: string;
    readonly code?: number;
    readonly reason?: string;
    readonly metadata: {
      readonly name?: string;
      readonly resourceVersion: string;
      readonly annotations?: Record<string, string>;
    };
    readonly rows?: { cells: unknown[] }[];
  };
}

/** One open watch, read event by event. */
class Watch {
  readonly #response: IncomingMessage;
  readonly #lines: AsyncIterator<string>;

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.on('error', () => {});
    this.#lines = createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  }

  async next(): Promise<Event | 'end' | 'cut'> {
    try {
      const { value, done } = await this.#lines.next();
      return done === true ? 'end' : (JSON.parse(value) as Event);
    } catch {
      return 'cut';
    }
  }

  async names(count: number): Promise<string[]> {
    const seen: string[] = [];
    for (let i = 0; i < count; i++) {
      const event = await this.next();
      seen.push(typeof event === 'string' ? event : `${event.type} ${event.object.metadata.name ?? ''}`.trim());
    }
    return seen;
  }

  close(): void {
    this.#response.destroy();
  }
}

describe('a watch over HTTPS', () => {
  let cluster: DevCluster;
  let api: ApiClient;
  const open: Watch[] = [];

  beforeAll(async () => {
    cluster = await startDevCluster({ scheduler: false, historySize: 20 });
    api = await certificateClient(cluster);
  });
  afterAll(async () => {
    await api.close();
    await cluster.stop();
  });
  beforeEach(() => {
    for (const pod of cluster.objects.list('Pod'))
      cluster.objects.delete({ kind: 'Pod', name: pod.metadata.name }, { gracePeriodSeconds: 0 });
  });
  afterEach(() => {
    for (const watch of open.splice(0)) watch.close();
  });

  async function watch(query: string, accept = 'application/json'): Promise<Watch> {
    const { certPem, keyPem } = await cluster.clientCertificate('watcher', ['system:masters']);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const url = `${cluster.url}/api/v1/pods?watch=true&${query}`;
      httpsRequest(url, { ca: cluster.caPem, cert: certPem, key: keyPem, headers: { accept }, agent: false }, resolve)
        .once('error', reject)
        .end();
    });
    expect(response.statusCode).toBe(200);
    const opened = new Watch(response);
    open.push(opened);
    return opened;
  }

  it('shows what is there and then every change, when no version is named', async () => {
    cluster.objects.create(simplePod('a'));
    const events = await watch('');
    expect(await events.names(1)).toEqual(['ADDED a']);
    await api('POST', '/api/v1/namespaces/default/pods', simplePod('b'));
    cluster.objects.patch({ kind: 'Pod', name: 'a' }, { metadata: { labels: { x: 'y' } } });
    cluster.objects.delete({ kind: 'Pod', name: 'a' });
    // An unbound pod is marked and removed in one go.
    expect(await events.names(4)).toEqual(['ADDED b', 'MODIFIED a', 'MODIFIED a', 'DELETED a']);
  });

  it('shows only what came after the version it names', async () => {
    cluster.objects.create(simplePod('a'));
    const version = cluster.objects.version;
    cluster.objects.create(simplePod('b'));
    expect(await (await watch(`resourceVersion=${version}`)).names(1)).toEqual(['ADDED b']);
  });

  it('tells objects that enter and leave its selection', async () => {
    cluster.objects.create(simplePod('a'));
    const events = await watch(
      `resourceVersion=${cluster.objects.version}&fieldSelector=spec.nodeName%3Dn&labelSelector=app`,
    );
    await api('POST', '/api/v1/namespaces/default/pods/a/binding', {
      metadata: { name: 'a' },
      target: { kind: 'Node', name: 'n' },
    });
    cluster.objects.patch({ kind: 'Pod', name: 'a' }, { metadata: { labels: { app: 'x' } } });
    cluster.objects.patch({ kind: 'Pod', name: 'a' }, { metadata: { labels: { app: 'y' } } });
    cluster.objects.patch({ kind: 'Pod', name: 'a' }, { metadata: { labels: { app: null } } });
    expect(await events.names(3)).toEqual(['ADDED a', 'MODIFIED a', 'DELETED a']);
  });

  it('carries the version of the change in every event', async () => {
    const events = await watch(`resourceVersion=${cluster.objects.version}`);
    const created = cluster.objects.create<{ metadata: { resourceVersion: string } }>(simplePod('a'));
    const event = await events.next();
    expect(event).toMatchObject({ object: { metadata: { resourceVersion: created.metadata.resourceVersion } } });
  });

  it('gets bookmarks only when it allows them', async () => {
    const [with_, without] = [await watch('allowWatchBookmarks=true'), await watch('')];
    cluster.sendBookmarks();
    cluster.objects.create(simplePod('a'));
    expect(await with_.names(2)).toEqual(['BOOKMARK', 'ADDED a']);
    expect(await without.names(1)).toEqual(['ADDED a']);
  });

  it('marks the end of the initial events when asked to send them', async () => {
    cluster.objects.create(simplePod('a'));
    const events = await watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    expect(await events.names(1)).toEqual(['ADDED a']);
    expect(await events.next()).toMatchObject({
      type: 'BOOKMARK',
      object: { kind: 'Pod', metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
  });

  it('is told 410 Gone when its version is forgotten', async () => {
    const version = cluster.objects.version;
    cluster.objects.create(simplePod('a'));
    cluster.compact();
    const events = await watch(`resourceVersion=${version}`);
    expect(await events.next()).toMatchObject({
      type: 'ERROR',
      object: { kind: 'Status', code: 410, reason: 'Expired' },
    });
    expect(await events.next()).toBe('end');
  });

  it('is told 410 Gone when more has happened than the history holds', async () => {
    const version = cluster.objects.version;
    cluster.objects.create(simplePod('a'));
    for (let i = 0; i < 60; i++)
      cluster.objects.patch({ kind: 'Pod', name: 'a' }, { metadata: { labels: { i: String(i) } } });
    expect(await (await watch(`resourceVersion=${version}`)).next()).toMatchObject({
      type: 'ERROR',
      object: { code: 410 },
    });
  });

  it('can be expired, ended and cut while it is open', async () => {
    const expired = await watch('');
    cluster.expireWatches();
    expect(await expired.next()).toMatchObject({ type: 'ERROR', object: { code: 410 } });
    const ended = await watch('');
    cluster.endWatches();
    expect(await ended.next()).toBe('end');
    const cut = await watch('');
    cluster.dropWatches();
    expect(await cut.next()).toBe('cut');
    expect(cluster.openWatches).toBe(0);
  });

  it('ends after its timeoutSeconds', async () => {
    expect(await (await watch('timeoutSeconds=1')).next()).toBe('end');
  });

  it('sends a Table of one row for each event to a client that prints', async () => {
    cluster.objects.create(simplePod('a'));
    const event = await (await watch('', 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json')).next();
    expect(event).toMatchObject({
      type: 'ADDED',
      object: {
        kind: 'Table',
        rows: [{ cells: ['a', '0/1', 'Pending', '0', expect.any(String), '<none>', '<none>', '<none>', '<none>'] }],
      },
    });
  });
});
