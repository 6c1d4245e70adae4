import { once } from 'node:events';

import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { notFound } from '../../../src/core/errors.ts';
import type { ContainerInstance, LogOptions, PodProvider } from '../../../src/providers/contract.ts';
import { apiPod } from './api-pod.ts';
import { createCredentials, KubeletUnderTest, type Credentials } from './kubelet-under-test.ts';

let credentials: Credentials;
let kubelet: KubeletUnderTest;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterEach(() => kubelet.close());

async function start(logs: NonNullable<PodProvider['logs']>): Promise<void> {
  kubelet = await KubeletUnderTest.start(credentials, { pods: [apiPod()], provider: { name: 'fake', logs } });
}

/** A log that says nothing until its reader leaves. */
async function* silence(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!signal.aborted) await once(signal, 'abort');
  yield Buffer.alloc(0);
}

describe('container logs', () => {
  it('the provider is asked for the very instance, with checked options', async () => {
    const asked: [ContainerInstance, LogOptions][] = [];
    await start((target, options) => {
      asked.push([target, options]);
      return Promise.resolve(silence(AbortSignal.abort()));
    });
    await kubelet.ask('GET', '/containerLogs/default/api/i?tailLines=3&timestamps=true', kubelet.admin);
    expect(asked).toEqual([
      [
        { uid: 'uid-api', container: 'i', containerID: 'fake://i' },
        { follow: false, timestamps: true, stream: 'All', tailLines: 3 },
      ],
    ]);
  });

  it('the head is there at once, and each line as it is written', async () => {
    const lines = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    await start(() =>
      Promise.resolve(
        (async function* () {
          for (const line of lines) yield Buffer.from(await line.promise);
        })(),
      ),
    );
    const response = await kubelet.open('GET', '/containerLogs/default/api/c?follow=true', kubelet.admin);
    expect(response.statusCode).toBe(200);
    response.setEncoding('utf8');
    const ended = once(response, 'end');
    lines[0]?.resolve('one\n');
    expect(await once(response, 'data')).toEqual(['one\n']);
    lines[1]?.resolve('two\n');
    expect(await once(response, 'data')).toEqual(['two\n']);
    await ended;
  });

  it("the producer's error is 400 in its own words", async () => {
    await start(() => Promise.reject(notFound('no such log file')));
    expect(await kubelet.ask('GET', '/containerLogs/default/api/c', kubelet.admin)).toMatchObject({
      status: 400,
      body: 'no such log file',
    });
  });

  it('a log that breaks off does not look complete', async () => {
    await start(() =>
      Promise.resolve(
        (async function* () {
          yield Buffer.from('one\n');
          await Promise.resolve();
          throw new Error('disk failed');
        })(),
      ),
    );
    await expect(kubelet.ask('GET', '/containerLogs/default/api/c', kubelet.admin)).rejects.toThrow('aborted');
    expect((await kubelet.ask('GET', '/healthz', kubelet.admin)).status).toBe(200);
  });

  it('a client that leaves ends its own log and no other', async () => {
    const signals: AbortSignal[] = [];
    await start((_target, _options, signal) => {
      signals.push(signal);
      return Promise.resolve(silence(signal));
    });
    const leaving = new AbortController();
    const one = await kubelet.open('GET', '/containerLogs/default/api/c?follow=true', kubelet.admin, leaving.signal);
    const two = await kubelet.open('GET', '/containerLogs/default/api/c?follow=true', kubelet.admin);
    one.on('error', () => {});
    const [first, second] = signals as [AbortSignal, AbortSignal];
    const aborted = once(first, 'abort');
    leaving.abort();
    await aborted;
    expect(second.aborted).toBe(false);
    two.on('error', () => {}).destroy();
    await once(second, 'abort');
  });

  it('a client that does not read stops the producer', async () => {
    let produced = 0;
    const leftAt = Promise.withResolvers<number>();
    await start((_target, _options, signal) => {
      signal.addEventListener('abort', () => leftAt.resolve(produced));
      return Promise.resolve(
        (async function* () {
          for (;;) {
            produced += 65_536;
            yield Buffer.alloc(65_536);
            // Otherwise this would not let anything else happen.
            await new Promise((resolve) => setImmediate(resolve));
          }
        })(),
      );
    });
    const response = await kubelet.open('GET', '/containerLogs/default/api/c?follow=true', kubelet.admin);
    response.on('error', () => {});
    let before = -1;
    while (produced !== before) {
      before = produced;
      await kubelet.ask('GET', '/healthz', kubelet.admin);
    }
    response.destroy();
    expect(await leftAt.promise).toBeLessThan(64 << 20);
  });

  it('a server that stops ends what is followed', async () => {
    await start((_target, _options, signal) => Promise.resolve(silence(signal)));
    const response = await kubelet.open('GET', '/containerLogs/default/api/c?follow=true', kubelet.admin);
    const ended = new Promise((resolve) => response.on('error', resolve).on('end', resolve).resume());
    await kubelet.server.close(60_000);
    await ended;
  });
});
