import type { ServerResponse } from 'node:http';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';

import type { Clock } from '../../../src/core/clock.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { listWatch } from '../../../src/kube/list-watch.ts';
import type { WatchedObject } from '../../../src/kube/list-watch.ts';
import { answer, refuse, ScriptedServer, until } from './scripted-server.ts';

/** Back-off without the waiting: what is tested here are sockets, not seconds. */
const hastyClock: Clock = { ...systemClock, sleep: (_ms, signal) => systemClock.sleep(1, signal) };

/** A pod collection that can be listed, watched, cut and compacted. */
class PodCollection {
  readonly #pods = new Map<string, WatchedObject>();
  #version = 1;
  #oldest = 0;
  #history: { version: number; line: string }[] = [];
  readonly #watchers = new Set<ServerResponse>();
  lists = 0;
  watches = 0;

  handle(response: ServerResponse, url: URL): void {
    if (url.searchParams.get('watch') === null) {
      this.lists++;
      answer(response, 200, {
        kind: 'PodList',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(this.#version) },
        items: [...this.#pods.values()],
      });
      return;
    }
    this.watches++;
    const from = Number(url.searchParams.get('resourceVersion'));
    if (from < this.#oldest) return refuse(response, 410, `too old resource version: ${from} (${this.#oldest})`);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const { version, line } of this.#history) if (version > from) response.write(line);
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
  }

  set(uid: string): void {
    this.#emit(this.#pods.has(uid) ? 'MODIFIED' : 'ADDED', uid);
  }

  delete(uid: string): void {
    this.#emit('DELETED', uid);
    this.#pods.delete(uid);
  }

  cut(): void {
    for (const watcher of this.#watchers) watcher.socket?.destroy();
  }

  /** History is forgotten: whoever was away must list. */
  compact(): void {
    this.#history = [];
    this.#oldest = this.#version;
  }

  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  get uids(): string[] {
    return [...this.#pods.keys()].sort();
  }

  #emit(type: string, uid: string): void {
    const object = { metadata: { name: uid, namespace: 'n', uid, resourceVersion: String(++this.#version) } };
    this.#pods.set(uid, object);
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#history.push({ version: this.#version, line });
    for (const watcher of this.#watchers) watcher.write(line);
  }
}

let server: ScriptedServer;
let stop: AbortController;

beforeEach(async () => {
  server = await ScriptedServer.start();
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await server.close();
});

/** What a consumer that follows the rules believes to exist. */
function believe(collection: PodCollection) {
  server.handler = (_request, response, url) => collection.handle(response, url);
  const believed = new Set<string>();
  const counts = { deletes: 0, synced: 0 };
  const events = listWatch<WatchedObject>(
    server.client(),
    { path: '/api/v1/pods' },
    { clock: hastyClock, log: silentLogger, signal: stop.signal },
  );
  const done = (async () => {
    for await (const event of events) {
      if (event.type === 'apply') believed.add(event.object.metadata.uid);
      if (event.type === 'delete' && believed.delete(event.object.metadata.uid)) counts.deletes++;
      if (event.type === 'synced') counts.synced++;
    }
  })();
  const agrees = () => until(() => [...believed].sort().join() === collection.uids.join());
  return { counts, done, agrees };
}

describe('a list and watch over real sockets', () => {
  it('goes on without a list when its socket is dropped in the middle', async () => {
    const pods = new PodCollection();
    pods.set('a');
    const { agrees } = believe(pods);
    await until(() => pods.watched);
    pods.cut();
    pods.set('b');
    pods.delete('a');
    await agrees();
    expect(pods.lists).toBe(1);
    expect(pods.watches).toBeGreaterThan(1);
  });

  it('lists again when it was away for too long, and learns of what was deleted meanwhile', async () => {
    const pods = new PodCollection();
    for (const uid of ['a', 'b', 'c']) pods.set(uid);
    const { agrees, counts } = believe(pods);
    await until(() => pods.watched);
    pods.cut();
    pods.delete('b');
    pods.set('d');
    pods.compact();
    await agrees();
    expect(pods.lists).toBe(2);
    expect(counts).toEqual({ deletes: 1, synced: 2 });
  });

  it('believes what is true through many cuts', async () => {
    const pods = new PodCollection();
    const { agrees } = believe(pods);
    await until(() => pods.watched);
    for (let i = 0; i < 60; i++) {
      pods.set(`p${i % 7}`);
      if (i % 3 === 0) pods.delete(`p${(i + 2) % 7}`);
      if (i % 5 === 0) pods.cut();
      if (i % 20 === 19) pods.compact();
      await until(() => pods.watched);
    }
    await agrees();
  });

  it('waits for a server that refuses at first', async () => {
    const pods = new PodCollection();
    pods.set('a');
    const { agrees } = believe(pods);
    let refusals = 3;
    server.handler = (_request, response, url) => {
      if (refusals-- > 0) refuse(response, 503, 'apiserver is starting', { 'retry-after': '1' });
      else pods.handle(response, url);
    };
    await agrees();
  });

  it('leaves no socket behind when it ends', async () => {
    const pods = new PodCollection();
    const client = server.client();
    const { done } = believe(pods);
    await until(() => pods.watched);
    stop.abort();
    await done;
    await client.close();
    await until(() => !pods.watched);
  });
});
