import { once } from 'node:events';

import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import { unsupported } from '../../../src/core/errors.ts';
import type { ExecRequest } from '../../../src/providers/contract.ts';
import { apiPod } from './api-pod.ts';
import {
  createCredentials,
  KubeletUnderTest,
  type Credentials,
  type KubeletUnderTestOptions,
} from './kubelet-under-test.ts';

let credentials: Credentials;
let kubelet: KubeletUnderTest;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterEach(() => kubelet.close());

async function start(options: KubeletUnderTestOptions = {}): Promise<void> {
  kubelet = await KubeletUnderTest.start(credentials, { pods: [apiPod()], ...options });
}
const ask = (method: string, path: string, body?: string) => {
  return kubelet.ask(method, path, { ...kubelet.admin, ...(body === undefined ? {} : { body }) });
};

describe('/healthz', () => {
  const ok = (name: string) => ({ name, check: () => Promise.resolve() });
  const sick = { name: 'syncloop', check: () => Promise.reject(new Error('sync Loop took longer than expected')) };

  it('tells each check when asked to', async () => {
    await start({ healthChecks: [ok('ping'), ok('log')] });
    expect((await ask('GET', '/healthz?verbose')).body).toBe('[+]ping ok\n[+]log ok\nhealthz check passed\n');
  });

  it('names what fails, and the reason only at its own path', async () => {
    await start({ healthChecks: [ok('ping'), sick] });
    expect(await ask('GET', '/healthz')).toMatchObject({
      status: 500,
      body: '[+]ping ok\n[-]syncloop failed: reason withheld\nhealthz check failed\n',
    });
    expect(await ask('GET', '/healthz/syncloop')).toMatchObject({
      status: 500,
      body: 'internal server error: sync Loop took longer than expected\n',
    });
    expect(await ask('GET', '/healthz/ping')).toMatchObject({ status: 200, body: 'ok' });
  });

  it('leaves out what it is told to', async () => {
    await start({ healthChecks: [ok('ping'), sick] });
    expect((await ask('GET', '/healthz?exclude=syncloop')).status).toBe(200);
    expect((await ask('GET', '/healthz?verbose&exclude=syncloop&exclude=x')).body).toBe(
      '[+]ping ok\n[+]syncloop excluded: ok\nwarn: some health checks cannot be excluded: no matches for "x"\nhealthz check passed\n',
    );
  });
});

describe('pods', () => {
  it('are listed with their status and without naming their kind', async () => {
    await start();
    const { metadata, spec, status } = apiPod();
    expect(JSON.parse((await ask('GET', '/pods')).body)).toEqual({
      kind: 'PodList',
      apiVersion: 'v1',
      metadata: {},
      items: [{ metadata, spec, status }],
    });
  });
});

describe('a provider without the capability', () => {
  it.each([
    ['GET', '/containerLogs/default/api/c', 'logs'],
    ['POST', '/run/default/api/c?cmd=ls', 'exec'],
    ['POST', '/exec/default/api/c?command=ls&output=1', 'exec'],
    ['POST', '/attach/default/api/c?output=1', 'attach'],
    ['POST', '/portForward/default/api', 'portForward'],
  ])('%s %s is 501 and says so', async (method, path, capability) => {
    await start({ provider: { name: 'simulated' } });
    expect(await ask(method, path)).toMatchObject({
      status: 501,
      body: `provider "simulated" does not support ${capability}`,
    });
  });

  it('that finds out only when it is asked is 501 too', async () => {
    await start({ provider: { name: 'p', logs: () => Promise.reject(unsupported('no logs of this container')) } });
    expect(await ask('GET', '/containerLogs/default/api/c')).toMatchObject({
      status: 501,
      body: 'no logs of this container',
    });
  });
});

describe('what does not run cannot be entered', () => {
  it.each([
    ['/exec/default/api/w?command=ls&output=1', 500, 'container not found ("w")'],
    ['/exec/default/api/other-uid/c?command=ls&output=1', 500, 'container not found ("c")'],
    ['/run/default/api/i?cmd=ls', 500, 'container not found ("i")'],
    ['/attach/default/api/w?output=1', 500, 'container w not found in pod api_default'],
    ['/attach/default/nope/w?output=1', 404, 'pod does not exist'],
    ['/portForward/default/api/other-uid', 404, 'pod not found'],
    ['/portForward/default/ended', 500, 'pod not found ("ended_default")'],
    ['/attach/default/api/c?error=1&tty=1', 400, 'you must specify at least 1 of stdin, stdout, stderr'],
  ])('%s', async (path, status, body) => {
    const api = apiPod();
    const ended = {
      ...api,
      metadata: { ...api.metadata, name: 'ended', uid: 'uid-ended' },
      status: { ...api.status, phase: 'Succeeded' },
    };
    await start({ pods: [api, ended] });
    expect(await ask('POST', path)).toMatchObject({ status, body });
  });
});

describe('/run', () => {
  const provider = (act: (request: ExecRequest) => number | Promise<number>) => ({
    name: 'fake',
    exec: async (_target: unknown, request: ExecRequest) => ({ exitCode: await act(request) }),
  });
  const ending = (request: ExecRequest, stdout: string, stderr: string, exitCode: number) => {
    request.stdout?.end(stdout);
    request.stderr?.end(stderr);
    return exitCode;
  };

  it('splits the command at single spaces and answers stdout, then stderr', async () => {
    await start({ provider: provider((request) => ending(request, JSON.stringify(request.command), '!', 0)) });
    expect(await ask('POST', '/run/default/api/uid-api/c?cmd=echo%20a++b')).toMatchObject({
      status: 200,
      body: '["echo","a","","b"]!',
    });
  });

  it('a command that fails is 500 with its code and what it said', async () => {
    await start({ provider: provider((request) => ending(request, 'out', 'no such file', 2)) });
    expect(await ask('POST', '/run/default/api/c?cmd=ls%20/x')).toMatchObject({
      status: 500,
      body: "command 'ls /x' exited with 2: no such file",
    });
  });

  it('more output than it can answer ends the command', async () => {
    let ended: AbortSignal | undefined;
    await start({
      limits: { runOutputLimitBytes: 10 },
      provider: provider(async ({ stdout, signal }) => {
        ended = signal;
        stdout?.on('error', () => {});
        stdout?.write('twelve bytes');
        if (!signal.aborted) await once(signal, 'abort');
        return 137;
      }),
    });
    expect(await ask('POST', '/run/default/api/c?cmd=yes')).toMatchObject({
      status: 500,
      body: 'the command wrote more than 10 bytes',
    });
    expect(ended?.aborted).toBe(true);
  });

  it('a client that leaves ends the command', async () => {
    const started = Promise.withResolvers<AbortSignal>();
    await start({
      provider: provider(async ({ signal }) => {
        started.resolve(signal);
        await once(signal, 'abort');
        return 137;
      }),
    });
    const leaving = new AbortController();
    const answer = kubelet.open('POST', '/run/default/api/c?cmd=sleep', kubelet.admin, leaving.signal);
    const signal = await started.promise;
    const aborted = once(signal, 'abort');
    leaving.abort();
    await expect(answer).rejects.toThrow();
    await aborted;
  });
});

describe('what nobody should send', () => {
  it('a body is dropped, and one that is too large is refused', async () => {
    await start({ limits: { bodyLimitBytes: 1000 } });
    expect(await ask('POST', '/healthz', 'x'.repeat(1000))).toMatchObject({ status: 200 });
    expect(await ask('POST', '/healthz', 'x'.repeat(1001))).toMatchObject({
      status: 413,
      body: 'Request Entity Too Large',
    });
  });

  it('a malformed path parameter is 400, a very long query is read', async () => {
    await start({
      provider: {
        name: 'fake',
        exec: (_target, request) => Promise.reject(new Error(String(request.command[0]?.length))),
      },
    });
    expect(await ask('GET', '/containerLogs/default/%zz/c')).toMatchObject({ status: 400, body: 'Bad Request' });
    expect((await ask('POST', `/run/default/api/c?cmd=${'x'.repeat(500_000)}`)).body).toBe('500000');
    expect((await ask('POST', `/run/default/api/c?cmd=${'x'.repeat(1_100_000)}`)).status).toBe(431);
  });

  it('methods that are not served are 405 and name those that are', async () => {
    await start();
    for (const [method, path, allow] of [
      ['DELETE', '/pods', 'GET'],
      ['OPTIONS', '/pods', 'GET'],
      ['GET', '/run/default/api/c', 'POST'],
      ['HEAD', '/exec/default/api/c', 'GET, POST'],
    ] as const) {
      const answer = await ask(method, path);
      expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    }
  });
});
