import type { Container, EphemeralContainer, Pod } from '../core/objects.ts';
import type { ContainerRecord, ContainerRuntimeStatus, SandboxRecord } from '../providers/contract.ts';
import { type CrashLoop, startsAt } from './crash-loop.ts';
import { isSidecar } from '../podspec/containers.ts';
import { shouldRestart } from '../podspec/restart-policy.ts';

/** What the engine sees of a pod when it decides. */
export interface PodView {
  readonly pod: Pod;
  readonly sandbox: SandboxRecord | undefined;
  /** The newest instance of a container. */
  latest(name: string): ContainerRecord | undefined;
  crashLoop(name: string): CrashLoop | undefined;
  /** A sidecar that runs and has passed its startup probe, if it has one. */
  isStarted(record: ContainerRecord): boolean;
  readonly now: number;
}

export type ContainerKind = 'init' | 'sidecar' | 'regular' | 'ephemeral';

/** A container that may start now. */
export interface Startable {
  readonly container: Container | EphemeralContainer;
  readonly kind: ContainerKind;
  /** The instance that this one follows. */
  readonly previous: ContainerRecord | undefined;
}

/** A container that must wait out its back-off. */
export interface BackingOff {
  readonly name: string;
  readonly kind: ContainerKind;
  readonly finishedAt: number;
  readonly until: number;
  readonly delayMs: number;
}

export type NextStep =
  /** The pod has no sandbox that works, and something in it is still to run. */
  | { readonly type: 'sandbox' }
  | { readonly type: 'containers'; readonly start: readonly Startable[]; readonly backingOff: readonly BackingOff[] }
  /** Nothing of this pod will ever run again. */
  | { readonly type: 'finished' };

/** What a container's newest instance means for what comes next; the one place that reads runtime states. */
type Standing =
  | 'absent' //     no instance yet: start it
  | 'busy' //       created or running: leave it alone
  | 'succeeded' //  ended, and that is its end
  | 'failed' //     ended badly, and no policy starts it again
  | 'restart'; //   ended, to be started again when its back-off allows

const standings: Record<ContainerRuntimeStatus['state'], (mayRestart: boolean, exitCode: number) => Standing> = {
  created: () => 'busy',
  running: () => 'busy',
  exited: (mayRestart, exitCode) => (mayRestart ? 'restart' : exitCode === 0 ? 'succeeded' : 'failed'),
};

/**
 * The pod's state machine: from its spec and its records to the next thing to do. Pure.
 *
 * Init containers run one at a time, in order; a sidecar lets the next begin once it has started. Regular containers
 * begin when every init container has succeeded, and stay begun: an init container is never run again in the same
 * sandbox. Follows pkg/kubelet/kuberuntime/kuberuntime_manager.go `computePodActions`.
 */
export function nextStep(view: PodView): NextStep {
  const { sandbox } = view;
  const step = containers(view);
  if (step.type === 'finished') return step;
  if (sandbox?.state === 'ready') return step;
  return step.start.length > 0 || isStranded(view) ? { type: 'sandbox' } : step;
}

/** Some container is said to run, or to be about to, in a sandbox that is no more. */
function isStranded(view: PodView): boolean {
  if (view.sandbox === undefined) return false;
  const { initContainers = [], containers } = view.pod.spec;
  return [...initContainers, ...containers].some(
    ({ name }) => (view.latest(name)?.status.state ?? 'exited') !== 'exited',
  );
}

function containers(view: PodView): NextStep & { type: 'containers' | 'finished' } {
  const { pod } = view;
  const start: Startable[] = [];
  const backingOff: BackingOff[] = [];
  const consider = (container: Container, kind: ContainerKind) => {
    const standing = standingOf(view, container, kind);
    if (standing === 'absent') start.push({ container, kind, previous: undefined });
    if (standing === 'restart') {
      const previous = view.latest(container.name) as ContainerRecord;
      const finishedAt = previous.status.state === 'exited' ? previous.status.finishedAt : 0;
      const loop = view.crashLoop(container.name);
      const until = Math.max(startsAt(loop, finishedAt), isNeverStarted(previous) ? finishedAt + startRetryMs : 0);
      if (until <= view.now) start.push({ container, kind, previous });
      else backingOff.push({ name: container.name, kind, finishedAt, until, delayMs: loop?.delayMs ?? 0 });
    }
    return standing;
  };

  // Ephemeral containers wait for nobody and are never restarted.
  for (const container of pod.spec.ephemeralContainers ?? []) {
    if (view.latest(container.name) === undefined) start.push({ container, kind: 'ephemeral', previous: undefined });
  }

  const begun = hasBegun(view);
  const inits = pod.spec.initContainers ?? [];
  for (const container of inits) {
    if (isSidecar(container)) {
      const standing = consider(container, 'sidecar');
      const record = view.latest(container.name);
      const started = standing === 'busy' && record !== undefined && view.isStarted(record);
      if (!started && !begun) return { type: 'containers', start, backingOff };
      continue;
    }
    if (begun) continue;
    const standing = consider(container, 'init');
    if (standing === 'failed') return { type: 'finished' };
    if (standing !== 'succeeded') return { type: 'containers', start, backingOff };
  }

  let live = false;
  for (const container of pod.spec.containers) {
    const standing = consider(container, 'regular');
    live ||= standing === 'absent' || standing === 'busy' || standing === 'restart';
  }
  return live ? { type: 'containers', start, backingOff } : { type: 'finished' };
}

/** A start that failed is not tried again in the same breath: the kubelet hears of it from its next relist. */
const startRetryMs = 1_000;

function isNeverStarted({ status }: ContainerRecord): boolean {
  return status.state === 'exited' && status.startedAt === 0;
}

function standingOf(view: PodView, container: Container, kind: ContainerKind): Standing {
  const record = view.latest(container.name);
  if (record === undefined) return 'absent';
  // A new sandbox is a new start: what its predecessor initialised is gone.
  if (kind === 'init' && isOfEarlierSandbox(view, record)) return 'absent';
  const exitCode = record.status.state === 'exited' ? record.status.exitCode : 0;
  const mayRestart = kind === 'sidecar' ? true : shouldRestart(view.pod, container, exitCode, kind === 'init');
  return standings[record.status.state](mayRestart, exitCode);
}

/** Some regular container has had an instance in this sandbox: the init containers are behind us. */
export function hasBegun(view: Pick<PodView, 'pod' | 'latest' | 'sandbox'>): boolean {
  return view.pod.spec.containers.some((container) => {
    const record = view.latest(container.name);
    return record !== undefined && !isOfEarlierSandbox(view, record);
  });
}

function isOfEarlierSandbox(view: Pick<PodView, 'sandbox'>, record: ContainerRecord): boolean {
  return view.sandbox?.state === 'ready' && record.sandboxID !== view.sandbox.id;
}
