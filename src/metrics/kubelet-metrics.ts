import { registerProcessMetrics, registerProcessStart } from './process-metrics.ts';
import { exponentialBuckets, Registry } from './registry.ts';

/**
 * Everything that the node counts of itself, by the names and help texts that a kubelet has for it; what is not here
 * is not counted. Follows pkg/kubelet/metrics/metrics.go, pkg/kubelet/server/metrics/metrics.go and
 * k8s.io/component-base/metrics/prometheus/{restclient,slis}.
 */
export interface KubeletMetrics {
  /** What `/metrics` shows. */
  readonly registry: Registry;
  /** What `/metrics/probes` shows. */
  readonly probeRegistry: Registry;
  /** What `/metrics/slis` shows. */
  readonly sliRegistry: Registry;
  readonly http: HttpMetrics;
  readonly client: ClientMetrics;
  readonly pods: PodMetrics;
  readonly runtime: RuntimeMetrics;
  readonly health: HealthMetrics;
}

export type HttpMetrics = ReturnType<typeof httpMetrics>;
export type ClientMetrics = ReturnType<typeof clientMetrics>;
export type PodMetrics = ReturnType<typeof podMetrics>;
export type RuntimeMetrics = ReturnType<typeof runtimeMetrics>;
export type HealthMetrics = ReturnType<typeof healthMetrics>;

export function createKubeletMetrics(): KubeletMetrics {
  const registry = new Registry();
  const probeRegistry = new Registry();
  const sliRegistry = new Registry();
  registerProcessMetrics(registry);
  registerProcessStart(probeRegistry);
  registerProcessStart(sliRegistry);
  return {
    registry,
    probeRegistry,
    sliRegistry,
    http: httpMetrics(registry),
    client: clientMetrics(registry),
    pods: podMetrics(registry),
    runtime: runtimeMetrics(registry),
    health: healthMetrics(sliRegistry),
  };
}

const alpha = { stability: 'ALPHA' } as const;

/** Requests to the kubelet API. */
function httpMetrics(registry: Registry) {
  const labels = ['method', 'path', 'server_type', 'long_running'] as const;
  return {
    requests: registry.counter({
      ...alpha,
      name: 'kubelet_http_requests_total',
      help: 'Number of the http requests received since the server started',
      labels,
    }),
    durations: registry.histogram({
      ...alpha,
      name: 'kubelet_http_requests_duration_seconds',
      help: 'Duration in seconds to serve http requests',
      labels,
    }),
    inflight: registry.gauge({
      ...alpha,
      name: 'kubelet_http_inflight_requests',
      help: 'Number of the inflight http requests',
      labels,
    }),
    webSockets: registry.counter({
      ...alpha,
      name: 'kubelet_websocket_streaming_requests_total',
      help: 'Total number of WebSocket streaming requests (exec/attach/portforward) received by the kubelet.',
      labels: ['subresource'],
    }),
  };
}

/** Requests to the API server. */
function clientMetrics(registry: Registry) {
  return {
    requests: registry.counter({
      ...alpha,
      name: 'rest_client_requests_total',
      help: 'Number of HTTP requests, partitioned by status code, method, and host.',
      labels: ['code', 'method', 'host'],
    }),
    durations: registry.histogram({
      ...alpha,
      name: 'rest_client_request_duration_seconds',
      help: 'Request latency in seconds. Broken down by verb, and host.',
      labels: ['verb', 'host'],
      buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    }),
  };
}

const podStartBuckets = [
  0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600,
];

function podMetrics(registry: Registry) {
  return {
    started: registry.counter({
      ...alpha,
      name: 'kubelet_started_pods_total',
      help: 'Cumulative number of pods started',
    }),
    startErrors: registry.counter({
      ...alpha,
      name: 'kubelet_started_pods_errors_total',
      help: 'Cumulative number of errors when starting pods',
    }),
    containersStarted: registry.counter({
      ...alpha,
      name: 'kubelet_started_containers_total',
      help: 'Cumulative number of containers started',
      labels: ['container_type'],
    }),
    containerStartErrors: registry.counter({
      ...alpha,
      name: 'kubelet_started_containers_errors_total',
      help: 'Cumulative number of errors when starting containers',
      labels: ['container_type', 'code'],
    }),
    containersTerminated: registry.counter({
      ...alpha,
      name: 'kubelet_terminated_containers_total',
      help: 'Cumulative number of container terminations.',
      labels: ['container_type', 'exit_code', 'reason'],
    }),
    rejections: registry.counter({
      ...alpha,
      name: 'kubelet_admission_rejections_total',
      help: 'Cumulative number pod admission rejections by the Kubelet.',
      labels: ['reason'],
    }),
    orphans: registry.counter({
      ...alpha,
      name: 'kubelet_orphaned_runtime_pods_total',
      help: 'Number of pods that have been detected in the container runtime without being already known to the pod worker. This typically indicates the kubelet was restarted while a pod was force deleted in the API or in the local configuration, which is unusual.',
    }),
    startDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_pod_start_duration_seconds',
      help: 'Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run',
      buckets: podStartBuckets,
    }),
    startTotalDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_pod_start_total_duration_seconds',
      help: 'Duration in seconds to start a pod since creation, including time to pull images and run init containers, measured from pod creation timestamp to when all its containers are reported as started and observed via watch',
      buckets: podStartBuckets,
    }),
    workerDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_pod_worker_duration_seconds',
      help: 'Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync',
      labels: ['operation_type'],
    }),
    workerStartDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_pod_worker_start_duration_seconds',
      help: 'Duration in seconds from kubelet seeing a pod to starting a worker.',
    }),
    statusSyncDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_pod_status_sync_duration_seconds',
      help: 'Duration in seconds to sync a pod status update. Measures time from detection of a change to pod status until the API is successfully updated for that pod, even if multiple intevening changes to pod status occur.',
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 45, 60],
    }),
  };
}

function runtimeMetrics(registry: Registry) {
  const labels = ['operation_type'] as const;
  return {
    operations: registry.counter({
      ...alpha,
      name: 'kubelet_runtime_operations_total',
      help: 'Cumulative number of runtime operations by operation type.',
      labels,
    }),
    errors: registry.counter({
      ...alpha,
      name: 'kubelet_runtime_operations_errors_total',
      help: 'Cumulative number of runtime operation errors by operation type.',
      labels,
    }),
    durations: registry.histogram({
      ...alpha,
      name: 'kubelet_runtime_operations_duration_seconds',
      help: 'Duration in seconds of runtime operations. Broken down by operation type.',
      labels,
      buckets: exponentialBuckets(0.005, 2.5, 14),
    }),
    sandboxDuration: registry.histogram({
      ...alpha,
      name: 'kubelet_run_podsandbox_duration_seconds',
      help: 'Duration in seconds of the run_podsandbox operations. Broken down by RuntimeClass.Handler.',
      labels: ['runtime_handler'],
    }),
    sandboxErrors: registry.counter({
      ...alpha,
      name: 'kubelet_run_podsandbox_errors_total',
      help: 'Cumulative number of the run_podsandbox operation errors by RuntimeClass.Handler.',
      labels: ['runtime_handler'],
    }),
  };
}

/** Results of `/healthz`. */
function healthMetrics(registry: Registry) {
  return {
    result: registry.gauge({
      name: 'kubernetes_healthcheck',
      help: 'This metric records the result of a single healthcheck.',
      stability: 'STABLE',
      labels: ['name', 'type'],
    }),
    results: registry.counter({
      name: 'kubernetes_healthchecks_total',
      help: 'This metric records the results of all healthcheck.',
      stability: 'STABLE',
      labels: ['name', 'type', 'status'],
    }),
  };
}

/** What the node has at a moment. */
export interface NodeCounts {
  /** Pods that have a sandbox. */
  readonly runningPods: number;
  /** By the runtime's word: `running`, `exited`. */
  readonly containers: Readonly<Record<string, number>>;
  /** Pods that the API server wants here, and those of them that have not ended. */
  readonly desiredPods: number;
  readonly activePods: number;
  /** By where they are in their lives, and whether the API server still knows them. */
  readonly workingPods: readonly {
    readonly lifecycle: 'sync' | 'terminating' | 'terminated';
    readonly config: 'desired' | 'orphan' | 'runtime_only';
    readonly count: number;
  }[];
}

/** Metrics that are read when they are scraped; the daemon knows where. Times are milliseconds since the epoch. */
export interface NodeReadings {
  readonly nodeName: string;
  counts(): NodeCounts;
  /** When the serving certificate ends. */
  servingCertificateEnds(): number | undefined;
  /** When the client certificate for the API server ends; undefined: another credential is used. */
  clientCertificateEnds(): number | undefined;
  now(): number;
}

export function registerNodeReadings(registry: Registry, node: NodeReadings): void {
  const gauge = { ...alpha, type: 'gauge' } as const;
  registry.reading(
    { ...gauge, name: 'kubelet_node_name', help: "The node's name. The count is always 1.", labels: ['node'] },
    () => [{ labels: { node: node.nodeName }, value: 1 }],
  );
  registry.reading(
    { ...gauge, name: 'kubelet_running_pods', help: 'Number of pods that have a running pod sandbox' },
    () => node.counts().runningPods,
  );
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_running_containers',
      help: 'Number of containers currently running',
      labels: ['container_state'],
    },
    () =>
      Object.entries(node.counts().containers).map(([state, value]) => ({ labels: { container_state: state }, value })),
  );
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_desired_pods',
      help: 'The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.',
      labels: ['static'],
    },
    () => [{ labels: { static: '' }, value: node.counts().desiredPods }],
  );
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_active_pods',
      help: 'The number of pods the kubelet considers active and which are being considered when admitting new pods. static is true if the pod is not from the apiserver.',
      labels: ['static'],
    },
    () => [{ labels: { static: '' }, value: node.counts().activePods }],
  );
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_working_pods',
      help: 'Number of pods the kubelet is actually running, broken down by lifecycle phase, whether the pod is desired, orphaned, or runtime only (also orphaned), and whether the pod is static. An orphaned pod has been removed from local configuration or force deleted in the API and consumes resources that are not otherwise visible.',
      labels: ['lifecycle', 'config', 'static'],
    },
    () =>
      node.counts().workingPods.map(({ lifecycle, config, count }) => ({
        labels: { lifecycle, config, static: config === 'runtime_only' ? 'unknown' : '' },
        value: count,
      })),
  );
  const ttl = (ends: number | undefined) => (ends === undefined ? Infinity : (ends - node.now()) / 1000);
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_certificate_manager_server_ttl_seconds',
      help: "Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is in seconds until certificate expiry (negative if already expired). If serving certificate is invalid or unused, the value will be +INF.",
    },
    () => ttl(node.servingCertificateEnds()),
  );
  registry.reading(
    {
      ...gauge,
      name: 'kubelet_certificate_manager_client_ttl_seconds',
      help: "Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds until certificate expiry (negative if already expired). If client certificate is invalid or unused, the value will be +INF.",
    },
    () => ttl(node.clientCertificateEnds()),
  );
}
