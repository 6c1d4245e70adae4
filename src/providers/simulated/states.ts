/**
 * The states of simulated containers: pure functions from one list of reports to the next. The containers of a pod go
 * together: they start at once and end at once, which is why a pod needs one timer at most.
 */
import type { Container, ContainerStatus, EphemeralContainer, Pod, PodStatus } from '../../core/objects.ts';
import type { ContainerReport, ContainerState } from '../contract.ts';

type Containers = readonly ContainerReport[];

/** `Always` for a sidecar. */
export function isSidecar(pod: Pod, name: string): boolean {
  return (
    pod.spec.initContainers?.some((container) => container.name === name && container.restartPolicy === 'Always') ===
    true
  );
}

function isMain(pod: Pod, name: string): boolean {
  return pod.spec.containers.some((container) => container.name === name);
}

function isInit(pod: Pod, name: string): boolean {
  return pod.spec.initContainers?.some((container) => container.name === name) === true;
}

/** Every container of the spec as the API server last knew it, else waiting. */
export function remembered(pod: Pod, status: PodStatus | undefined, reason: string, message?: string): Containers {
  const known = [status?.initContainerStatuses, status?.containerStatuses, status?.ephemeralContainerStatuses].flatMap(
    (each) => each ?? [],
  );
  const all: readonly (Container | EphemeralContainer)[] = [
    ...(pod.spec.initContainers ?? []),
    ...pod.spec.containers,
    ...(pod.spec.ephemeralContainers ?? []),
  ];
  return all.map(({ name, image }) => {
    const before = known.find((container) => container.name === name);
    const lived = before === undefined ? undefined : lifeOf(before);
    return lived ?? waiting(name, image, reason, message, before);
  });
}

/** A container that has run before, exactly as it was. */
function lifeOf(status: ContainerStatus): ContainerReport | undefined {
  const { running, terminated, waiting: held } = status.state ?? {};
  const crashed = held?.reason === 'CrashLoopBackOff' ? held : undefined;
  const state: ContainerState | undefined =
    running !== undefined ? { running } : terminated !== undefined ? { terminated } : crashed && { waiting: crashed };
  if (state === undefined) return undefined;
  const last = status.lastState?.terminated;
  return {
    name: status.name,
    state,
    ...(last === undefined ? {} : { lastState: { terminated: last } }),
    ...(status.containerID === undefined ? {} : { containerID: status.containerID }),
    image: status.image,
    imageID: status.imageID,
    ready: status.ready,
    started: status.started ?? false,
    restartCount: status.restartCount,
  };
}

function waiting(
  name: string,
  image: string | undefined,
  reason: string,
  message: string | undefined,
  before: ContainerStatus | undefined,
): ContainerReport {
  return {
    name,
    state: { waiting: message === undefined ? { reason } : { reason, message } },
    ...(image === undefined ? {} : { image }),
    ready: false,
    started: false,
    restartCount: before?.restartCount ?? 0,
  };
}

/** Init containers have done their work, the others run. What ran or ended before is let be. */
export function started(pod: Pod, containers: Containers, at: string): Containers {
  return containers.map((container) => {
    if (!('waiting' in container.state)) return container;
    const first = container.containerID === undefined;
    const next = instance(pod, container, first ? container.restartCount : container.restartCount + 1);
    if (!isInit(pod, container.name) || isSidecar(pod, container.name)) {
      return { ...next, state: { running: { startedAt: at } }, ready: true, started: true };
    }
    const { containerID } = next;
    const end = { exitCode: 0, reason: 'Completed', startedAt: at, finishedAt: at, containerID };
    return { ...next, state: { terminated: end }, ready: true, started: false };
  });
}

function instance(pod: Pod, container: ContainerReport, attempt: number): ContainerReport & { containerID: string } {
  return {
    ...container,
    containerID: `simulated://${pod.metadata.uid}/${container.name}/${attempt}`,
    imageID: container.image ?? '',
    restartCount: attempt,
  };
}

/** The pod's own containers have ended with `exitCode`; its sidecars too when nothing of it will run again. */
export function ended(pod: Pod, containers: Containers, exitCode: number, at: string): Containers {
  const lastOfAll = !restarts(pod, exitCode);
  return containers.map((container) => {
    if (isMain(pod, container.name)) return terminated(container, exitCode, at);
    return lastOfAll && isSidecar(pod, container.name) ? terminated(container, 0, at) : container;
  });
}

/** Everything that runs has ended: the pod was stopped. */
export function stopped(containers: Containers, exitCode: number, at: string): Containers {
  return containers.map((container) => {
    const { state, lastState } = container;
    if ('running' in state) return terminated(container, exitCode, at);
    // Nothing waits to run again in a pod that was stopped.
    return 'waiting' in state && lastState !== undefined ? { ...container, state: lastState } : container;
  });
}

function terminated(container: ContainerReport, exitCode: number, at: string): ContainerReport {
  if (!('running' in container.state)) return container;
  const { startedAt } = container.state.running;
  const end = {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    ...(startedAt === undefined ? {} : { startedAt }),
    finishedAt: at,
    ...(container.containerID === undefined ? {} : { containerID: container.containerID }),
  };
  return { ...container, state: { terminated: end }, ready: false, started: false };
}

/** What ended waits for its next start. */
export function backingOff(pod: Pod, containers: Containers, delayMs: number): Containers {
  const { name, namespace, uid } = pod.metadata;
  return containers.map((container) => {
    const { state } = container;
    if (!isMain(pod, container.name) || !('terminated' in state)) return container;
    const message = `back-off ${delayMs / 1000}s restarting failed container=${container.name} pod=${name}_${namespace}(${uid})`;
    return { ...container, lastState: state, state: { waiting: { reason: 'CrashLoopBackOff', message } } };
  });
}

/** The containers after the spec changed: new ones wait, one with a new image ends and waits to be started with it. */
export function updated(pod: Pod, containers: Containers, at: string): Containers {
  const known = new Set(containers.map(({ name }) => name));
  const added = remembered(pod, undefined, 'ContainerCreating').filter(({ name }) => !known.has(name));
  const images = new Map(pod.spec.containers.map(({ name, image }) => [name, image]));
  const kept = containers.map((container) => {
    const image = images.get(container.name);
    if (image === undefined || image === container.image || !('running' in container.state)) return container;
    const { state } = terminated(container, 0, at);
    if (!('terminated' in state)) return container;
    return { ...container, image, lastState: state, state: { waiting: { reason: 'ContainerCreating' } } };
  });
  return [...kept, ...added];
}

/** Whether the pod's policy starts its containers again after this exit code. */
export function restarts({ spec }: Pod, exitCode: number): boolean {
  return spec.restartPolicy === 'OnFailure' ? exitCode !== 0 : spec.restartPolicy !== 'Never';
}

/**
 * The kubelet's delay: the first restart at once, then 10 s, doubled each time up to 5 min; at once again after an
 * instance that lived for 10 min.
 */
export function restartDelayMs(restartCount: number, livedMs: number): number {
  return restartCount === 0 || livedMs >= 600_000 ? 0 : Math.min(10_000 * 2 ** (restartCount - 1), 300_000);
}

/**
 * When the pod's containers last ended, and how many restarts count against them; undefined unless they wait to run
 * again. A new image is no crash: it counts none.
 */
export function waitingToRestart(
  pod: Pod,
  containers: Containers,
): { finishedAt: number; restartCount: number } | undefined {
  for (const { name, state, lastState, restartCount } of containers) {
    if (!isMain(pod, name) || !('waiting' in state) || lastState === undefined) continue;
    const crashed = state.waiting.reason === 'CrashLoopBackOff';
    return { finishedAt: Date.parse(lastState.terminated.finishedAt ?? ''), restartCount: crashed ? restartCount : 0 };
  }
  return undefined;
}

/** Whether containers wait that have never run. */
export function waitsToStart(containers: Containers): boolean {
  return containers.some(({ state, containerID }) => 'waiting' in state && containerID === undefined);
}

export function anyRuns(containers: Containers): boolean {
  return containers.some(({ state }) => 'running' in state);
}

/** When the containers that run now were started, in milliseconds; undefined when none runs. */
export function runningSince(pod: Pod, containers: Containers): number | undefined {
  for (const { name, state } of containers) {
    if (isMain(pod, name) && 'running' in state) return Date.parse(state.running.startedAt ?? '');
  }
  return undefined;
}
