// A whole provider in one file: its backend is the log, where it greets each pod.
import { LatestQueue, rfc3339 } from 'anylet';
import type { PodEvent, PodProviderPlugin, PodReport } from 'anylet';
import { z } from 'zod';

const configSchema = z.strictObject({ greeting: z.string().default('hello') });

export const provider: PodProviderPlugin<z.output<typeof configSchema>> = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'PodProvider',
  configSchema,
  async create({ greeting }, { log, clock, nodeIPs }) {
    const pods = new Map<string, PodReport>();
    let events = new LatestQueue<string, PodEvent>();
    return {
      name: 'hello',
      runtimeVersion: 'hello://1.0.0',
      async *watch(signal) {
        events = new LatestQueue();
        for (const report of pods.values()) events.put(report.uid, { type: 'report', report });
        events.put('', { type: 'synced' });
        yield* events.read(signal);
      },
      async run({ metadata: { uid, name, namespace }, spec }, _resolver, lastStatus) {
        if (pods.has(uid)) return;
        log.info(greeting, { pod: `${namespace}/${name}` });
        const state = { running: { startedAt: lastStatus?.startTime ?? rfc3339(clock.now()) } };
        const containers = spec.containers.map(({ name: container }) => {
          const containerID = `hello://${uid}/${container}`;
          return { name: container, containerID, state, ready: true, started: true, restartCount: 0 };
        });
        const report = { uid, name, namespace, sandboxReady: true, podIPs: nodeIPs, containers };
        pods.set(uid, report);
        events.put(uid, { type: 'report', report });
      },
      async stop(uid) {
        const report = pods.get(uid);
        if (!pods.delete(uid) || report === undefined) return undefined;
        events.put(uid, { type: 'gone', uid });
        const state = { terminated: { exitCode: 0, reason: 'Completed', finishedAt: rfc3339(clock.now()) } };
        const containers = report.containers.map((container) => ({ ...container, state, ready: false }));
        return { ...report, sandboxReady: false, containers };
      },
      async health() {},
      async close() {},
    };
  },
};
