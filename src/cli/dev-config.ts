import { join } from 'node:path';

import { defaultStateDir, loadConfig, settings } from '../config/index.ts';
import type { Config, ConfigSources, Setting } from '../config/index.ts';

/** Settings of `run` that have no choice here: everything is on loopback, and this start's own. */
const fixed: Readonly<Record<string, string | boolean>> = {
  kubeconfig: 'kubeconfig of the development cluster',
  takeover: true,
  'node-ip': '127.0.0.1',
  'listen-address': '127.0.0.1',
  'healthz-address': '127.0.0.1',
  'shutdown-pods': 'stop',
};
const meaningless = ['tls-cert-file', 'tls-private-key-file', 'client-ca-file'];

/** Those that mean the same as for `run`. */
export const devSettings: readonly Setting[] = settings.filter(
  ({ flag }) => !(flag in fixed) && !meaningless.includes(flag),
);

/** The configuration of a development node; its `stateDir` is the folder of the cluster and the node. */
export async function loadDevConfig(sources: ConfigSources): Promise<Config> {
  const { machine, env, cwd, files } = sources;
  const unwritten = join(cwd, String(fixed['kubeconfig']));
  const { config } = await loadConfig({
    ...sources,
    flags: { ...sources.flags, ...fixed },
    defaults: {
      'state-dir': join(defaultStateDir(machine, env), 'dev'),
      'node-name': 'dev',
      'node-taints': '[]',
      'listen-port': '0',
      'log-level': 'warn',
      'log-format': 'text',
    },
    // It is written only when the cluster is there.
    files: { read: (path) => (path === unwritten ? '' : files.read(path)) },
  });
  return config;
}

/** The same with the node's own folder, and the kubeconfig that has been written. */
export function nodeConfig(config: Config, { node, nodeKubeconfig }: { node: string; nodeKubeconfig: string }): Config {
  const { logs, stateDir } = config;
  const standardLogs = join('logs', 'pods');
  const ownLogs = logs.directory === join(stateDir, standardLogs) ? join(node, standardLogs) : logs.directory;
  return { ...config, kubeconfig: nodeKubeconfig, stateDir: node, logs: { ...logs, directory: ownLogs } };
}
