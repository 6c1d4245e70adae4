import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { systemClock } from '../../../src/core/clock.ts';
import { NodeUsageReader } from '../../../src/host/node-usage.ts';
import type { ExecRequest, LogOptions, PodUsage } from '../../../src/providers/contract.ts';
import type { RunningPod } from '../../../src/server/index.ts';
import { apiPod } from './api-pod.ts';
import { createCredentials, KubeletUnderTest, type As } from './kubelet-under-test.ts';

interface Recorded {
  readonly method: string;
  readonly path: string;
  readonly as: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What kubelet v1.36.3 answered; see `test/golden`. */
const recorded = JSON.parse(
  readFileSync(new URL('../../golden/kubelet-api.json', import.meta.url), 'utf8'),
) as Recorded[];

const hostFiles = 'the files of the host are none of a virtual node, as a kubelet with enableSystemLogHandler: false';
const goRuntime = 'the Go runtime of the kubelet is not here, as a kubelet with enableProfilingHandler: false';

/** Where this node knowingly answers something else than the kubelet did: to whom it is served, and why. */
const deviations: Readonly<Record<string, { status: number; body: string; why: string }>> = {
  'GET /logs/': { status: 405, body: 'logs endpoint is disabled.\n', why: hostFiles },
  'GET /logs/nope': { status: 405, body: 'logs endpoint is disabled.\n', why: hostFiles },
  'GET /debug/pprof/': { status: 405, body: 'profiling endpoint is disabled.\n', why: goRuntime },
  'GET /debug/flags/v': {
    status: 405,
    body: 'flags endpoint is disabled.\n',
    why: 'the log level is not changed from outside',
  },
};

/** Answers to an administrator of which only status and headers are the same: what they tell is of that node. */
const figures = [
  'GET /metrics',
  'GET /metrics/resource',
  'GET /metrics/probes',
  'GET /configz',
  'GET /statusz',
  'GET /flagz',
];

/** Answers of the Summary API, whose keys are to be the same as far as they were recorded. */
const summaries = ['GET /stats/summary?only_cpu_and_memory=true', 'POST /stats/summary'];

/** Keys that a recorded summary has and ours has not: cgroups alone know them. */
const keysOfCgroups = ['node.systemContainers.cpu.psi', 'node.systemContainers.memory.psi', 'node.systemContainers.io'];

/** Answers to an administrator whose body is of that cluster at that moment: the beginning must be the same. */
const momentary: Readonly<Record<string, string>> = {
  'GET /pods': '{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"',
  'GET /pods/': '{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"',
};

/** Headers that say something; the others are how a length is told, or of the connection. */
const telling = ['content-type', 'x-content-type-options', 'allow', 'location'];

const credentialsOf: Readonly<Record<string, As>> = {
  nobody: {},
  'bad token': { token: 'bad' },
  'service account without rights': { token: 'weak' },
  'basic auth': { headers: { authorization: 'Basic YWRtaW46YWRtaW4=' } },
};

const machine = new NodeUsageReader(systemClock, tmpdir());

describe('answers of a real kubelet', () => {
  let kubelet: KubeletUnderTest;
  beforeAll(async () => {
    kubelet = await KubeletUnderTest.start(await createCredentials(), {
      pods: [apiPod()],
      running: runningThen(),
      provider: {
        name: 'fake',
        logs: (target, options) => Promise.resolve(logThen(target.container, options)),
        exec: execThen,
        attach: () => Promise.reject(new Error('nobody attached')),
        portForward: () => Promise.reject(new Error('nobody forwarded')),
        stats: () => Promise.resolve(usageThen),
      },
      usage: (scope) => machine.read(scope),
      // The moment of the recording.
      clock: { ...systemClock, now: () => Date.parse('2026-11-21T09:09:00Z') },
    });
  });
  afterAll(() => kubelet.close());

  it.each(recorded.map((answer) => [`${answer.method} ${answer.path}`, answer.as, answer] as const))(
    '%s as %s',
    async (name, who, answer) => {
      const actual = await kubelet.ask(
        answer.method,
        answer.path,
        who === 'admin' ? kubelet.admin : (credentialsOf[who] ?? {}),
      );
      const deviation = who === 'admin' ? deviations[name] : undefined;
      if (deviation !== undefined) {
        expect(actual).toMatchObject({ status: deviation.status, body: deviation.body });
        expect(actual.headers['content-type']).toBe('text/plain; charset=utf-8');
        return;
      }
      expect(actual.status).toBe(answer.status);
      expect(pick(actual.headers)).toEqual(pick(answer.headers));
      if (who === 'admin' && figures.includes(name)) return expect(actual.body).not.toBe('');
      if (who === 'admin' && summaries.includes(name)) {
        const own = keysIn(actual.body);
        return expect(keysIn(answer.body).filter((key) => !own.includes(key) && !isOfCgroups(key))).toEqual([]);
      }
      const beginning = who === 'admin' ? momentary[name] : undefined;
      if (beginning === undefined) expect(actual.body).toBe(answer.body);
      else
        expect([actual.body.slice(0, beginning.length), answer.body.slice(0, beginning.length)]).toEqual([
          beginning,
          beginning,
        ]);
    },
  );

  it('every deviation is about a recorded answer that is another', () => {
    for (const [name, { status }] of Object.entries(deviations)) {
      const answer = recorded.find(({ method, path, as }) => as === 'admin' && `${method} ${path}` === name);
      expect(answer?.status).toEqual(expect.any(Number));
      expect(answer?.status).not.toBe(status);
    }
  });
});

/** Paths of keys in indented JSON, which may be cut off; items of lists are not told apart. */
function keysIn(json: string): string[] {
  const open: string[] = [];
  const found = new Set<string>();
  for (const line of json.split('\n')) {
    const [, indent = '', key, value = ''] = /^( *)"([^"]+)": ?(.*)$/.exec(line) ?? [];
    if (key === undefined) continue;
    open.length = indent.length;
    open[indent.length] = key;
    found.add(open.filter((part) => part !== undefined).join('.'));
    if (value !== '{' && value !== '[') open.length = indent.length;
  }
  return [...found];
}

function isOfCgroups(key: string): boolean {
  return keysOfCgroups.some((prefix) => key === prefix || key.startsWith(`${prefix}.`));
}

function pick(headers: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(telling.map((name) => [name, headers[name]]));
}

/** What the recorded pod used. */
const usageThen: readonly PodUsage[] = [
  {
    uid: 'uid-api',
    name: 'api',
    namespace: 'default',
    containers: [
      {
        name: 'c',
        containerID: 'fake://c',
        image: 'busybox',
        startedAt: Date.parse('2026-11-21T09:08:32Z'),
        cpu: { at: Date.parse('2026-11-21T09:08:54Z'), usageCoreNanoSeconds: 30_048_798, usageNanoCores: 1_000 },
        memory: {
          at: Date.parse('2026-11-21T09:08:54Z'),
          availableBytes: 1,
          usageBytes: 3,
          workingSetBytes: 2,
          rssBytes: 1,
          pageFaults: 0,
          majorPageFaults: 0,
        },
        swap: { at: Date.parse('2026-11-21T09:08:54Z'), usageBytes: 0 },
      },
    ],
  },
];

/** What ran when `/runningpods/` was recorded. */
function runningThen(): RunningPod[] {
  const list = JSON.parse(recorded.find(({ path }) => path === '/runningpods/')?.body ?? '') as {
    items: {
      metadata: { name: string; namespace: string; uid: string };
      spec: { containers: RunningPod['containers'] | null };
    }[];
  };
  return list.items.map(({ metadata, spec }) => ({ ...metadata, containers: spec.containers ?? [] }));
}

/** The recorded pod's logs, read as a runtime reads them. */
async function* logThen(container: string, options: LogOptions): AsyncGenerator<Uint8Array> {
  const numbers = [1, 2, 3, 4, 5];
  const lines =
    container === 'i' ? ['init line'] : [...numbers.map((n) => `line ${n}`), ...numbers.map((n) => `err ${n}`)];
  const writtenAt = Date.parse('2026-11-21T09:08:32Z');
  const asked = options.tailLines === undefined ? lines : lines.slice(lines.length - options.tailLines);
  if ((options.sinceMs ?? 0) > writtenAt) return;
  for (const line of asked)
    yield Buffer.from(`${options.timestamps ? '2026-11-21T09:08:32.146445010Z ' : ''}${line}\n`);
}

/** What the recorded container answered to commands; the texts of failures are its runtime's own. */
function execThen(_target: unknown, { command, stdout, stderr }: ExecRequest): Promise<{ exitCode: number }> {
  if (command[0] === '' || command[0] === '/no/such') {
    const path = command[0] === '' ? '/run/default/api/c' : '/run/default/api/c?cmd=/no/such';
    return Promise.reject(new Error(recorded.find((answer) => answer.path === path)?.body));
  }
  // Only the first `cmd` counts: `echo` alone says an empty line, `sh` alone reads no input.
  stdout?.end(command[0] === 'echo' ? '\n' : '');
  stderr?.end();
  return Promise.resolve({ exitCode: 0 });
}
