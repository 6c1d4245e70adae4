import assert from 'node:assert/strict';

import type { Pod } from '../core/objects.ts';
import type { ContainerReport, PodEvent, PodProvider, PodReport } from '../providers/contract.ts';
import { CollectedEvents } from './collected-events.ts';
import { within } from './conformance-case.ts';
import type { ConformanceCase } from './conformance-case.ts';
import { literalResolver, testPod } from './pods.ts';

/** A provider to hold to the contract. */
export interface PodProviderSubject {
  /** A fresh provider that holds nothing. It is closed by the case that asked for it. */
  create(): Promise<PodProvider>;
  /** A pod that the provider can run and that runs until it is stopped; default: one container. */
  pod?(metadata?: Partial<Pod['metadata']>): Pod;
  /** How long the backend may take for a step; default 10 s. */
  readonly timeoutMs?: number;
}

/** What a case works with: a provider that is watched. */
interface Bench {
  readonly provider: PodProvider;
  readonly events: CollectedEvents<PodEvent>;
  readonly run: (pod: Pod) => Promise<void>;
  /** Resolves with the report that shows every container of the pod running. */
  readonly running: (pod: Pod) => Promise<PodReport>;
}

/** What `PodProvider` asks of every implementation. */
export function podProviderConformance(subject: PodProviderSubject): ConformanceCase[] {
  const { timeoutMs = 10_000 } = subject;
  const newPod = (metadata?: Partial<Pod['metadata']>) => subject.pod?.(metadata) ?? testPod({}, metadata);

  /** A case with a provider of its own, which is stopped, forgotten and closed at the end. */
  const checked = (name: string, check: (bench: Bench) => Promise<void>): ConformanceCase => ({
    name,
    run: async () => {
      const provider = await subject.create();
      const events = new CollectedEvents((signal) => provider.watch(signal));
      const uids = new Set<string>();
      const report = (uid: string, what: string, matches: (report: PodReport) => boolean) =>
        events.first(what, (event): event is ReportEvent => isReport(event, uid) && matches(event.report), timeoutMs);
      try {
        await check({
          provider,
          events,
          run: async (pod) => {
            uids.add(pod.metadata.uid);
            await within(provider.run(pod, literalResolver(pod), undefined), 'run()', timeoutMs);
          },
          running: async ({ metadata: { uid } }) => {
            const runs = (each: PodReport) => each.containers.length > 0 && each.containers.every(isRunning);
            return (await report(uid, 'that every container runs', runs)).report;
          },
        });
      } finally {
        for (const uid of uids) {
          await provider.stop(uid, { gracePeriodSeconds: 0, reason: 'deleted' });
          await provider.remove?.(uid);
        }
        await within(events.stop(), 'watch() ending after its signal aborted', timeoutMs);
        await provider.close();
      }
    },
  });

  return [
    checked('has a name and a runtime version that begins with a type', async ({ provider }) => {
      assert.notEqual(provider.name, '');
      assert.match(provider.runtimeVersion, /^[^:/]+:\/\/.+$/);
    }),

    checked('says that the listing is complete, though it is empty', async ({ events }) => {
      const first = await events.first('anything', () => true, timeoutMs);
      assert.deepEqual(first, { type: 'synced' });
    }),

    checked('is healthy', async ({ provider }) => {
      await within(provider.health(), 'health()', timeoutMs);
    }),

    checked('reports every container of a pod, running', async ({ run, running }) => {
      const pod = newPod();
      await run(pod);
      const { uid, name, namespace, sandboxReady, podIPs, containers } = await running(pod);
      assert.deepEqual({ uid, name, namespace, sandboxReady }, { ...refOf(pod), sandboxReady: true });
      assert.notEqual(podIPs.length, 0, 'a running pod has an address');
      assert.deepEqual(
        containers.map((each) => each.name),
        pod.spec.containers.map((each) => each.name),
      );
    }),

    checked('gives running containers an ID with a type, a start time and no restart', async ({ run, running }) => {
      const pod = newPod();
      await run(pod);
      for (const { containerID = '', state, started, restartCount } of (await running(pod)).containers) {
        assert.match(containerID, /^[a-z0-9+.-]+:\/\/.+$/);
        assert.ok('running' in state);
        assert.match(state.running.startedAt ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        assert.deepEqual({ started, restartCount }, { started: true, restartCount: 0 });
      }
    }),

    checked('runs a pod once, however often it is asked to', async ({ run, running, provider }) => {
      const pod = newPod();
      await run(pod);
      const before = await running(pod);
      await run(pod);
      assert.deepEqual(idsOf(await listed(provider, pod.metadata.uid, timeoutMs)), idsOf(before));
    }),

    checked('lists what it holds before synced, when it is watched anew', async ({ run, running, provider }) => {
      const pod = newPod();
      await run(pod);
      await running(pod);
      assert.equal((await listed(provider, pod.metadata.uid, timeoutMs))?.uid, pod.metadata.uid);
    }),

    checked('takes a new pod under an old name for another pod', async ({ run, running, provider }) => {
      const old = newPod({ name: 'same' });
      const fresh = newPod({ name: 'same' });
      await run(old);
      await running(old);
      await run(fresh);
      const before = await running(fresh);
      await provider.stop(old.metadata.uid, { gracePeriodSeconds: 0, reason: 'deleted' });
      assert.deepEqual(idsOf(await listed(provider, fresh.metadata.uid, timeoutMs)), idsOf(before));
    }),

    checked('stops a pod and says how its containers ended', async ({ run, running, provider }) => {
      const pod = newPod();
      await run(pod);
      const before = await running(pod);
      const stop = provider.stop(pod.metadata.uid, { gracePeriodSeconds: 1, reason: 'deleted' });
      const last = await within(stop, 'stop() with a grace period of 1 s', timeoutMs);
      assert.ok(last !== undefined, 'stop() of a pod that runs resolves with its last report');
      assert.deepEqual(idsOf(last), idsOf(before));
      for (const { name, state, ready } of last.containers) {
        assert.ok('terminated' in state, `container ${name} has ended`);
        assert.equal(typeof state.terminated.exitCode, 'number');
        assert.ok((state.terminated.finishedAt ?? '') >= (state.terminated.startedAt ?? ''));
        assert.equal(ready, false);
      }
    }),

    checked('stops a pod again, and one that it does not know', async ({ run, running, provider }) => {
      const pod = newPod();
      await run(pod);
      await running(pod);
      const options = { gracePeriodSeconds: 0, reason: 'deleted' };
      await Promise.all([provider.stop(pod.metadata.uid, options), provider.stop(pod.metadata.uid, options)]);
      await within(provider.stop(pod.metadata.uid, options), 'stop() of a stopped pod', timeoutMs);
      const unknown = await within(provider.stop('no-such-uid', options), 'stop() of an unknown pod', timeoutMs);
      assert.equal(unknown, undefined);
    }),

    checked('forgets a pod that was removed, or that was stopped when it has no remove()', async (bench) => {
      const { run, running, provider, events } = bench;
      const pod = newPod();
      await run(pod);
      await running(pod);
      await provider.stop(pod.metadata.uid, { gracePeriodSeconds: 0, reason: 'deleted' });
      await provider.remove?.(pod.metadata.uid);
      await events.first('gone', (event) => event.type === 'gone' && event.uid === pod.metadata.uid, timeoutMs);
      assert.equal(await listed(provider, pod.metadata.uid, timeoutMs), undefined);
      await provider.remove?.(pod.metadata.uid);
    }),

    checked('closes twice', async ({ provider }) => {
      await within(provider.close(), 'close()', timeoutMs);
      await within(provider.close(), 'the second close()', timeoutMs);
    }),
  ];
}

type ReportEvent = Extract<PodEvent, { type: 'report' }>;

function isReport(event: PodEvent, uid: string): event is ReportEvent {
  return event.type === 'report' && event.report.uid === uid;
}

function isRunning({ state }: ContainerReport): boolean {
  return 'running' in state;
}

function refOf({ metadata: { uid, name, namespace } }: Pod) {
  return { uid, name, namespace };
}

function idsOf(report: PodReport | undefined) {
  return report?.containers.map(({ name, containerID, restartCount }) => ({ name, containerID, restartCount }));
}

/** What a fresh watch lists of a pod before `synced`. */
async function listed(provider: PodProvider, uid: string, timeoutMs: number): Promise<PodReport | undefined> {
  const events = new CollectedEvents((signal) => provider.watch(signal));
  try {
    await events.first('synced', (event) => event.type === 'synced', timeoutMs);
    return events.all.find((event): event is ReportEvent => isReport(event, uid))?.report;
  } finally {
    await within(events.stop(), 'watch() ending after its signal aborted', timeoutMs);
  }
}
