import { join } from 'node:path';

import type { Config } from '../config/index.ts';
import { systemClock } from '../core/clock.ts';
import { conflict, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { ControlPlane, DevFolder } from '../devcluster/index.ts';
import { nodeConfig } from './dev-config.ts';
import type { Progress } from './dev-progress.ts';

export interface DevSessionOptions {
  readonly config: Config;
  /** Of the API server; 0 picks a free one. */
  readonly port: number;
  /** Goes on with what an earlier such session left, and leaves its own. */
  readonly keep: boolean;
  /** The folder of real control plane programs; absent: the embedded one. */
  readonly programs: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly progress: Progress;
  /** Ends a start that still waits. */
  readonly signal: AbortSignal;
}

/** A control plane and a node that are up. */
export interface DevSession {
  readonly controlPlane: ControlPlane;
  readonly kubeconfig: string;
  /** Resolves when it has been stopped; rejects when the node cannot go on. */
  readonly done: Promise<void>;
  /** Ends the pods, the node and the control plane, in this order. Idempotent. */
  stop(): Promise<void>;
}

/** The engine gives every pod two seconds at least; all is to be over within three. */
const stopDeadlineMs = 2_700;

/**
 * Starts a control plane and a node on it.
 *
 * @throws Conflict for a folder or port that somebody else has, a kubeconfig that is not ours
 */
export async function startDevSession(options: DevSessionOptions): Promise<DevSession> {
  const { config, env, log, progress, signal, keep } = options;
  const undo: (() => unknown)[] = [];
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
    const devcluster = await import('../devcluster/index.ts');
    const folder = devcluster.openDevFolder(config.stateDir, keep);
    undo.push(() => folder.close());
    // While keys are made elsewhere, modules are loaded here.
    const loading = import('../daemon.ts');
    loading.catch(() => {});

    const controlPlane = await startControlPlane(options, folder);
    undo.push(() => controlPlane.stop());
    const user = `system:node:${config.node.name}`;
    const [admin, node] = await Promise.all([
      controlPlane.kubeconfig(),
      controlPlane.kubeconfig(user, ['system:nodes']),
    ]);
    folder.writeKubeconfigs({ admin, node });

    if (!controlPlane.schedules) {
      const { bindPods } = await import('./dev-binder.ts');
      const binder = await bindPods(folder.kubeconfig, config.node.name, log);
      undo.push(() => binder.stop());
    }
    progress.step(`starting node ${config.node.name} (${config.provider.name})`);
    const { startDaemon } = await loading;
    const daemon = await startDaemon(nodeConfig(config, folder), { log, env, signal });
    undo.push(() => daemon.stop(stopDeadlineMs));

    let stopped: Promise<void> | undefined;
    return {
      controlPlane,
      kubeconfig: folder.kubeconfig,
      done: daemon.done,
      stop: () => (stopped ??= unwind()),
    };
  } catch (err) {
    await unwind();
    throw portInUse(err, options) ?? err;
  }
}

async function startControlPlane(
  { port, keep, programs, env, log, progress, signal }: DevSessionOptions,
  folder: DevFolder,
): Promise<ControlPlane & { readonly schedules: boolean }> {
  if (programs === undefined) {
    progress.step('starting a Kubernetes API');
    const { startDevCluster } = await import('../devcluster/index.ts');
    const cluster = await startDevCluster({
      port,
      log,
      controllers: true,
      ...(keep && { snapshot: folder.snapshot }),
    });
    return Object.assign(cluster, { schedules: true });
  }
  const { startRealControlPlane } = await import('../devcluster/real-control-plane.ts');
  return startRealControlPlane({
    programs,
    directory: folder.controlPlane,
    port,
    path: env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
    clock: systemClock,
    signal,
    onStep: (name) => progress.step(`starting ${join(programs, name)}`),
  });
}

/** A listening socket's own error names no flag. */
function portInUse(err: unknown, { port, config }: DevSessionOptions): Error | undefined {
  const { code, port: taken, cause } = (err ?? {}) as { code?: unknown; port?: unknown; cause?: unknown };
  if (code === 'EADDRINUSE') {
    const flag = taken === port ? '--port' : taken === config.kubelet.listenPort ? '--listen-port' : '--healthz-port';
    return conflict(`port ${String(taken)} of 127.0.0.1 is in use: name another with ${flag}`, err);
  }
  return cause === undefined ? undefined : portInUse(cause, { port, config } as DevSessionOptions);
}
