import { X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Config, flagValues, kubeletConfiguration } from './config/index.ts';
import { BackOff } from './core/back-off.ts';
import { type Clock, systemClock } from './core/clock.ts';
import { abortReason, codeOf, conflict, forbidden, invalidInput, messageOf } from './core/errors.ts';
import type { Logger } from './core/logger.ts';
import type { KubeNode, Pod } from './core/objects.ts';
import { Tasks } from './core/tasks.ts';
import { Engine } from './engine/engine.ts';
import { measuredRuntime } from './engine/measured-runtime.ts';
import { machineFacts, type MachineFacts } from './host/machine.ts';
import { NodeUsageReader } from './host/node-usage.ts';
import { openStateDirectory } from './host/state-directory.ts';
import {
  type Credentials,
  EventRecorder,
  KubeClient,
  loadCredentials,
  missingPermissions,
  nodeSubject,
  permissionsSentence,
  podSubject,
  readClientCa,
  ReferencedObjects,
  type RequestRecord,
  ServiceAccountTokens,
  ServiceDirectory,
  subjectAccessReview,
  tokenReview,
} from './kube/index.ts';
import {
  type ClientMetrics,
  createKubeletMetrics,
  type KubeletMetrics,
  registerNodeReadings,
} from './metrics/kubelet-metrics.ts';
import { registerBuildInfo } from './metrics/process-metrics.ts';
import type { NodeHealth } from './node/node-status.ts';
import { VirtualNode } from './node/virtual-node.ts';
import { PodWorkers } from './pods/pod-workers.ts';
import { type ApiServerAddress, createPodResolver } from './podspec/index.ts';
import type { PodProvider, ProviderContext } from './providers/contract.ts';
import { createProvider, loadPlugin } from './providers/registry.ts';
import {
  bearerTokens,
  clientCertificates,
  createAuthenticator,
  createAuthorizer,
  createHealthServer,
  createKubeletServer,
  type HealthCheck,
  type KubeletServer,
  readServingCertificate,
  type RunningPod,
  selfSignedServingCertificate,
} from './server/index.ts';
import { packageVersion } from './core/version.ts';

export interface DaemonParts {
  readonly log: Logger;
  /** The process's environment: where credentials may be, nothing else is looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends a start that still waits (for an API server, for a lease of somebody else). */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

export interface Daemon {
  /** Where the kubelet API listens. */
  readonly port: number;
  /** Per-pod bookkeeping, for tests that look for leaks. */
  sizes(): Record<string, number>;
  /** Stops in the reverse order of the start. Idempotent. */
  stop(deadlineMs?: number): Promise<void>;
  /** Rejects when the daemon cannot go on by itself; resolves when it has stopped. */
  readonly done: Promise<void>;
}

/** The version of Kubernetes whose kubelet this node behaves as. */
const kubernetesVersion = '1.36.3';
const kubeletVersion = `v${kubernetesVersion}+anylet.${packageVersion}`;
const stopDeadlineMs = 20_000;

/**
 * Builds everything and starts it in order: state, provider (which adopts what runs), API server, kubelet API, Node
 * and lease, pods, Ready. The only place that knows all rooms.
 */
export async function startDaemon(config: Config, parts: DaemonParts): Promise<Daemon> {
  const clock = parts.clock ?? systemClock;
  const { log } = parts;
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, parts.signal]);
  const tasks = new Tasks(log);
  const undo: (() => unknown)[] = [];
  // The reverse of everything done so far; each step is given its chance whatever the others do.
  const unwind = async () => {
    for (const step of undo.splice(0).toReversed()) {
      try {
        await step();
      } catch (err) {
        log.warn('a step of stopping failed', { err: messageOf(err) });
      }
    }
  };

  try {
    const state = openStateDirectory(config.stateDir);
    undo.push(() => state.release());

    const registered: { node?: VirtualNode } = {};
    const healthChecks: readonly HealthCheck[] = [
      { name: 'ping', check: () => Promise.resolve() },
      { name: 'log', check: () => Promise.resolve() },
      { name: 'syncloop', check: async () => registered.node?.syncLoop() },
    ];
    // First, for all that follows may have to wait: a daemon that waits is not ready, and not ill either.
    if (config.kubelet.healthzPort !== 0) {
      const notReady = () =>
        signal.aborted ? 'the daemon is stopping' : whyNotReady(config.node.name, registered.node?.node);
      const health = createHealthServer({ checks: healthChecks, notReady, log: log.with({ room: 'server' }) });
      undo.push(() => health.close());
      await health.listen(config.kubelet.healthzAddress, config.kubelet.healthzPort);
    }

    const credentials = await loadCredentials({ kubeconfig: config.kubeconfig, env: parts.env, clock });
    const metrics = createKubeletMetrics();
    const client = new KubeClient({
      credentials,
      clock,
      userAgent: `anylet/${packageVersion}`,
      onRequest: (record) => countRequest(metrics.client, credentials.server.host, record),
    });
    undo.push(() => client.close());
    // Before the client closes, or every watch would call that a fault.
    undo.push(() => stopping.abort(abortReason('the daemon is stopping')));
    const recorder = new EventRecorder(client, {
      nodeName: config.node.name,
      clock,
      log: log.with({ room: 'events' }),
    });
    undo.push(() => recorder.stop(2_000));

    const { provider, apiServer } = await startProvider(config, {
      clock,
      log,
      recorder,
      signal: stopping.signal,
      server: client.server,
      metrics,
    });
    undo.push(() => provider.close());

    await connect(client, config.node.name, { clock, log, signal });
    const machine = await machineFacts(config.stateDir);

    const services = new ServiceDirectory(client);
    tasks.run('watch services', () => services.run({ clock, log, signal: stopping.signal }));
    const objects = new ReferencedObjects(client, clock);
    const tokens = new ServiceAccountTokens(client, { clock, log });
    const workers: PodWorkers = new PodWorkers({
      client,
      provider,
      nodeName: config.node.name,
      nodeIPs: config.node.ips,
      clock,
      log: log.with({ room: 'pods' }),
      node: () => node.node,
      resolver: (pod) => {
        const allocatable = () => node.node.status?.allocatable ?? {};
        const sources = { config, services, objects, tokens, apiServer, allocatable };
        const resolver = (fresh: boolean) => createPodResolver(pod, podSources(pod, fresh, sources));
        return { ...resolver(true), cached: resolver(false) };
      },
      event: (pod, type, reason, message) => recorder.record(podSubject(pod), type, reason, message),
      forgotten: (uid) => {
        objects.forget(uid);
        tokens.forget(uid);
      },
      metrics: metrics.pods,
    });

    const server = await startServer(config, {
      client,
      credentials,
      workers,
      provider,
      clock,
      log,
      signal,
      healthChecks,
      machine,
      metrics,
    });
    undo.push(() => server.server.close(5_000));

    const node: VirtualNode = new VirtualNode({
      client,
      clock,
      log: log.with({ room: 'node' }),
      description: {
        name: config.node.name,
        ips: config.node.ips,
        kubeletPort: server.port,
        kubeletVersion,
        containerRuntimeVersion: provider.runtimeVersion,
        machine,
        capacity: capacityOf(config, machine),
        declaredFeatures:
          provider.exec !== undefined && provider.portForward !== undefined ? ['ExtendWebSocketsToKubelet'] : [],
      },
      taints: config.node.taints ?? [
        { key: 'virtual-kubelet.io/provider', value: provider.name, effect: 'NoSchedule' },
      ],
      labels: config.node.labels,
      instanceID: state.instanceID,
      takeover: config.takeover,
      recreate: config.node.recreate,
      health: () => healthOf(provider, config, clock),
      event: (type, reason, message) => recorder.record(nodeSubject(config.node.name), type, reason, message),
    });
    await node.register(signal);
    undo.push(() => node.stop());

    await services.synced;
    undo.push(() => workers.stop(5_000));
    await workers.start(signal);
    await node.ready();
    registered.node = node;
    log.info('node is ready', { node: config.node.name, provider: provider.name, port: server.port });

    const ended = Promise.withResolvers<void>();
    let stopped: Promise<void> | undefined;
    return {
      port: server.port,
      sizes: () => ({ ...workers.sizes(), objects: objects.size, tokens: tokens.size }),
      done: ended.promise,
      stop(deadlineMs = stopDeadlineMs) {
        stopped ??= (async () => {
          log.info('stopping', { node: config.node.name, pods: config.shutdown.pods });
          if (config.shutdown.pods === 'stop') await stopPods(workers, deadlineMs, log, clock);
          await unwind();
          await tasks.settled();
          log.info('stopped', { node: config.node.name });
          ended.resolve();
        })();
        return stopped;
      },
    };
  } catch (err) {
    stopping.abort(abortReason('the start failed'));
    await unwind();
    await tasks.settled();
    throw err;
  }
}

interface ProviderParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly recorder: EventRecorder;
  readonly signal: AbortSignal;
  readonly server: URL;
  readonly metrics: KubeletMetrics;
}

async function startProvider(
  config: Config,
  { clock, log, recorder, signal, server, metrics }: ProviderParts,
): Promise<{ provider: PodProvider; apiServer: ApiServerAddress | undefined }> {
  const plugin = await loadPlugin(config.provider.name);
  const stateDir = join(config.stateDir, 'provider', directoryName(config.provider.name));
  mkdirSync(stateDir, { recursive: true, mode: 0o711 });
  mkdirSync(config.logs.directory, { recursive: true });
  const context: ProviderContext = {
    nodeName: config.node.name,
    nodeIPs: config.node.ips,
    stateDir,
    logs: config.logs,
    cluster: { dns: config.pods.clusterDNS, domain: config.pods.clusterDomain },
    clock,
    log: log.with({ room: 'provider' }),
    events: (pod, type, reason, message, fieldPath) =>
      recorder.record(podSubject(pod, fieldPath), type, reason, message),
    signal,
  };
  const created = await createProvider(plugin, config.provider.name, config.provider.config, context);
  if (created.kind === 'PodProvider') return { provider: created.provider, apiServer: undefined };
  const { hostname, port } = server;
  const direct = created.runtime.features.apiServerAddress === 'direct';
  const apiServer = direct ? { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 443) } : undefined;
  return { provider: new Engine(measuredRuntime(created.runtime, metrics.runtime, clock), context), apiServer };
}

/** A folder name for whatever names a provider: a built-in's name, a package, a path. */
function directoryName(provider: string): string {
  return provider.replace(/[^A-Za-z0-9.-]+/g, '_').replace(/^[._]+|[._]+$/g, '') || 'provider';
}

/** Waits for an API server that answers, and ends the start when it says that the credentials will not do. */
async function connect(
  client: KubeClient,
  nodeName: string,
  { clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<void> {
  const backOff = new BackOff(clock, { initialMs: 500, maxMs: 10_000 });
  for (let said: string | undefined; ;) {
    try {
      const missing = await missingPermissions(client, nodeName, signal);
      if (missing.length > 0) throw forbidden(permissionsSentence(missing));
      return;
    } catch (err) {
      const code = codeOf(err);
      if (signal.aborted || code === 'Forbidden' || code === 'InvalidInput') throw err;
      const message = messageOf(err);
      if (message !== said)
        log.warn('API server not reached, will be retried', { server: client.server.href, err: message });
      said = message;
      await clock.sleep(backOff.next(), signal);
    }
  }
}

interface SourceParts {
  readonly config: Config;
  readonly services: ServiceDirectory;
  readonly objects: ReferencedObjects;
  readonly tokens: ServiceAccountTokens;
  readonly apiServer: ApiServerAddress | undefined;
  readonly allocatable: () => Readonly<Record<string, string>>;
}

function podSources(pod: () => Pod, fresh: boolean, parts: SourceParts) {
  const { config, services, objects, tokens, apiServer, allocatable } = parts;
  const podUid = pod().metadata.uid;
  return {
    configMap: (namespace: string, name: string) => objects.get('ConfigMap', namespace, name, { podUid, fresh }),
    secret: (namespace: string, name: string) => objects.get('Secret', namespace, name, { podUid, fresh }),
    services: (namespace: string) => services.list(namespace),
    serviceAccountToken: async (of: Pod, request: { audience?: string; expirationSeconds: number }) => {
      const { name, uid, namespace } = of.metadata;
      const serviceAccount = of.spec.serviceAccountName ?? 'default';
      return (await tokens.get({ namespace, serviceAccount, ...request, pod: { name, uid } })).token;
    },
    node: {
      name: config.node.name,
      ips: config.node.ips,
      get allocatable() {
        return allocatable();
      },
    },
    ...(apiServer === undefined ? {} : { apiServer }),
  };
}

interface ServerParts {
  readonly client: KubeClient;
  readonly credentials: Credentials;
  readonly healthChecks: readonly HealthCheck[];
  readonly workers: PodWorkers;
  readonly provider: PodProvider;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly machine: MachineFacts;
  readonly metrics: KubeletMetrics;
}

async function startServer(config: Config, parts: ServerParts): Promise<{ server: KubeletServer; port: number }> {
  const { client, workers, provider, clock, log, machine, metrics } = parts;
  const { tlsCertFile: certFile, tlsPrivateKeyFile: keyFile, listenAddress, listenPort } = config.kubelet;
  const certificate =
    certFile !== undefined && keyFile !== undefined
      ? await readServingCertificate({ certFile, keyFile })
      : await selfSignedServingCertificate({
          directory: join(config.stateDir, 'pki'),
          nodeName: config.node.name,
          addresses: [...config.node.ips, '127.0.0.1'],
          clock,
        });
  const clientCA = await clientCertificateAuthorities(config, parts);
  registerMetrics(metrics, config, {
    ...parts,
    servingCertificate: certificate.cert,
    clientCertificate: (await parts.credentials.tls()).cert,
  });
  const usage = new NodeUsageReader(clock, config.stateDir);
  const server = createKubeletServer({
    nodeName: config.node.name,
    pods: workers,
    running: () => Promise.resolve(runningPods(workers)),
    provider,
    usage: (scope) => usage.read(scope),
    machine,
    metrics,
    kubernetesVersion,
    configuration: kubeletConfiguration(config),
    flags: flagValues(config),
    authenticator: createAuthenticator({
      methods: [
        clientCertificates(clock),
        bearerTokens({
          clock,
          review: async (token, ask) => {
            const verdict = await tokenReview(client, token, { clock, signal: ask });
            if (!verdict.authenticated) return undefined;
            const { username, uid, groups, extra } = verdict.user;
            return { name: username, groups, extra, ...(uid === undefined ? {} : { uid }) };
          },
        }),
      ],
    }),
    authorizer: createAuthorizer({
      clock,
      allowed: async (user, { verb, resource, subresource, name }, ask) => {
        const spec = {
          user: user.name,
          groups: [...user.groups],
          ...(user.uid === undefined ? {} : { uid: user.uid }),
          extra: Object.fromEntries(Object.entries(user.extra ?? {}).map(([key, values]) => [key, [...values]])),
          resourceAttributes: { verb, version: 'v1', resource, subresource, name },
        };
        return (await subjectAccessReview(client, spec, { clock, signal: ask })).allowed;
      },
    }),
    healthChecks: parts.healthChecks,
    tls: { cert: certificate.cert, key: certificate.key, ...(clientCA === undefined ? {} : { clientCA }) },
    clock,
    log: log.with({ room: 'server' }),
  });
  const { port } = await server.listen(listenAddress, listenPort);
  return { server, port };
}

interface MetricParts extends Pick<ServerParts, 'workers' | 'clock' | 'machine'> {
  /** PEM. */
  readonly servingCertificate: string;
  readonly clientCertificate: Buffer | undefined;
}

/** Tells the metrics where to read what is not counted as it happens. */
function registerMetrics(
  { registry }: KubeletMetrics,
  config: Config,
  { workers, clock, machine, servingCertificate, clientCertificate }: MetricParts,
): void {
  const { operatingSystem, architecture } = machine;
  registerBuildInfo(registry, { gitVersion: kubeletVersion, platform: `${operatingSystem}/${architecture}` });
  const servingEnds = endOf(servingCertificate);
  const clientEnds = clientCertificate === undefined ? undefined : endOf(clientCertificate);
  registerNodeReadings(registry, {
    nodeName: config.node.name,
    counts: () => workers.counts(),
    servingCertificateEnds: () => servingEnds,
    clientCertificateEnds: () => clientEnds,
    now: () => clock.now(),
  });
}

/** When a certificate (PEM) ends, milliseconds since the epoch. */
function endOf(certificate: string | Buffer): number {
  return new X509Certificate(certificate).validToDate.getTime();
}

function countRequest({ requests, durations }: ClientMetrics, host: string, record: RequestRecord): void {
  const { method, status, durationMs, verb } = record;
  requests.add({ code: status === 0 ? '<error>' : String(status), method, host });
  // How long a watch lasts is not how long an answer took.
  if (verb !== 'watch') durations.observe({ verb: method, host }, durationMs / 1000);
}

/** From a file, else as the cluster publishes it, else the CA that the credentials trust. */
async function clientCertificateAuthorities(
  config: Config,
  { client, credentials, log, signal }: ServerParts,
): Promise<string | undefined> {
  const { clientCAFile } = config.kubelet;
  if (clientCAFile !== undefined) {
    try {
      return await readFile(clientCAFile, 'utf8');
    } catch (err) {
      throw invalidInput(`the client CA file ${clientCAFile} cannot be read: ${messageOf(err)}`, err);
    }
  }
  try {
    const published = await readClientCa(client, signal);
    if (published !== undefined) return published;
  } catch (err) {
    if (codeOf(err) !== 'Forbidden') throw err;
    log.info('the client CA of the cluster may not be read, using that of the kubeconfig', { err: messageOf(err) });
  }
  return (await credentials.tls()).ca?.toString();
}

function runningPods(workers: PodWorkers): RunningPod[] {
  return workers.reports().map((report) => ({
    name: report.name,
    namespace: report.namespace,
    uid: report.uid,
    containers: report.containers.flatMap((c) =>
      'running' in c.state ? [{ name: c.name, image: c.imageID || (c.image ?? '') }] : [],
    ),
  }));
}

function capacityOf(config: Config, machine: MachineFacts): Record<string, string> {
  return {
    cpu: String(machine.cpuCount),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor(machine.storageBytes / 1024)}Ki`,
    pods: String(config.pods.max),
    ...config.node.capacity,
  };
}

/** What `/readyz` says until the Node is Ready, and while the API server shows that it is not any more. */
function whyNotReady(name: string, node: KubeNode | undefined): string | undefined {
  if (node === undefined) return `node ${name} is not Ready yet: the daemon is starting`;
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  return ready?.status === 'True'
    ? undefined
    : `node ${name} is not Ready: ${ready?.message ?? 'no status has been written'}`;
}

/** How long a backend may take to say how it is. */
const healthTimeoutMs = 5_000;

async function healthOf(provider: PodProvider, config: Config, clock: Clock): Promise<NodeHealth> {
  try {
    await withTimeout(provider.health(), clock, `${provider.name} did not answer`);
    const facts =
      (await withTimeout(provider.node?.() ?? Promise.resolve(undefined), clock, `${provider.name} did not answer`)) ??
      {};
    return {
      problem: undefined,
      // What the operator set stands above what the backend says.
      capacity: { ...facts.capacity, ...config.node.capacity },
      ...(facts.conditions === undefined ? {} : { conditions: facts.conditions }),
    };
  } catch (err) {
    return { problem: messageOf(err) };
  }
}

async function withTimeout<T>(work: Promise<T>, clock: Clock, message: string): Promise<T> {
  const late = Promise.withResolvers<never>();
  const cancel = clock.after(healthTimeoutMs, () =>
    late.reject(conflict(`${message} within ${healthTimeoutMs / 1000} s`)),
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    cancel();
  }
}

async function stopPods(workers: PodWorkers, deadlineMs: number, log: Logger, clock: Clock): Promise<void> {
  const graceSeconds = Math.max(1, Math.floor(deadlineMs / 1000) - 5);
  const late = Promise.withResolvers<void>();
  const cancel = clock.after(deadlineMs, () => {
    log.warn('some pods were not stopped in time and are left running');
    late.resolve();
  });
  await Promise.race([workers.stopAll(graceSeconds), late.promise]);
  cancel();
}
