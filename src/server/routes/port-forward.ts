import type { Clock } from '../../core/clock.ts';
import type { Pod } from '../../core/objects.ts';
import { servePortForward } from '../../streaming/index.ts';
import { pathParameter, type Endpoint, type Handler } from '../endpoint.ts';
import { existingPod, hasSandbox, type PodSource } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';
import { takeOver } from '../upgrade.ts';
import type { StreamingRouteOptions } from './remote-command.ts';

/** How often a forwarding connection looks whether its pod is still there. */
const lookEveryMs = 1000;

/**
 * `/portForward/{namespace}/{pod}[/{uid}]`: TCP connections to ports inside the pod. The connection ends when the pod
 * does.
 */
export function portForward({ pods, provider, streaming }: StreamingRouteOptions): Endpoint {
  const handle: Handler = async (req, res) => {
    const namespace = pathParameter(req, 'namespace');
    const name = pathParameter(req, 'pod');
    const uid = pathParameter(req, 'uid');
    const pod = existingPod(pods, namespace, name);
    if (uid !== '' && uid !== pod.metadata.uid) throw new Refusal(404, 'pod not found');
    if (!hasSandbox(pod)) throw new Refusal(500, `pod not found (${JSON.stringify(`${name}_${namespace}`)})`);
    if (provider.portForward === undefined) throw lacking(provider.name, 'portForward');

    const dial = provider.portForward.bind(provider, pod.metadata.uid);
    await takeOver(req, res, async (upgrade) => {
      const forwarding = new AbortController();
      const over = podGone(pods, pod, streaming.clock, forwarding.signal);
      try {
        await servePortForward(upgrade, dial, {
          ...streaming,
          signal: AbortSignal.any([streaming.signal, over.signal]),
          pod: `${name}_${namespace}`,
        });
      } finally {
        forwarding.abort();
        await over.looking;
      }
    });
  };
  return {
    patterns: ['/portForward', '/portForward/'],
    paths: ['/portForward/:namespace/:pod', '/portForward/:namespace/:pod/:uid'],
    methods: { GET: handle, POST: handle },
  };
}

/** A signal that aborts when this very pod has no sandbox any more. Looks until `until` aborts. */
function podGone(
  pods: PodSource,
  pod: Pod,
  clock: Clock,
  until: AbortSignal,
): { signal: AbortSignal; looking: Promise<void> } {
  const { namespace, name, uid } = pod.metadata;
  const gone = new AbortController();
  const look = async () => {
    for (;;) {
      await clock.sleep(lookEveryMs, until);
      const now = pods.byName(namespace, name);
      if (now === undefined || now.metadata.uid !== uid || !hasSandbox(now)) {
        gone.abort(new Error(`pod ${name}_${namespace} is gone`));
        return;
      }
    }
  };
  // Looking ends by an abort, which is no error.
  return { signal: gone.signal, looking: look().catch(() => {}) };
}
