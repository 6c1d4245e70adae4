import { systemClock } from '../core/clock.ts';
import { codeOf, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Pod } from '../core/objects.ts';
import { Tasks } from '../core/tasks.ts';
import { KubeClient, listWatch, loadCredentials } from '../kube/index.ts';

/**
 * Stands in for a scheduler that is not there: binds every pod that waits for the default one to the only node. What
 * the node cannot take it refuses itself.
 */
export async function bindPods(kubeconfig: string, nodeName: string, log: Logger): Promise<{ stop(): Promise<void> }> {
  const clock = systemClock;
  const credentials = await loadCredentials({ kubeconfig, env: {}, clock });
  const client = new KubeClient({ credentials, clock });
  const ending = new AbortController();
  const { signal } = ending;
  const bind = async ({ metadata: { name, namespace, uid }, spec }: Pod) => {
    if (spec.schedulerName !== 'default-scheduler' || (spec.schedulingGates ?? []).length > 0) return;
    const body = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    };
    try {
      await client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${namespace}/pods/${name}/binding`,
        body,
        signal,
      });
    } catch (err) {
      const code = codeOf(err);
      if (!signal.aborted && code !== 'NotFound' && code !== 'Conflict')
        log.warn('pod not bound', { pod: `${namespace}/${name}`, err: messageOf(err) });
    }
  };
  const tasks = new Tasks(log);
  tasks.run('bind pods', async () => {
    const target = { path: '/api/v1/pods', fieldSelector: 'spec.nodeName=' };
    for await (const event of listWatch<Pod>(client, target, { clock, log, signal })) {
      if (event.type === 'apply') await bind(event.object);
    }
  });
  return {
    async stop() {
      ending.abort();
      await tasks.settled();
      await client.close();
    },
  };
}
