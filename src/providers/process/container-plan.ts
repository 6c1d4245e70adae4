import { resolve } from 'node:path';

import type { RunAs } from '../../host/find-program.ts';
import { signalNumber } from '../../host/signals.ts';
import type { ContainerConfig, PodRef } from '../contract.ts';
import { containerEnvironment, withMountPoint } from './environment.ts';
import type { ContainerPlan } from './protocol.ts';
import { resolveUser, type Self } from './users.ts';
import { containerWaiting } from '../../podspec/container-waiting.ts';

export interface PlanSurroundings {
  readonly pod: PodRef;
  readonly hostname: string;
  readonly mountPoint: string;
  readonly logLimits: ContainerPlan['logLimits'];
  readonly self: Self;
}

/**
 * What the shim needs to know to start the container, and the user it will run as.
 * @throws ContainerWaiting for what can be seen to be wrong before anything is made.
 */
export async function containerPlan(
  config: ContainerConfig,
  around: PlanSurroundings,
): Promise<{ plan: ContainerPlan; user: RunAs }> {
  const { mountPoint } = around;
  const [program, ...args] = [...config.command, ...config.args].map((word) => withMountPoint(word, mountPoint));
  if (program === undefined) {
    const sentence = 'a host process has no image to take a command from; set command (or args) to the program to run';
    throw containerWaiting('CreateContainerError', `container "${config.name}" names no program: ${sentence}`);
  }
  const { user, switched, home } = await resolveUser(config.user, around.self, around.pod, config.name);
  const { maxSizeBytes, maxFiles } = around.logLimits;
  return {
    user,
    plan: {
      argv: [program, ...args],
      env: containerEnvironment({ env: config.env, tty: config.tty, hostname: around.hostname, home, mountPoint }),
      directory: workingDirectory(config, mountPoint),
      ...(switched && { user }),
      tty: config.tty,
      stdin: config.stdin,
      stdinOnce: config.stdinOnce,
      stopSignal: stopSignal(config),
      mounts: config.mounts,
      logLimits: { maxSizeBytes, maxFiles },
    },
  };
}

/** Without one the container starts in its own folder, as Kubernetes' host-process containers do. */
function workingDirectory(config: ContainerConfig, mountPoint: string): string {
  if (config.workingDir === undefined || config.workingDir === '') return mountPoint;
  const directory = withMountPoint(config.workingDir, mountPoint);
  if (directory.startsWith('/')) return resolve(directory);
  throw containerWaiting(
    'CreateContainerError',
    `working directory "${directory}" of container "${config.name}" is not an absolute path`,
  );
}

function stopSignal(config: ContainerConfig): number {
  const name = config.stopSignal ?? 'SIGTERM';
  const number = signalNumber(name);
  if (number === undefined)
    throw containerWaiting('CreateContainerError', `stop signal "${name}" is not known on this node`);
  return number;
}
