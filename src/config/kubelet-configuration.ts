import type { Config } from './config.ts';
import { settings } from './settings.ts';

/**
 * What `/configz` shows: the configuration in the words of `kubelet.config.k8s.io/v1beta1`, as far as they apply.
 * Names files, never their contents; a provider's own settings have no place in it.
 */
export function kubeletConfiguration(config: Config): object {
  const { kubelet, pods, logs, node } = config;
  return {
    kind: 'KubeletConfiguration',
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    enableServer: true,
    podLogsDir: logs.directory,
    address: kubelet.listenAddress,
    port: kubelet.listenPort,
    ...(kubelet.tlsCertFile !== undefined && { tlsCertFile: kubelet.tlsCertFile }),
    ...(kubelet.tlsPrivateKeyFile !== undefined && { tlsPrivateKeyFile: kubelet.tlsPrivateKeyFile }),
    authentication: {
      x509: kubelet.clientCAFile === undefined ? {} : { clientCAFile: kubelet.clientCAFile },
      webhook: { enabled: true, cacheTTL: '2m0s' },
      anonymous: { enabled: false },
    },
    authorization: { mode: 'Webhook', webhook: { cacheAuthorizedTTL: '5m0s', cacheUnauthorizedTTL: '30s' } },
    enableDebuggingHandlers: true,
    healthzPort: kubelet.healthzPort,
    healthzBindAddress: kubelet.healthzAddress,
    clusterDomain: pods.clusterDomain,
    clusterDNS: pods.clusterDNS,
    streamingConnectionIdleTimeout: '4h0m0s',
    nodeStatusUpdateFrequency: '10s',
    nodeStatusReportFrequency: '5m0s',
    nodeLeaseDurationSeconds: 40,
    maxPods: pods.max,
    contentType: 'application/json',
    containerLogMaxSize: String(logs.maxSizeBytes),
    containerLogMaxFiles: logs.maxFiles,
    logging: { format: config.log.format, verbosity: config.log.level === 'debug' ? 4 : 0 },
    enableSystemLogHandler: false,
    enableSystemLogQuery: false,
    crashLoopBackOff: { maxContainerRestartPeriod: '5m0s' },
    enableProfilingHandler: false,
    enableDebugFlagsHandler: false,
    registerNode: true,
    ...(node.taints !== undefined && { registerWithTaints: node.taints }),
  };
}

/**
 * Every setting by the name of its flag, for `/flagz`; written as a flag's value is. A provider's own settings are
 * `CLASSIFIED`, as a kubelet shows what may be a secret.
 */
export function flagValues(config: Config): Record<string, string> {
  // Where the finished configuration has another name or form than the file.
  const renamed: Readonly<Record<string, unknown>> = {
    'node.ip': config.node.ips,
    'node.taints': config.node.taints?.map(({ key, value = '', effect }) => `${key}=${value}:${effect}`),
    'logs.maxSize': config.logs.maxSizeBytes,
    'provider.config': 'CLASSIFIED',
  };
  return Object.fromEntries(
    settings.map(({ path, flag }) => {
      const name = path.join('.');
      return [flag, flagText(name in renamed ? renamed[name] : valueAt(config, path))];
    }),
  );
}

function valueAt(config: Config, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], config);
}

function flagText(value: unknown): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return `[${value.join(',')}]`;
  if (value instanceof Object)
    return Object.entries(value)
      .map(([key, text]) => `${key}=${String(text)}`)
      .join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
