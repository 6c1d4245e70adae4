import { rfc3339 } from '../core/clock.ts';
import type { Container, ContainerStatus, EphemeralContainer, Pod, PodStatus } from '../core/objects.ts';
import type { ContainerReport, PodReport } from '../providers/contract.ts';
import { podConditions } from './conditions.ts';
import { isOver, type Phase, podPhase, type StatusLists } from './phase.ts';

/** How far the worker of a pod has come: see `worker.ts`. */
export type Stage = 'syncing' | 'terminating' | 'terminated';

/** A pod-level end that no container state says: a deadline, an eviction, a provider's failure. */
export interface PodFailure {
  readonly reason: string;
  readonly message: string;
}

export interface StatusInput {
  readonly pod: Pod;
  readonly report: PodReport | undefined;
  /** What the API server has. */
  readonly previous: PodStatus;
  readonly stage: Stage;
  readonly failure: PodFailure | undefined;
  /** Container names that wait for a reason of the framework's own (a refusal by the provider). */
  readonly waiting?: { readonly reason: string; readonly message: string } | undefined;
  readonly hostIPs: readonly string[];
  readonly now: number;
}

export interface ComputedStatus {
  readonly status: PodStatus;
  /** Nothing of the pod is to run any more; what still does is to be stopped. */
  readonly over: boolean;
}

/**
 * A pod's status from what its provider reports. Pure.
 *
 * A terminal phase is written only when nothing of the pod can run any more: until then the phase before stands, with
 * Ready already false. Follows pkg/kubelet/kubelet_pods.go `generateAPIPodStatus` and
 * pkg/kubelet/status/status_manager.go `mergePodStatus`, `TerminatePod`.
 */
export function podStatus(input: StatusInput): ComputedStatus {
  const { pod, report, previous, stage, failure } = input;
  let statuses = statusLists(input);
  const ephemeral = ephemeralStatuses(input);
  const computed = failure === undefined ? podPhase(pod, statuses, stage === 'terminated') : 'Failed';
  const conditions = podConditions({
    pod,
    phase: computed,
    statuses,
    sandboxReady: report?.sandboxReady ?? false,
    previous: previous.conditions ?? [],
    observedGeneration: pod.metadata.generation,
    now: input.now,
  });

  let phase: Phase = computed;
  let said: { reason?: string; message?: string } = {};
  if (stage === 'terminated') {
    statuses = withUnknownEnds(pod, statuses);
    if (phase === 'Pending' || phase === 'Running') phase = 'Failed';
    said = failure ?? {};
  } else if (computed === 'Failed' || computed === 'Succeeded') {
    phase = (previous.phase ?? 'Pending') as Phase;
    said = {
      ...(previous.reason && { reason: previous.reason }),
      ...(previous.message && { message: previous.message }),
    };
  }

  const podIPs =
    report !== undefined && report.podIPs.length > 0 ? report.podIPs : (previous.podIPs ?? []).map((p) => p.ip);
  const status: PodStatus = {
    // What others own stays as it is.
    ...(previous.nominatedNodeName === undefined ? {} : { nominatedNodeName: previous.nominatedNodeName }),
    ...(previous.resourceClaimStatuses === undefined ? {} : { resourceClaimStatuses: previous.resourceClaimStatuses }),
    phase,
    ...said,
    conditions,
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    ...hostAddresses(input.hostIPs),
    ...(podIPs.length === 0 ? {} : { podIP: podIPs[0] as string, podIPs: podIPs.map((ip) => ({ ip })) }),
    startTime: previous.startTime ?? rfc3339(input.now),
    ...(statuses.init.length === 0 ? {} : { initContainerStatuses: [...statuses.init] }),
    containerStatuses: [...statuses.regular].sort(byName),
    ...(ephemeral.length === 0 ? {} : { ephemeralContainerStatuses: ephemeral }),
    ...(previous.qosClass === undefined ? {} : { qosClass: previous.qosClass }),
  };
  return { status, over: failure !== undefined || isOver(pod, statuses) };
}

/** The status of a pod that the node does not take. Follows pkg/kubelet/kubelet.go `rejectPod`. */
export function rejectedStatus(pod: Pod, reason: string, message: string, now: number): PodStatus {
  return {
    ...pod.status,
    phase: 'Failed',
    reason,
    message: `Pod was rejected: ${message}`,
    startTime: pod.status?.startTime ?? rfc3339(now),
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
  };
}

export function isTerminal(phase: string | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function hostAddresses(ips: readonly string[]): Pick<PodStatus, 'hostIP' | 'hostIPs'> {
  return ips.length === 0 ? {} : { hostIP: ips[0] as string, hostIPs: ips.map((ip) => ({ ip })) };
}

function statusLists(input: StatusInput): StatusLists {
  const { spec } = input.pod;
  return {
    init: (spec.initContainers ?? []).map((c) => containerStatus(input, c)),
    regular: spec.containers.map((c) => containerStatus(input, c)),
  };
}

function ephemeralStatuses(input: StatusInput): ContainerStatus[] {
  return (input.pod.spec.ephemeralContainers ?? []).map((c) => containerStatus(input, c)).sort(byName);
}

function containerStatus(input: StatusInput, container: Container | EphemeralContainer): ContainerStatus {
  const reported = input.report?.containers.find((c) => c.name === container.name);
  return reported === undefined ? unreported(input, container) : asStatus(container, reported);
}

function asStatus(container: Container | EphemeralContainer, report: ContainerReport): ContainerStatus {
  return {
    name: container.name,
    state: report.state,
    lastState: report.lastState ?? {},
    ready: report.ready,
    started: report.started,
    restartCount: report.restartCount,
    image: report.image ?? container.image ?? '',
    imageID: report.imageID ?? '',
    ...(report.containerID ? { containerID: report.containerID } : {}),
    ...(report.user === undefined ? {} : { user: report.user }),
    ...volumeMounts(container),
  };
}

/** Before the provider has said anything, what the API server knows stands; before that, the kubelet's default. */
function unreported(input: StatusInput, container: Container | EphemeralContainer): ContainerStatus {
  const { pod, previous } = input;
  const known = [
    ...(previous.initContainerStatuses ?? []),
    ...(previous.containerStatuses ?? []),
    ...(previous.ephemeralContainerStatuses ?? []),
  ].find((c) => c.name === container.name);
  if (known !== undefined && input.waiting === undefined) return known;
  const hasInit = (pod.spec.initContainers?.length ?? 0) > 0;
  return {
    name: container.name,
    state: { waiting: input.waiting ?? { reason: hasInit ? 'PodInitializing' : 'ContainerCreating' } },
    lastState:
      known?.state?.terminated === undefined ? (known?.lastState ?? {}) : { terminated: known.state.terminated },
    ready: false,
    started: false,
    restartCount: known?.restartCount ?? 0,
    image: container.image ?? '',
    imageID: '',
    ...volumeMounts(container),
  };
}

function volumeMounts(container: Container | EphemeralContainer): Pick<ContainerStatus, 'volumeMounts'> {
  if (container.volumeMounts === undefined || container.volumeMounts.length === 0) return {};
  return {
    volumeMounts: container.volumeMounts.map((mount) => ({
      name: mount.name,
      mountPath: mount.mountPath,
      ...(mount.readOnly === true ? { readOnly: true, recursiveReadOnly: mount.recursiveReadOnly ?? 'Disabled' } : {}),
    })),
  };
}

/**
 * When all is over, a container without an end gets one: nobody will ever know better. Init containers that were never
 * reached, and regular ones behind them, keep waiting.
 */
function withUnknownEnds(pod: Pod, statuses: StatusLists): StatusLists {
  const inits = statuses.init;
  const lastBegun = inits.findLastIndex((s) => s.state?.waiting === undefined || s.lastState?.terminated !== undefined);
  const initialized = (pod.spec.initContainers ?? []).every((c) => {
    const status = inits.find((s) => s.name === c.name);
    return c.restartPolicy === 'Always'
      ? status?.started === true || status?.state?.terminated !== undefined
      : status?.state?.terminated?.exitCode === 0;
  });
  return {
    init: inits.map((s, i) => (i <= lastBegun ? withUnknownEnd(s) : s)),
    regular: initialized ? statuses.regular.map(withUnknownEnd) : statuses.regular,
  };
}

function withUnknownEnd(status: ContainerStatus): ContainerStatus {
  if (status.state?.terminated !== undefined) return status;
  return {
    ...status,
    state: {
      terminated: {
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the pod was terminated',
        exitCode: 137,
      },
    },
  };
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
