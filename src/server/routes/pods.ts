import type { ServerResponse } from 'node:http';

import type { Endpoint } from '../endpoint.ts';
import type { PodSource, RunningPod } from '../pod-source.ts';

/** `/pods`: the pods of this node as it knows them, a v1 PodList whose items name no kind. */
export function podList(pods: PodSource): Endpoint {
  return {
    patterns: ['/pods', '/pods/'],
    paths: ['/pods'],
    methods: {
      GET: (_req, res) =>
        answerPods(
          res,
          pods.list().map(({ kind: _kind, apiVersion: _apiVersion, ...pod }) => pod),
        ),
    },
  };
}

/** `/runningpods/`: what the provider runs now, as pods with little more than names. */
export function runningPods(running: () => Promise<readonly RunningPod[]>): Endpoint {
  return {
    patterns: ['/runningpods/'],
    paths: ['/runningpods'],
    methods: {
      GET: async (_req, res) => answerPods(res, (await running()).map(minimalPod)),
    },
  };
}

function minimalPod({ name, namespace, uid, containers }: RunningPod): object {
  const shown = containers.map((container) => ({ name: container.name, image: container.image, resources: {} }));
  // A nil slice of Go is null on the wire, and that is what the kubelet has for a pod whose containers all rest.
  return { metadata: { name, namespace, uid }, spec: { containers: shown.length === 0 ? null : shown }, status: {} };
}

function answerPods(res: ServerResponse, items: readonly object[]): void {
  res.setHeader('Content-Type', 'application/json');
  res.end(`${JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items })}\n`);
}
