import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { V1Deployment } from '@kubernetes/client-node';

import type { ConfigMap, Container, Wire } from '../../src/core/objects.ts';
import type { DaemonOptions, ScratchDirectory } from './daemon-process.ts';

/** What the cluster would give to the container of the chart. */
export interface PodFacts {
  readonly podIP: string;
  readonly kubeconfig: string;
  readonly scratch: ScratchDirectory;
}

/** The container of the chart's Deployment. */
export function chartContainer(deployment: Wire<V1Deployment>): Container {
  const container = deployment.spec?.template.spec?.containers[0];
  if (container === undefined) throw new Error('the Deployment has no container');
  return container;
}

/**
 * How the daemon is started in the chart's pod, for a process on this machine: the container's own arguments and
 * environment, its config file from the ConfigMap, its directories below `scratch`, and a kubeconfig with the token
 * that would be mounted.
 */
export async function asInChart(
  deployment: Wire<V1Deployment>,
  configMap: ConfigMap,
  { podIP, kubeconfig, scratch }: PodFacts,
): Promise<DaemonOptions> {
  const { args = [], env = [] } = chartContainer(deployment);
  const here = (path: string) => scratch.file(path.replaceAll('/', '_'));
  const paths = ['/etc/anylet', '/var/lib/anylet'];
  const placed = (text: string) => {
    const path = paths.find((each) => text === each || text.startsWith(`${each}/`));
    return path === undefined ? text : here(path) + text.slice(path.length);
  };
  for (const path of paths) await mkdir(here(path), { recursive: true });
  for (const [name, text] of Object.entries(configMap.data ?? {}))
    await writeFile(join(here('/etc/anylet'), name), text);
  const variables = env.map(({ name, value, valueFrom }) => {
    if (value === undefined && valueFrom?.fieldRef?.fieldPath !== 'status.podIP')
      throw new Error(`where ${name} comes from is not known here`);
    return [name, placed(value ?? podIP)] as const;
  });
  return { args: args.map(placed), env: { KUBECONFIG: kubeconfig, ...Object.fromEntries(variables) } };
}
