import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from '@jest/globals';

import { notFound } from '../../../src/core/errors.ts';
import type { Pod } from '../../../src/core/objects.ts';
import { Engine } from '../../../src/engine/engine.ts';
import { PodWorkers } from '../../../src/pods/pod-workers.ts';
import { createPodResolver, type PodSources } from '../../../src/podspec/index.ts';
import { FakeClock, MemoryLogger, providerContext } from '../../../src/testing/index.ts';
import { MemoryApi } from '../../helpers/memory-api.ts';
import { pass, quiet } from '../../helpers/quiet.ts';
import { type Behaviour, ScriptedRuntime } from '../../helpers/scripted-runtime.ts';
import { comparable, eventTexts, outOfOrder, type PodEventRow, recording } from './golden-case.ts';

interface Case {
  /** What each container's program does. */
  readonly programs?: Readonly<Record<string, Behaviour>>;
  /** How long the pod is left alone before it is deleted. */
  readonly waitSeconds: number;
  readonly deleteGraceSeconds?: number;
  /** Another case whose pod is on the node first. */
  readonly after?: string;
  /** How long the runtime takes over each operation. */
  readonly operationMs?: number;
}

const ends = (exitCode: number, afterMs = 200): Behaviour => ({ ends: { afterMs, exitCode } });
const onStop = (exitCode: number, afterMs = 200): Behaviour => ({ onStop: { afterMs, exitCode } });
const notFoundError = Object.assign(
  new Error('failed to create containerd task: exec: "/no/such/program": not found'),
  {
    waitingReason: 'RunContainerError',
  },
);

const cases: Readonly<Record<string, Case>> = {
  'running-two-containers': { waitSeconds: 8 },
  'always-crashloop': { waitSeconds: 38, programs: { c: ends(1) } },
  'always-exits-zero': { waitSeconds: 17, programs: { c: ends(0) } },
  'never-success': { waitSeconds: 8, programs: { c: ends(0) } },
  'never-failure': { waitSeconds: 8, programs: { c: ends(3) } },
  'command-not-found': { waitSeconds: 10, programs: { c: { startError: notFoundError } } },
  'command-not-found-never': { waitSeconds: 6, programs: { c: { startError: notFoundError } } },
  'init-sequence': { waitSeconds: 12, programs: { i1: ends(0, 1_000), i2: ends(0, 1_000) } },
  'init-fails-never': { waitSeconds: 8, programs: { i1: ends(4) } },
  'missing-configmap-env': { waitSeconds: 8 },
  'missing-configmap-key': { waitSeconds: 8 },
  'missing-secret-envfrom': { waitSeconds: 8 },
  'missing-configmap-volume': { waitSeconds: 15 },
  'exit-by-term-default': { waitSeconds: 5, programs: { c: { onStop: 'ignored' } } },
  'ignores-term': { waitSeconds: 5, programs: { c: { onStop: 'ignored' } } },
  'grace-zero-delete': { waitSeconds: 5, deleteGraceSeconds: 0, programs: { c: { onStop: 'ignored' } } },
  'deadline-exceeded': { waitSeconds: 14 },
  'node-selector-mismatch': { waitSeconds: 6 },
  'too-much-cpu': { waitSeconds: 6 },
  'host-port-twice-first': { waitSeconds: 14 },
  'host-port-twice-second': { waitSeconds: 10, after: 'host-port-twice-first' },
  'multi-init-and-env': { waitSeconds: 6 },
  'sidecar-job': { waitSeconds: 14, programs: { c: ends(0, 3_000), i2: ends(0) } },
  'sidecar-order-of-termination': {
    waitSeconds: 6,
    programs: { main: onStop(0, 1_000), s1: onStop(5, 1_000), s2: onStop(6, 1_000) },
  },
  'readiness-gate': { waitSeconds: 8 },
};

/** The node that the pods of all cases are given to. */
class Node {
  readonly clock = new FakeClock();
  readonly log = new MemoryLogger();
  readonly api = new MemoryApi(this.clock);
  readonly runtime = new ScriptedRuntime(this.clock, { hostNetworkOnly: false });
  readonly events: (PodEventRow & { readonly uid: string })[] = [];
  readonly engine: Engine;
  readonly workers: PodWorkers;
  readonly #directory: string;
  readonly #stop = new AbortController();

  static async start(operationMs: number): Promise<Node> {
    const node = new Node(await mkdtemp(join(tmpdir(), 'golden-')));
    node.runtime.fault = () => (operationMs === 0 ? undefined : node.clock.sleep(operationMs));
    const started = node.workers.start(node.#stop.signal);
    await quiet();
    await started;
    return node;
  }

  private constructor(directory: string) {
    this.#directory = directory;
    const { clock, log, api } = this;
    const event = (pod: { uid: string }, type: string, reason: string, message: string) =>
      void this.events.push({ uid: pod.uid, type, reason, message });
    this.engine = new Engine(
      this.runtime,
      providerContext({
        clock,
        log,
        events: event,
        stateDir: directory,
        logs: { directory: join(directory, 'logs'), maxSizeBytes: 1_000_000, maxFiles: 2 },
      }),
    );
    this.workers = new PodWorkers({
      client: api,
      provider: this.engine,
      nodeName: 'real',
      nodeIPs: ['192.0.2.1'],
      clock,
      log,
      node: () => ({
        metadata: { name: 'real', labels: { 'kubernetes.io/os': 'linux' } },
        status: { allocatable: { cpu: '2', memory: '4Gi', pods: '110' } },
      }),
      resolver: (pod) => createPodResolver(pod, sources),
      event,
      forgotten: () => {},
    });
  }

  /** Plays one case to its end. */
  async play(name: string, { programs = {}, waitSeconds, deleteGraceSeconds }: Case): Promise<Pod> {
    const { pod, qosClass } = await recording(name);
    for (const [container, behaviour] of Object.entries(programs)) this.runtime.behaviours.set(container, behaviour);
    const created = this.api.createPod({ ...pod, spec: { ...pod.spec, nodeName: 'real' } }, qosClass);
    await pass(this.clock, waitSeconds * 1000);
    this.api.deletePod(name, deleteGraceSeconds);
    await pass(this.clock, 20_000);
    return created;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    const stopped = this.workers.stop(1_000);
    await pass(this.clock, 1_000);
    await stopped;
    await this.engine.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

const sources: PodSources = {
  configMap: async (_namespace, name) => {
    if (name === 'cm') return { metadata: { name }, data: { k: 'v' } };
    throw notFound(`configmaps "${name}" not found`);
  },
  secret: async (_namespace, name) => {
    throw notFound(`secrets "${name}" not found`);
  },
  services: () => [],
  serviceAccountToken: async () => 'token',
  node: { name: 'real', ips: ['192.0.2.1'], allocatable: {} },
};

describe('a pod of the recordings', () => {
  let node: Node;
  afterEach(() => node.stop());

  describe.each([0, 40])('on a runtime that takes %d ms over each operation', (operationMs) => {
    it.each(Object.entries(cases))('%s goes the way that a kubelet takes it', async (name, given) => {
      node = await Node.start(operationMs);
      const recorded = await recording(name);
      if (given.after !== undefined) {
        const first = (await recording(given.after)).pod;
        node.api.createPod({ ...first, spec: { ...first.spec, nodeName: 'real' } });
        await pass(node.clock, 1_000);
      }
      const { metadata } = await node.play(name, given);
      const seen = node.api.history
        .filter((c) => c.object.metadata.uid === metadata.uid)
        .map((c) => c.object as unknown as Pod & { status: object });
      const { rows, before } = comparable(seen);

      expect({ outOfOrder: outOfOrder(rows, recorded.rows) }).toEqual({ outOfOrder: undefined });
      // What takes no time cannot be seen.
      if (operationMs > 0) expect(recorded.stays.filter((row) => !rows.includes(row))).toEqual([]);
      expect(before).toBe(recorded.before);
      expect(rows.at(-1)).toBe(recorded.rows.at(-1));
      expect(eventTexts(node.events.filter((e) => e.uid === metadata.uid))).toEqual(recorded.events);
      expect(node.api.pod(name)).toBeUndefined();
      if (given.after === undefined) {
        expect(node.workers.sizes()).toEqual({ workers: 0, names: 0, reports: 0, orphans: 0, statuses: 0, usage: 0 });
        expect(node.engine.size).toBe(0);
      }
      expect(node.log.lines.filter((l) => l.level === 'error')).toEqual([]);
    });
  });
});
