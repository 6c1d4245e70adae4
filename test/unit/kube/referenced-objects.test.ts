import { describe, expect, it } from '@jest/globals';

import { unavailable } from '../../../src/core/errors.ts';
import { ReferencedObjects } from '../../../src/kube/referenced-objects.ts';
import { FakeApi, refusal } from './fake-api.ts';
import { ManualClock, settle } from './manual-clock.ts';

function setUp() {
  const api = new FakeApi();
  let version = 0;
  api.answer = () => ({ data: { version: String(++version) } });
  const clock = new ManualClock();
  return { api, clock, objects: new ReferencedObjects(api, clock) };
}

const pod = { podUid: 'u1' };

describe('referenced objects', () => {
  it('are read by name and kept for about half a minute', async () => {
    const { api, clock, objects } = setUp();
    await objects.get('ConfigMap', 'ns', 'a', pod);
    await clock.advance(26_000);
    await expect(objects.get('ConfigMap', 'ns', 'a', pod)).resolves.toEqual({ data: { version: '1' } });
    await clock.advance(8000);
    await expect(objects.get('ConfigMap', 'ns', 'a', pod)).resolves.toEqual({ data: { version: '2' } });
    await objects.get('Secret', 'ns', 'a', pod);
    expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /api/v1/namespaces/ns/configmaps/a',
      'GET /api/v1/namespaces/ns/configmaps/a',
      'GET /api/v1/namespaces/ns/secrets/a',
    ]);
  });

  it('are read at once for a pod that starts', async () => {
    const { objects } = setUp();
    await objects.get('ConfigMap', 'ns', 'a', pod);
    await expect(objects.get('ConfigMap', 'ns', 'a', { ...pod, fresh: true })).resolves.toEqual({
      data: { version: '2' },
    });
  });

  it('are read once for many who ask at the same time, but not from before they asked', async () => {
    const { api, objects } = setUp();
    const gates: PromiseWithResolvers<unknown>[] = [];
    api.answer = () => {
      const gate = Promise.withResolvers<unknown>();
      gates.push(gate);
      return gate.promise;
    };
    const early = objects.get('ConfigMap', 'ns', 'a', { ...pod, fresh: true });
    const late = [1, 2, 3].map((i) => objects.get('ConfigMap', 'ns', 'a', { podUid: `u${i}`, fresh: true }));
    await settle();
    expect(api.requests).toHaveLength(1);
    gates[0]?.resolve({ data: { at: 'first' } });
    await expect(early).resolves.toEqual({ data: { at: 'first' } });
    await settle();
    expect(api.requests).toHaveLength(2);
    gates[1]?.resolve({ data: { at: 'second' } });
    await expect(Promise.all(late)).resolves.toEqual([1, 2, 3].map(() => ({ data: { at: 'second' } })));
  });

  it('remember that there is none, but not for a pod that starts', async () => {
    const { api, objects } = setUp();
    api.answer = () => {
      throw refusal(404);
    };
    await expect(objects.get('Secret', 'ns', 'a', pod)).rejects.toMatchObject({ code: 'NotFound' });
    await expect(objects.get('Secret', 'ns', 'a', pod)).rejects.toMatchObject({ code: 'NotFound' });
    expect(api.requests).toHaveLength(1);
    api.answer = () => ({ data: {} });
    await expect(objects.get('Secret', 'ns', 'a', { ...pod, fresh: true })).resolves.toEqual({ data: {} });
  });

  it('serve what is known while the API server is away, but not to a pod that starts', async () => {
    const { api, clock, objects } = setUp();
    await objects.get('Secret', 'ns', 'a', pod);
    await clock.advance(60_000);
    api.answer = () => {
      throw unavailable('away');
    };
    await expect(objects.get('Secret', 'ns', 'a', pod)).resolves.toEqual({ data: { version: '1' } });
    await expect(objects.get('Secret', 'ns', 'a', { ...pod, fresh: true })).rejects.toMatchObject({
      code: 'Unavailable',
    });
  });

  it('do not outlive their removal', async () => {
    const { api, clock, objects } = setUp();
    await objects.get('Secret', 'ns', 'a', pod);
    await clock.advance(60_000);
    api.answer = () => {
      throw refusal(404);
    };
    await expect(objects.get('Secret', 'ns', 'a', pod)).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('that are immutable are not read again', async () => {
    const { api, clock, objects } = setUp();
    api.answer = () => ({ immutable: true });
    await objects.get('ConfigMap', 'ns', 'a', pod);
    await clock.advance(3_600_000);
    await objects.get('ConfigMap', 'ns', 'a', pod);
    expect(api.requests).toHaveLength(1);
  });

  it('are kept while a pod refers to them, and no longer', async () => {
    const { objects } = setUp();
    await objects.get('ConfigMap', 'ns', 'a', { podUid: 'u1' });
    await objects.get('ConfigMap', 'ns', 'a', { podUid: 'u2' });
    await objects.get('ConfigMap', 'ns', 'b', { podUid: 'u2' });
    objects.forget('u2');
    expect(objects.size).toBe(1);
    objects.forget('u1');
    objects.forget('unknown');
    expect(objects.size).toBe(0);
  });

  it('let one stop waiting without disturbing the others', async () => {
    const { api, objects } = setUp();
    const gate = Promise.withResolvers<unknown>();
    api.answer = () => gate.promise;
    const stop = new AbortController();
    const one = objects.get('ConfigMap', 'ns', 'a', { ...pod, signal: stop.signal });
    const other = objects.get('ConfigMap', 'ns', 'a', pod);
    stop.abort(new Error('stopped'));
    await expect(one).rejects.toThrow('stopped');
    gate.resolve({ data: {} });
    await expect(other).resolves.toEqual({ data: {} });
  });
});
