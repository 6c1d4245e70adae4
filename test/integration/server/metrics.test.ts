import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';

import type { PodUsage } from '../../../src/providers/contract.ts';
import { apiPod } from './api-pod.ts';
import {
  createCredentials,
  KubeletUnderTest,
  machineUsage,
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
const ask = (method: string, path: string, headers: Record<string, string> = {}) => {
  return kubelet.ask(method, path, { ...kubelet.admin, headers });
};
const json = async (path: string) => JSON.parse((await ask('GET', path)).body) as Record<string, unknown>;

const used: readonly PodUsage[] = [
  {
    uid: 'uid-api',
    name: 'api',
    namespace: 'default',
    containers: [
      {
        name: 'c',
        containerID: 'fake://c',
        image: 'busybox',
        startedAt: 1_000_500,
        cpu: { at: 2_000_000, usageCoreNanoSeconds: 1_500_000_000 },
        memory: { at: 2_000_000, workingSetBytes: 4096 },
      },
    ],
  },
];
const telling = { name: 'fake', stats: () => Promise.resolve(used) };

describe('/stats/summary', () => {
  it('answers GET and POST, and nothing else', async () => {
    await start({ provider: telling });
    for (const method of ['GET', 'POST']) expect((await ask(method, '/stats/summary')).status).toBe(200);
    expect(await ask('PUT', '/stats/summary')).toMatchObject({ status: 405, headers: { allow: 'GET, POST' } });
    expect(await ask('GET', '/stats/')).toMatchObject({ status: 404, body: '404: Page Not Found' });
    expect(await ask('GET', '/stats/container')).toMatchObject({ status: 404 });
  });

  it('asks for little when told so exactly once', async () => {
    const scopes: string[] = [];
    await start({
      usage: (scope) => {
        scopes.push(scope);
        return Promise.resolve(machineUsage);
      },
    });
    for (const query of [
      '?only_cpu_and_memory=true',
      '?only_cpu_and_memory=1',
      '?only_cpu_and_memory=true&only_cpu_and_memory=true',
      '',
    ])
      await ask('GET', `/stats/summary${query}`);
    expect(scopes).toEqual(['cpuAndMemory', 'all', 'all', 'all']);
  });

  it('is about the node alone when the provider cannot tell', async () => {
    await start({ provider: { name: 'simulated' } });
    expect(await json('/stats/summary')).toMatchObject({ node: { nodeName: 'node-1' }, pods: [] });
  });

  it('that cannot be told is an error with its reason', async () => {
    await start({ provider: { name: 'fake', stats: () => Promise.reject(new Error('the runtime is away')) } });
    expect(await ask('GET', '/stats/summary')).toMatchObject({
      status: 500,
      body: 'Internal Error: the runtime is away',
    });
  });
});

describe('/metrics/resource', () => {
  it('tells of containers, pods and the node', async () => {
    await start({ provider: telling });
    const { body } = await ask('GET', '/metrics/resource');
    expect(body).toContain(
      '\ncontainer_cpu_usage_seconds_total{container="c",namespace="default",pod="api"} 1.5 2000000\n',
    );
    expect(body).toContain('\npod_memory_working_set_bytes{namespace="default",pod="api"} 4096 2000000\n');
    expect(body).toContain('\nnode_cpu_usage_seconds_total 60 ');
    expect(body).toContain('\nresource_scrape_error 0\n');
  });

  it('answers 200 and the error alone when nothing can be told', async () => {
    await start({ usage: () => Promise.reject(new Error('no /proc')) });
    const { status, body } = await ask('GET', '/metrics/resource');
    expect(status).toBe(200);
    expect(body.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
      'resource_scrape_error 1',
    ]);
  });
});

describe('/metrics', () => {
  it('counts requests by what they are, and not by what a client makes up', async () => {
    await start();
    await ask('GET', '/healthz');
    await ask('GET', '/made/up/by/a/client');
    await ask('BREW', '/pods').catch(() => undefined); // Not even HTTP to Node.js.
    await ask('PROPFIND', '/pods');
    const { body } = await ask('GET', '/metrics');
    const counted = body.split('\n').filter((line) => line.startsWith('kubelet_http_requests_total{'));
    expect(counted).toEqual([
      'kubelet_http_requests_total{long_running="false",method="GET",path="healthz",server_type="readwrite"} 1',
      'kubelet_http_requests_total{long_running="false",method="GET",path="metrics",server_type="readwrite"} 1',
      'kubelet_http_requests_total{long_running="false",method="GET",path="other",server_type="readwrite"} 1',
      'kubelet_http_requests_total{long_running="false",method="other",path="pods",server_type="readwrite"} 1',
    ]);
    expect(body).toContain(
      'kubelet_http_inflight_requests{long_running="false",method="GET",path="metrics",server_type="readwrite"} 1\n',
    );
    expect(body).toContain(
      'kubelet_http_requests_duration_seconds_count{long_running="false",method="GET",path="healthz",server_type="readwrite"} 1\n',
    );
    expect(body).toMatch(/^process_resident_memory_bytes \d/m);
  });

  it('counts an exec by WebSocket until it is over', async () => {
    await start({ provider: { name: 'fake' } });
    await ask('GET', '/exec/default/api/c?command=ls&output=1', {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    });
    const { body } = await ask('GET', '/metrics');
    expect(body).toContain('kubelet_websocket_streaming_requests_total{subresource="exec"} 1\n');
    expect(body).toContain(
      'kubelet_http_requests_total{long_running="true",method="GET",path="exec",server_type="readwrite"} 1\n',
    );
  });
});

describe('/metrics/slis', () => {
  it('tells how health checks came out, until it is reset', async () => {
    await start({
      healthChecks: [
        { name: 'ping', check: () => Promise.resolve() },
        { name: 'syncloop', check: () => Promise.reject(new Error('stuck')) },
      ],
    });
    await ask('GET', '/healthz');
    const { body } = await ask('GET', '/metrics/slis');
    expect(body).toContain('kubernetes_healthcheck{name="ping",type="healthz"} 1\n');
    expect(body).toContain('kubernetes_healthcheck{name="syncloop",type="healthz"} 0\n');
    expect(body).toContain('kubernetes_healthchecks_total{name="syncloop",status="error",type="healthz"} 1\n');
    expect(await ask('DELETE', '/metrics/slis')).toMatchObject({ status: 200, body: 'metrics reset\n' });
    expect((await ask('GET', '/metrics/slis')).body).not.toContain('kubernetes_healthcheck');
  });
});

describe('/metrics/cadvisor and /metrics/probes', () => {
  it('are there', async () => {
    await start({ provider: telling });
    const cadvisor = await ask('GET', '/metrics/cadvisor');
    expect(cadvisor).toMatchObject({
      status: 200,
      headers: { 'content-type': expect.stringMatching(/^text\/plain; version=0\.0\.4/) },
    });
    expect(cadvisor.body).toContain('machine_cpu_cores{boot_id="b",machine_id="m",system_uuid="s"} 2\n');
    expect((await ask('GET', '/metrics/probes')).body).toMatch(/^process_start_time_seconds \d/m);
  });
});

describe('/configz', () => {
  it('is the configuration under the name that the kubelet registers', async () => {
    await start({ configuration: { kind: 'KubeletConfiguration', maxPods: 7 } });
    expect(await json('/configz')).toEqual({ kubeletconfig: { kind: 'KubeletConfiguration', maxPods: 7 } });
  });
});

describe('/checkpoint', () => {
  it.each([
    ['POST', '/checkpoint/default/nope/c', 404, 'pod does not exist'],
    ['POST', '/checkpoint/default/api/nope', 404, 'container nope does not exist'],
    ['POST', '/checkpoint/default/api/c?timeout=soon', 404, 'cannot parse value of timeout parameter'],
    ['POST', '/checkpoint/default/api/c?timeout=x&timeout=5', 501, 'provider "fake" does not support checkpoint'],
    ['GET', '/checkpoint/default/api/c', 405, '405: Method Not Allowed'],
    ['POST', '/checkpoint/default/api', 404, '404: Page Not Found'],
  ])('%s %s is %d', async (method, path, status, body) => {
    await start();
    expect(await ask(method, path)).toMatchObject({ status, body });
  });
});

describe('what is switched off', () => {
  it.each([
    ['/logs/', 405, 'logs endpoint is disabled.\n'],
    ['/logs/../etc/passwd', 405, 'logs endpoint is disabled.\n'],
    ['/logs/%2e%2e/%2e%2e/etc/passwd', 405, 'logs endpoint is disabled.\n'],
    ['/debug/pprof/profile', 405, 'profiling endpoint is disabled.\n'],
    ['/debug/flags/v', 405, 'flags endpoint is disabled.\n'],
    ['/debug/flags', 404, '404 page not found\n'],
  ])('%s', async (path, status, body) => {
    await start();
    expect(await ask('GET', path)).toMatchObject({ status, body });
  });
});

describe('pages for people', () => {
  const accepting = (accept: string): Record<string, string> => ({ accept });

  it('are text without a word of what is wanted, and where text will do', async () => {
    await start({ flags: { 'node-name': 'node-1', 'log-level': 'info' } });
    for (const headers of [{}, accepting('*/*'), accepting('application/json, */*'), accepting('text/*')]) {
      const { headers: got, body } = await ask('GET', '/flagz', headers);
      expect(got['content-type']).toBe('text/plain; charset=utf-8');
      expect(body).toMatch(/^\nkubelet flagz\nWarning: [^\n]*\nlog-level=info\nnode-name=node-1\n$/);
    }
  });

  it('are an object for who names it and a version', async () => {
    await start({ flags: { a: '1' } });
    const answer = await ask('GET', '/flagz', accepting('application/json;v=v1beta1;g=config.k8s.io;as=Flagz'));
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.headers['warning']).toBeUndefined();
    expect(JSON.parse(answer.body)).toEqual({
      kind: 'Flagz',
      apiVersion: 'config.k8s.io/v1beta1',
      metadata: { name: 'kubelet' },
      flags: { a: '1' },
    });
  });

  it('warn who names an old version', async () => {
    await start();
    const answer = await ask('GET', '/statusz', accepting('application/json;v=v1alpha1;g=config.k8s.io;as=Statusz'));
    expect(answer.headers['warning']).toContain('deprecated');
    expect(JSON.parse(answer.body)).toMatchObject({
      kind: 'Statusz',
      binaryVersion: '1.36.3',
      emulationVersion: '1.36',
      paths: ['/configz', '/debug', '/flagz', '/healthz', '/logs', '/metrics'],
    });
  });

  it('can be YAML', async () => {
    await start({ flags: { a: '1' } });
    const answer = await ask('GET', '/flagz', accepting('application/yaml;v=v1beta1;g=config.k8s.io;as=Flagz'));
    expect(answer.body).toBe(
      'apiVersion: config.k8s.io/v1beta1\nflags:\n  a: "1"\nkind: Flagz\nmetadata:\n  name: kubelet\n',
    );
  });

  it.each([
    'application/json',
    'image/png',
    'application/json;v=v2;g=config.k8s.io;as=Statusz',
    'text/plain;as=Statusz',
  ])('are not there for %s', async (accept) => {
    await start();
    const answer = await ask('GET', '/statusz', accepting(accept));
    expect(answer.status).toBe(406);
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', reason: 'NotAcceptable', code: 406 });
  });

  it('tell when the process was started', async () => {
    await start();
    const { body } = await ask('GET', '/statusz');
    expect(body).toMatch(/^Started: {2}\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d UTC \d{4}$/m);
    expect(body).toMatch(/^Up: {2}\d+ hr \d\d min \d\d sec$/m);
    expect(body).toMatch(/^Paths: {2}\/configz \/debug \/flagz \/healthz \/logs \/metrics$/m);
  });
});
