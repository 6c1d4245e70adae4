import { randomUUID } from 'node:crypto';

import type { Pod, PodSpec } from '../core/objects.ts';
import type { PodResolver } from '../providers/contract.ts';

/** A pod as the API server would serve it, with a UID of its own. */
export function testPod(spec: Partial<PodSpec> = {}, metadata: Partial<Pod['metadata']> = {}): Pod {
  const uid = randomUUID();
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `pod-${uid.slice(0, 8)}`, namespace: 'default', uid, generation: 1, ...metadata },
    spec: {
      containers: [{ name: 'main', image: 'registry.example/app:1', command: ['sleep', '3600'] }],
      restartPolicy: 'Always',
      ...spec,
    },
  };
}

/** A resolver for pods whose specs refer to nothing: literals as they are written. */
export function literalResolver(pod: Pod): PodResolver {
  return {
    container: async (name) => {
      const { spec } = pod;
      const container = [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])].find(
        (each) => each.name === name,
      );
      return {
        env: Object.fromEntries((container?.env ?? []).map(({ name: key, value }) => [key, value ?? ''])),
        command: container?.command ?? [],
        args: container?.args ?? [],
        ...(container?.workingDir === undefined ? {} : { workingDir: container.workingDir }),
      };
    },
    volume: async () => ({ files: [] }),
  };
}
