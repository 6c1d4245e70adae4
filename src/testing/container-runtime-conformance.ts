import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';

import type {
  ContainerConfig,
  ContainerRecord,
  ContainerRuntime,
  ContainerWaiting,
  RuntimeEvent,
  SandboxRecord,
} from '../providers/contract.ts';
import { CollectedEvents } from './collected-events.ts';
import { within } from './conformance-case.ts';
import type { ConformanceCase } from './conformance-case.ts';

/** A runtime to hold to the contract. Its containers need a POSIX shell. */
export interface ContainerRuntimeSubject {
  /** A fresh runtime that holds nothing. It is closed by the case that asked for it. */
  create(): Promise<ContainerRuntime>;
  /** A folder that the runtime can write logs to; emptied by the caller at the end. */
  readonly logDirectory: string;
  /** An image with `sh`, `sleep` and `cat`; default: a name that means nothing. */
  readonly image?: string;
  readonly timeoutMs?: number;
}

interface Bench {
  readonly runtime: ContainerRuntime;
  readonly events: CollectedEvents<RuntimeEvent>;
  readonly sandbox: () => Promise<SandboxRecord>;
  /** Creates a container that runs `sh -c script`. */
  readonly created: (
    sandbox: SandboxRecord,
    script: string,
    given?: Partial<ContainerConfig>,
  ) => Promise<ContainerRecord>;
  /** Creates and starts one; resolves when it is said to run or to have ended. */
  readonly started: (
    sandbox: SandboxRecord,
    script: string,
    given?: Partial<ContainerConfig>,
  ) => Promise<ContainerRecord>;
  readonly running: (id: string) => Promise<ContainerRecord>;
  readonly exited: (id: string) => Promise<ContainerRecord & { status: Exited }>;
}

type Exited = Extract<ContainerRecord['status'], { state: 'exited' }>;

/** Runs until it is told to stop, and then ends at once with 0. */
const untilStopped = `trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done`;
/** Only SIGKILL ends it. */
const stubborn = `trap '' TERM; while :; do sleep 1; done`;

/** What `ContainerRuntime` asks of every implementation. */
export function containerRuntimeConformance(subject: ContainerRuntimeSubject): ConformanceCase[] {
  const { timeoutMs = 10_000, image = 'registry.example/shell:1', logDirectory } = subject;

  const checked = (name: string, check: (bench: Bench) => Promise<void>): ConformanceCase => ({
    name,
    run: async () => {
      const runtime = await subject.create();
      const events = new CollectedEvents((signal) => runtime.watch(signal));
      const sandboxes: SandboxRecord[] = [];
      const containers: string[] = [];
      const record = async (id: string, state: string) => {
        const isIt = (event: RuntimeEvent): event is ContainerEvent =>
          event.type === 'container' && event.container.id === id && event.container.status.state === state;
        return (await events.first(`that container ${id} is ${state}`, isIt, timeoutMs)).container;
      };
      const bench: Bench = {
        runtime,
        events,
        sandbox: async () => {
          const pod = { uid: randomUUID(), name: 'pod', namespace: 'default' };
          const folder = join(logDirectory, `${pod.namespace}_${pod.name}_${pod.uid}`);
          const config = { pod, attempt: 0, hostname: 'pod', hostNetwork: false, logDirectory: folder };
          const sandbox = await within(runtime.runSandbox(config), 'runSandbox()', timeoutMs);
          sandboxes.push(sandbox);
          return sandbox;
        },
        created: async (sandbox, script, given = {}) => {
          const containerName = given.name ?? 'main';
          const { uid, name: podName, namespace } = sandbox.pod;
          const logPath = join(
            logDirectory,
            `${namespace}_${podName}_${uid}`,
            containerName,
            `${given.attempt ?? 0}.log`,
          );
          await mkdir(dirname(logPath), { recursive: true });
          const container = await runtime.createContainer(sandbox, {
            name: containerName,
            attempt: 0,
            image,
            command: ['sh', '-c', script],
            args: [],
            env: {},
            tty: false,
            stdin: false,
            stdinOnce: false,
            logPath,
            mounts: [],
            user: {},
            annotations: {},
            ...given,
          });
          containers.push(container.id);
          return container;
        },
        started: async (sandbox, script, given) => {
          const container = await bench.created(sandbox, script, given);
          await within(runtime.startContainer(container.id), 'startContainer()', timeoutMs);
          return container;
        },
        running: (id) => record(id, 'running'),
        exited: async (id) => (await record(id, 'exited')) as ContainerRecord & { status: Exited },
      };
      try {
        await check(bench);
      } finally {
        for (const id of containers) {
          await runtime.stopContainer(id, 0);
          await runtime.removeContainer(id);
        }
        for (const { id } of sandboxes) {
          await runtime.stopSandbox(id);
          await runtime.removeSandbox(id);
        }
        await within(events.stop(), 'watch() ending after its signal aborted', timeoutMs);
        await runtime.close();
      }
    },
  });

  return [
    checked('says that the listing is complete, though it is empty', async ({ events }) => {
      assert.deepEqual(await events.first('anything', () => true, timeoutMs), { type: 'synced' });
    }),

    checked('is healthy', async ({ runtime }) => {
      await within(runtime.health(), 'health()', timeoutMs);
    }),

    checked('makes a sandbox that is ready and has an address', async ({ sandbox, events }) => {
      const made = await sandbox();
      assert.equal(made.state, 'ready');
      assert.notEqual(made.podIPs.length, 0);
      await events.first('the sandbox', (event) => event.type === 'sandbox' && event.sandbox.id === made.id, timeoutMs);
    }),

    checked('creates a container without starting it, and gives back what was asked for', async (bench) => {
      const sandbox = await bench.sandbox();
      const annotations = { 'example.com/memory': 'of the engine' };
      const container = await bench.created(sandbox, untilStopped, { attempt: 3, annotations });
      assert.equal(container.status.state, 'created');
      const { sandboxID, pod, name, attempt } = container;
      assert.deepEqual(
        { sandboxID, pod, name, attempt },
        { sandboxID: sandbox.id, pod: sandbox.pod, name: 'main', attempt: 3 },
      );
      assert.deepEqual(container.annotations, annotations);
    }),

    checked('starts a container and says when', async ({ sandbox, started, running }) => {
      const { id, createdAt } = await started(await sandbox(), untilStopped);
      const { status } = await running(id);
      assert.ok(status.state === 'running' && status.startedAt >= createdAt);
    }),

    checked('says how a container ended', async ({ sandbox, started, exited }) => {
      const { status: good } = await exited((await started(await sandbox(), 'exit 0')).id);
      assert.deepEqual([good.exitCode, good.reason], [0, 'Completed']);
      const { status: bad } = await exited((await started(await sandbox(), 'exit 7')).id);
      assert.deepEqual([bad.exitCode, bad.reason], [7, 'Error']);
      assert.ok(bad.finishedAt >= bad.startedAt && bad.startedAt > 0);
    }),

    checked('refuses to start a program that is not there, and says so in the record', async (bench) => {
      const { runtime, exited } = bench;
      const sandbox = await bench.sandbox();
      const failure = await bench
        .created(sandbox, '', { command: ['/no/such/program'] })
        .then(async ({ id }) => {
          const error = await runtime.startContainer(id).then(
            () => undefined,
            (err: unknown) => err as ContainerWaiting,
          );
          const { status } = await exited(id);
          assert.deepEqual([status.exitCode, status.reason], [128, 'StartError']);
          return error;
        })
        // A runtime may know it as early as this.
        .catch((err: unknown) => err as ContainerWaiting);
      assert.match(failure?.waitingReason ?? 'it started', /^(RunContainerError|CreateContainerError)$/);
    }),

    checked('gives a container its environment and writes its output as CRI log lines', async (bench) => {
      const { id, logPath } = await bench.started(await bench.sandbox(), 'echo "$GREETING"; echo oops >&2', {
        env: { GREETING: 'hello world' },
      });
      await bench.exited(id);
      const lines = (await readFile(logPath, 'utf8')).trimEnd().split('\n');
      const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)`;
      assert.ok(
        lines.some((line) => new RegExp(`^${time} stdout F hello world$`).test(line)),
        lines.join('\n'),
      );
      assert.ok(
        lines.some((line) => new RegExp(`^${time} stderr F oops$`).test(line)),
        lines.join('\n'),
      );
    }),

    checked('stops a container by its signal within the grace period', async (bench) => {
      const { id } = await bench.started(await bench.sandbox(), `echo up; ${untilStopped}`);
      await bench.running(id);
      await within(bench.runtime.stopContainer(id, 30), 'stopContainer() of a process that obeys', timeoutMs);
      const { status } = await bench.exited(id);
      assert.ok(status.exitCode === 0 || status.exitCode === 143, `exit code ${status.exitCode}`);
    }),

    checked('kills what outlives its grace period', async (bench) => {
      const { id } = await bench.started(await bench.sandbox(), stubborn);
      await bench.running(id);
      await within(bench.runtime.stopContainer(id, 1), 'stopContainer() with a grace period of 1 s', timeoutMs);
      assert.equal((await bench.exited(id)).status.exitCode, 137);
    }),

    checked('lets a shorter grace period shorten a stop', async (bench) => {
      const { id } = await bench.started(await bench.sandbox(), stubborn);
      await bench.running(id);
      const first = bench.runtime.stopContainer(id, 600);
      await within(bench.runtime.stopContainer(id, 0), 'stopContainer() with no grace', timeoutMs);
      await within(first, 'the stop that it shortened', timeoutMs);
    }),

    checked('takes what it does not know for stopped and removed', async ({ runtime }) => {
      await within(runtime.stopContainer('no-such-id', 0), 'stopContainer()', timeoutMs);
      await within(runtime.removeContainer('no-such-id'), 'removeContainer()', timeoutMs);
      await within(runtime.stopSandbox('no-such-id'), 'stopSandbox()', timeoutMs);
      await within(runtime.removeSandbox('no-such-id'), 'removeSandbox()', timeoutMs);
    }),

    checked('kills what runs in a sandbox that is stopped', async (bench) => {
      const sandbox = await bench.sandbox();
      const { id } = await bench.started(sandbox, stubborn);
      await bench.running(id);
      await within(bench.runtime.stopSandbox(sandbox.id), 'stopSandbox()', timeoutMs);
      await bench.exited(id);
    }),

    checked('says what was removed, and lists it no more', async (bench) => {
      const { runtime, events } = bench;
      const sandbox = await bench.sandbox();
      const { id } = await bench.started(sandbox, 'exit 0');
      await bench.exited(id);
      await runtime.removeContainer(id);
      await events.first(
        'containerRemoved',
        (event) => event.type === 'containerRemoved' && event.id === id,
        timeoutMs,
      );
      await runtime.stopSandbox(sandbox.id);
      await runtime.removeSandbox(sandbox.id);
      const gone = (event: RuntimeEvent) => event.type === 'sandboxRemoved' && event.id === sandbox.id;
      await events.first('sandboxRemoved', gone, timeoutMs);
      assert.deepEqual(await listing(runtime, timeoutMs), []);
    }),

    checked('lists what it holds before synced, when it is watched anew', async (bench) => {
      const sandbox = await bench.sandbox();
      const { id } = await bench.started(sandbox, untilStopped);
      await bench.running(id);
      const held = await listing(bench.runtime, timeoutMs);
      assert.ok(held.some((event) => event.type === 'sandbox' && event.sandbox.id === sandbox.id));
      const isIt = (event: RuntimeEvent): event is ContainerEvent =>
        event.type === 'container' && event.container.id === id;
      assert.equal(held.findLast(isIt)?.container.status.state, 'running');
    }),

    checked('runs a command beside a container, if it can', async (bench) => {
      const { runtime } = bench;
      if (runtime.exec === undefined) return;
      const { id } = await bench.started(await bench.sandbox(), untilStopped, { env: { SHARED: 'yes' } });
      await bench.running(id);
      const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
      const printed = Promise.all([text(stdout), text(stderr)]);
      stdin.end('typed\n');
      const { signal } = new AbortController();
      const command = ['sh', '-c', 'cat; echo "$SHARED"; echo bad >&2; exit 5'];
      const exec = runtime.exec(id, { command, stdin, stdout, stderr, tty: false, signal });
      assert.deepEqual(await within(exec, 'exec()', timeoutMs), { exitCode: 5 });
      assert.deepEqual(await within(printed, 'the end of its output', timeoutMs), ['typed\nyes\n', 'bad\n']);
    }),

    checked('closes twice', async ({ runtime }) => {
      await within(runtime.close(), 'close()', timeoutMs);
      await within(runtime.close(), 'the second close()', timeoutMs);
    }),
  ];
}

type ContainerEvent = Extract<RuntimeEvent, { type: 'container' }>;

/** What a fresh watch says before `synced`. */
async function listing(runtime: ContainerRuntime, timeoutMs: number): Promise<RuntimeEvent[]> {
  const events = new CollectedEvents((signal) => runtime.watch(signal));
  try {
    await events.first('synced', (event) => event.type === 'synced', timeoutMs);
    return events.all.slice(
      0,
      events.all.findIndex((event) => event.type === 'synced'),
    );
  } finally {
    await within(events.stop(), 'watch() ending after its signal aborted', timeoutMs);
  }
}
