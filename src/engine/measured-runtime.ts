import type { Clock } from '../core/clock.ts';
import type { RuntimeMetrics } from '../metrics/kubelet-metrics.ts';
import type { ContainerRuntime } from '../providers/contract.ts';

/**
 * The same runtime, with each operation counted under the name that CRI and a kubelet have for it. Capabilities that
 * it lacks stay lacking. Follows pkg/kubelet/cri's instrumented services (pkg/kubelet/kuberuntime/instrumented_services.go).
 */
export function measuredRuntime(runtime: ContainerRuntime, metrics: RuntimeMetrics, clock: Clock): ContainerRuntime {
  const measured = async <T>(operation: string, run: () => Promise<T>): Promise<T> => {
    const type = { operation_type: operation };
    const startedAt = clock.now();
    metrics.operations.add(type);
    try {
      return await run();
    } catch (err) {
      metrics.errors.add(type);
      throw err;
    } finally {
      metrics.durations.observe(type, (clock.now() - startedAt) / 1000);
    }
  };
  const exec = runtime.exec?.bind(runtime);
  const attach = runtime.attach?.bind(runtime);
  const portForward = runtime.portForward?.bind(runtime);
  const stats = runtime.stats?.bind(runtime);
  const node = runtime.node?.bind(runtime);
  return {
    name: runtime.name,
    runtimeVersion: runtime.runtimeVersion,
    features: runtime.features,
    watch: (signal) => runtime.watch(signal),
    runSandbox: async (config) => {
      const startedAt = clock.now();
      try {
        return await measured('run_podsandbox', () => runtime.runSandbox(config));
      } catch (err) {
        metrics.sandboxErrors.add({ runtime_handler: '' });
        throw err;
      } finally {
        metrics.sandboxDuration.observe({ runtime_handler: '' }, (clock.now() - startedAt) / 1000);
      }
    },
    stopSandbox: (id) => measured('stop_podsandbox', () => runtime.stopSandbox(id)),
    removeSandbox: (id) => measured('remove_podsandbox', () => runtime.removeSandbox(id)),
    createContainer: (sandbox, config) => measured('create_container', () => runtime.createContainer(sandbox, config)),
    startContainer: (id) => measured('start_container', () => runtime.startContainer(id)),
    stopContainer: (id, graceSeconds) => measured('stop_container', () => runtime.stopContainer(id, graceSeconds)),
    removeContainer: (id) => measured('remove_container', () => runtime.removeContainer(id)),
    ...(exec && { exec: (id, request) => measured('exec', () => exec(id, request)) }),
    ...(attach && { attach: (id, request) => measured('attach', () => attach(id, request)) }),
    ...(portForward && {
      portForward: (id, port, stream, signal) => measured('port_forward', () => portForward(id, port, stream, signal)),
    }),
    ...(stats && { stats: (scope) => measured('list_container_stats', () => stats(scope)) }),
    ...(node && { node }),
    health: () => measured('status', () => runtime.health()),
    close: () => runtime.close(),
  };
}
