import { rfc3339 } from '../core/clock.ts';
import type { Container, ContainerStateTerminated, EphemeralContainer, Pod, PodStatus } from '../core/objects.ts';
import type { ContainerRecord, ContainerReport, ContainerState, PodRef, PodReport } from '../providers/contract.ts';
import type { PodRecords } from './records.ts';
import { isSidecar } from '../podspec/containers.ts';
import { shouldRestart } from '../podspec/restart-policy.ts';

/** Why a container does not run now, once it is time to say so. */
export interface WaitingReason {
  readonly reason: string;
  readonly message: string;
  /** Before this moment the container still shows how its last instance ended. */
  readonly visibleAt: number;
}

export interface ReportView {
  readonly ref: PodRef;
  /** Undefined until the framework has said what the pod should be: then states are shown as they are. */
  readonly pod: Pod | undefined;
  readonly records: PodRecords;
  readonly podIPs: readonly string[];
  readonly sandboxReady: boolean;
  readonly lastStatus: PodStatus | undefined;
  waiting(name: string): WaitingReason | undefined;
  isStarted(record: ContainerRecord): boolean;
  readonly runtimeName: string;
  readonly now: number;
}

/**
 * A pod's records as the kubelet shows them. Follows pkg/kubelet/kubelet_pods.go `convertToAPIContainerStatuses`.
 */
export function podReport(view: ReportView): PodReport {
  const { pod, ref, records } = view;
  const containers =
    pod === undefined
      ? [...new Set(records.containers().map((c) => c.name))].map((name) => containerReport(view, { name }, 'regular'))
      : [
          ...(pod.spec.initContainers ?? []).map((c) => containerReport(view, c, isSidecar(c) ? 'sidecar' : 'init')),
          ...pod.spec.containers.map((c) => containerReport(view, c, 'regular')),
          ...(pod.spec.ephemeralContainers ?? []).map((c) => containerReport(view, c, 'ephemeral')),
        ];
  return {
    ...ref,
    ...(pod?.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    sandboxReady: view.sandboxReady,
    podIPs: view.podIPs,
    containers,
  };
}

type Kind = 'init' | 'sidecar' | 'regular' | 'ephemeral';

function containerReport(
  view: ReportView,
  container: Container | EphemeralContainer | { name: string },
  kind: Kind,
): ContainerReport {
  const { name } = container;
  // An instance that was created and not yet started is nobody's business but the engine's.
  const [latest, previous] = view.records.instances(name).filter((r) => r.status.state !== 'created');
  const image = 'image' in container && container.image !== undefined ? { image: container.image } : {};
  if (latest === undefined) return { ...beforeAnyInstance(view, name), ...image };

  const previousEnd = previous === undefined ? undefined : terminated(view, previous);
  const common = {
    name,
    image: latest.image,
    imageID: latest.imageID,
    containerID: containerID(view, latest),
    restartCount: latest.attempt,
    ...(latest.user === undefined ? {} : { user: latest.user }),
  };
  if (latest.status.state === 'running') {
    const started = view.isStarted(latest);
    return {
      ...common,
      state: { running: { startedAt: rfc3339(latest.status.startedAt) } },
      ...(previousEnd === undefined ? {} : { lastState: { terminated: previousEnd } }),
      ready: (kind === 'regular' || kind === 'sidecar') && started,
      started: kind === 'ephemeral' ? false : started,
    };
  }

  const end = terminated(view, latest) as ContainerStateTerminated;
  const said = view.waiting(name);
  const waiting = said !== undefined && said.visibleAt <= view.now ? said : neverStarted(latest);
  const comesBack =
    view.pod !== undefined && kind !== 'ephemeral' && willRestart(view.pod, container, kind, end.exitCode);
  const state: ContainerState =
    waiting !== undefined && comesBack
      ? { waiting: { reason: waiting.reason, message: waiting.message } }
      : { terminated: end };
  const last = 'waiting' in state ? end : previousEnd;
  return {
    ...common,
    state,
    ...(last === undefined ? {} : { lastState: { terminated: last } }),
    ready: kind === 'init' && end.exitCode === 0 && 'terminated' in state,
    started: false,
  };
}

/** The runtime's record of a start that failed may come before the engine's own word on it. */
function neverStarted({ status }: ContainerRecord): { reason: string; message: string } | undefined {
  if (status.state !== 'exited' || status.startedAt !== 0) return undefined;
  return { reason: 'RunContainerError', message: status.message ?? '' };
}

function willRestart(pod: Pod, container: Container, kind: Kind, exitCode: number): boolean {
  return kind === 'sidecar'
    ? pod.metadata.deletionTimestamp === undefined
    : shouldRestart(pod, container, exitCode, kind === 'init');
}

/** The runtime has nothing of it. What the API server saw run must not look as if it had never been. */
function beforeAnyInstance(view: ReportView, name: string): ContainerReport {
  const waiting = view.waiting(name);
  const known = lastKnown(view.lastStatus, name);
  const isWaiting = waiting !== undefined && waiting.visibleAt <= view.now;
  const end = known?.state?.terminated;
  const wasRunning = known?.state?.running !== undefined;
  const last =
    (isWaiting ? end : undefined) ??
    known?.lastState?.terminated ??
    (wasRunning ? lostContainer(known?.containerID) : undefined);
  const isDeleted = view.pod?.metadata.deletionTimestamp !== undefined;
  const state: ContainerState = isWaiting
    ? { waiting: { reason: waiting.reason, message: waiting.message } }
    : end !== undefined
      ? { terminated: end }
      : { waiting: { reason: defaultReason(view.pod) } };
  return {
    name,
    state,
    ...(last === undefined ? {} : { lastState: { terminated: last } }),
    ...(end === undefined || known?.containerID === undefined ? {} : { containerID: known.containerID }),
    ready: !isWaiting && end !== undefined && known?.ready === true,
    started: false,
    restartCount: (known?.restartCount ?? 0) + (wasRunning && !isDeleted ? 1 : 0),
  };
}

/** What the API server last knew of a container. */
export function lastKnown(status: PodStatus | undefined, name: string) {
  return [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
    ...(status?.ephemeralContainerStatuses ?? []),
  ].find((c) => c.name === name);
}

function lostContainer(id: string | undefined): ContainerStateTerminated {
  return {
    reason: 'ContainerStatusUnknown',
    // Two spaces: the kubelet's own.
    message: 'The container could not be located when the pod was deleted.  The container used to be Running',
    exitCode: 137,
    ...(id === undefined ? {} : { containerID: id }),
  };
}

function defaultReason(pod: Pod | undefined): string {
  return (pod?.spec.initContainers?.length ?? 0) > 0 ? 'PodInitializing' : 'ContainerCreating';
}

function terminated(view: ReportView, record: ContainerRecord): ContainerStateTerminated | undefined {
  const { status } = record;
  if (status.state !== 'exited') return undefined;
  return {
    exitCode: status.exitCode,
    reason: status.reason,
    ...(status.message === undefined ? {} : { message: status.message }),
    startedAt: rfc3339(status.startedAt),
    finishedAt: rfc3339(status.finishedAt),
    containerID: containerID(view, record),
  };
}

function containerID(view: ReportView, record: ContainerRecord): string {
  return `${view.runtimeName}://${record.id}`;
}
