import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import type { Express } from 'express';

import type { Clock } from '../core/clock.ts';
import { conflict, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { NodeUsage, UsageScope } from '../core/resource-usage.ts';
import type { KubeletMetrics } from '../metrics/kubelet-metrics.ts';
import type { PodProvider } from '../providers/contract.ts';
import { createApp } from './app.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { Authorizer } from './auth/authorizer.ts';
import { Connections } from './connections.ts';
import type { PodSource, RunningPod } from './pod-source.ts';
import { attach } from './routes/attach.ts';
import { checkpoint } from './routes/checkpoint.ts';
import { configz } from './routes/configz.ts';
import { containerLogs } from './routes/container-logs.ts';
import { disabled } from './routes/disabled.ts';
import { exec } from './routes/exec.ts';
import { healthz, type HealthCheck } from './routes/healthz.ts';
import { metrics } from './routes/metrics.ts';
import { podList, runningPods } from './routes/pods.ts';
import { portForward } from './routes/port-forward.ts';
import { run } from './routes/run.ts';
import { statsSummary } from './routes/stats-summary.ts';
import { zPages } from './routes/z-pages.ts';
import type { MachineLabels } from './stats/cadvisor-metrics.ts';
import { usageSource } from './stats/usage-source.ts';
import { secureContextOptions, type TlsSettings } from './tls-settings.ts';
import { bridgeUpgrades, offersUpgrade } from './upgrade.ts';
import { visibleLogger } from './visible-logger.ts';

/** What the kubelet API needs to know and may do; all of it is given, so that it knows no other room. */
export interface KubeletServerOptions {
  readonly nodeName: string;
  readonly pods: PodSource;
  /** The pods that run now, for `/runningpods/`. */
  running(): Promise<readonly RunningPod[]>;
  /** A method that is absent is a capability that the node does not have. */
  readonly provider: Pick<PodProvider, 'name' | 'logs' | 'exec' | 'attach' | 'portForward' | 'stats'>;
  /** What the machine uses, for the endpoints about resource usage. */
  readonly usage: (scope: UsageScope) => Promise<NodeUsage>;
  /** What the Node says of the machine. */
  readonly machine: MachineLabels;
  /** What the node counts of itself. */
  readonly metrics: KubeletMetrics;
  /** The version of Kubernetes that the node behaves as, e.g. `1.36.3`. */
  readonly kubernetesVersion: string;
  /** A `KubeletConfiguration` for `/configz`; holds no secrets. */
  readonly configuration: object;
  /** Settings by the names of their flags, for `/flagz`; hold no secrets. */
  readonly flags: Readonly<Record<string, string>>;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly healthChecks: readonly HealthCheck[];
  readonly tls: TlsSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly limits?: Partial<KubeletServerLimits>;
}

/** The defaults are the kubelet's, where it has one. */
export interface KubeletServerLimits {
  /** Silence after which a connection without a request is closed. 90 s. */
  readonly keepAliveTimeoutMs: number;
  /** Time for a TLS handshake, and for the head of a request. 60 s. */
  readonly headersTimeoutMs: number;
  /** Time for a whole request; the answer may take longer. 5 min. */
  readonly requestTimeoutMs: number;
  /** 1 MiB. */
  readonly maxHeaderBytes: number;
  /** Largest request body that is read and dropped. 256 KiB. */
  readonly bodyLimitBytes: number;
  /** Output of one `/run` command. 16 MiB. */
  readonly runOutputLimitBytes: number;
  /** Silence after which an exec, attach or port-forward connection is closed. 4 h. */
  readonly streamIdleTimeoutMs: number;
  /** Time for a client to open the streams that it asked for. 30 s. */
  readonly streamCreationTimeoutMs: number;
}

const defaultLimits: KubeletServerLimits = {
  keepAliveTimeoutMs: 90_000,
  headersTimeoutMs: 60_000,
  requestTimeoutMs: 300_000,
  maxHeaderBytes: 1 << 20,
  bodyLimitBytes: 256 << 10,
  runOutputLimitBytes: 16 << 20,
  streamIdleTimeoutMs: 4 * 3_600_000,
  streamCreationTimeoutMs: 30_000,
};

export interface KubeletServer {
  /** The application without a network, for tests of single answers. */
  readonly app: Express;
  /** Resolves when connections are accepted. Port 0 picks a free one. Rejects with `Conflict` when the port is taken. */
  listen(address: string, port: number): Promise<{ readonly port: number }>;
  /**
   * Serve with other certificates from the next connection on. With another client CA the connections that were
   * made under the old one end as soon as they are idle. Throws `InvalidInput` and changes nothing when it is wrong.
   */
  reload(tls: TlsSettings): void;
  /**
   * Stop listening and end everything: followed logs and upgraded connections at once, requests that are being
   * answered when they are done or after `deadlineMs`. Resolves when no connection is left. Idempotent.
   */
  close(deadlineMs: number): Promise<void>;
}

/** The kubelet's HTTPS API. Throws `InvalidInput` when the certificates cannot be used. */
export function createKubeletServer(options: KubeletServerOptions): KubeletServer {
  const { pods, provider, clock, nodeName, authenticator, authorizer } = options;
  const log = visibleLogger(options.log);
  const limits = { ...defaultLimits, ...options.limits };
  const stopping = new AbortController();
  const taking = {
    pods,
    provider,
    streaming: {
      clock,
      log,
      signal: stopping.signal,
      idleTimeoutMs: limits.streamIdleTimeoutMs,
      creationTimeoutMs: limits.streamCreationTimeoutMs,
    },
  };
  const usage = usageSource({ nodeName, node: options.usage, provider, pods });
  // Those that are handlers of their own in the kubelet; `/statusz` names them.
  const handlers = [
    ...healthz(options.healthChecks, options.metrics.health),
    ...metrics({ metrics: options.metrics, usage, machine: options.machine, log }),
    configz(options.configuration),
    ...disabled(),
  ];
  const paths = [...handlers.flatMap((handler) => handler.paths), '/flagz'];
  const endpoints = [
    ...handlers,
    ...zPages({ clock, kubernetesVersion: options.kubernetesVersion, flags: options.flags, paths }),
    statsSummary(usage),
    checkpoint(pods, provider),
    podList(pods),
    runningPods(() => options.running()),
    containerLogs({ pods, provider, clock, stopping: stopping.signal }),
    run({ pods, provider, stopping: stopping.signal, outputLimitBytes: limits.runOutputLimitBytes }),
    exec(taking),
    attach(taking),
    portForward(taking),
  ];
  const app = createApp({
    endpoints,
    clock,
    metrics: options.metrics.http,
    log,
    nodeName,
    authenticator,
    authorizer,
    bodyLimitBytes: limits.bodyLimitBytes,
  });

  let { clientCA } = options.tls;
  const server = createServer(
    {
      ...secureContextOptions(options.tls),
      ALPNProtocols: ['http/1.1'],
      // Ask, but let clients without a certificate in: they may have a token.
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: limits.maxHeaderBytes,
      handshakeTimeout: limits.headersTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      noDelay: true,
      // A client that vanished without a word is noticed even while nothing is sent to it.
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      shouldUpgradeCallback: offersUpgrade,
    },
    app,
  );
  const connections = new Connections(server);
  bridgeUpgrades(server, app);
  server.on('tlsClientError', (err) => log.debug('TLS handshake failed', { err: messageOf(err) }));

  async function shut(deadlineMs: number): Promise<void> {
    stopping.abort(new Error('the kubelet API is stopping'));
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    connections.endAfterAnswers();
    const deadline = Promise.withResolvers<void>();
    const cancel = clock.after(deadlineMs, deadline.resolve);
    await Promise.race([connections.settled(), deadline.promise]);
    cancel();
    connections.destroyAll();
    await closed;
  }

  let closing: Promise<void> | undefined;
  return {
    app,
    async listen(address, port) {
      await new Promise<void>((resolve, reject) => {
        const failed = (err: NodeJS.ErrnoException) => {
          const where = `${address}:${port}`;
          reject(
            err.code === 'EADDRINUSE'
              ? conflict(`the kubelet API cannot listen on ${where}: the port is in use`, err)
              : err,
          );
        };
        server.once('error', failed);
        server.listen(port, address, () => {
          server.off('error', failed);
          resolve();
        });
      });
      server.on('error', (err) => log.error('kubelet API server failed', { err: messageOf(err) }));
      return { port: (server.address() as AddressInfo).port };
    },
    reload(tls) {
      server.setSecureContext(secureContextOptions(tls));
      if (tls.clientCA === clientCA) return;
      ({ clientCA } = tls);
      connections.endAfterAnswers();
      server.closeIdleConnections();
    },
    close(deadlineMs) {
      closing ??= shut(deadlineMs);
      return closing;
    },
  };
}
