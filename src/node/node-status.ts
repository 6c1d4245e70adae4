import { rfc3339 } from '../core/clock.ts';
import type { NodeCondition, NodeStatus } from '../core/objects.ts';

/** What a Node says of itself that does not change while the daemon runs. */
export interface NodeDescription {
  readonly name: string;
  /** Primary family first. */
  readonly ips: readonly string[];
  readonly kubeletPort: number;
  readonly kubeletVersion: string;
  readonly containerRuntimeVersion: string;
  readonly machine: {
    readonly operatingSystem: string;
    readonly architecture: string;
    readonly kernelVersion: string;
    readonly osImage: string;
    readonly machineID: string;
    readonly systemUUID: string;
    readonly bootID: string;
  };
  /** Quantities by resource name. */
  readonly capacity: Readonly<Record<string, string>>;
  /** Features of 1.36's node declarations that this node has. */
  readonly declaredFeatures: readonly string[];
}

/** What changes: the provider's word on itself. */
export interface NodeHealth {
  /** Undefined when all is well, else what the Ready condition says. */
  readonly problem: string | undefined;
  /** Quantities that the provider changed, by resource name. */
  readonly capacity?: Readonly<Record<string, string>>;
  readonly conditions?: readonly Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>[];
}

type Verdict = Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>;

const noPressure: readonly Verdict[] = [
  {
    type: 'MemoryPressure',
    status: 'False',
    reason: 'KubeletHasSufficientMemory',
    message: 'kubelet has sufficient memory available',
  },
  {
    type: 'DiskPressure',
    status: 'False',
    reason: 'KubeletHasNoDiskPressure',
    message: 'kubelet has no disk pressure',
  },
  {
    type: 'PIDPressure',
    status: 'False',
    reason: 'KubeletHasSufficientPID',
    message: 'kubelet has sufficient PID available',
  },
];

/**
 * The status to report now. Conditions and fields of others in `previous` are kept; transition times stand while a
 * condition's status does. Follows pkg/kubelet/nodestatus/setters.go.
 */
export function nodeStatus(
  description: NodeDescription,
  health: NodeHealth,
  previous: NodeStatus,
  now: number,
): NodeStatus {
  const { machine } = description;
  const capacity = { ...description.capacity, ...health.capacity };
  const ready: Verdict =
    health.problem === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: health.problem };
  const given = health.conditions ?? [];
  const own = [...noPressure.filter((c) => !given.some((g) => g.type === c.type)), ...given, ready];
  return {
    ...previous,
    capacity,
    allocatable: capacity,
    addresses: [
      ...description.ips.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: description.name },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: description.kubeletPort } },
    nodeInfo: {
      machineID: machine.machineID,
      systemUUID: machine.systemUUID,
      bootID: machine.bootID,
      kernelVersion: machine.kernelVersion,
      osImage: machine.osImage,
      containerRuntimeVersion: description.containerRuntimeVersion,
      kubeletVersion: description.kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: machine.operatingSystem,
      architecture: machine.architecture,
    },
    conditions: [
      ...(previous.conditions ?? []).filter((c) => !own.some((o) => o.type === c.type)),
      ...own.map((verdict) => dated(verdict, previous.conditions ?? [], now)),
    ],
    ...(description.declaredFeatures.length === 0
      ? {}
      : { declaredFeatures: [...description.declaredFeatures].sort() }),
  };
}

function dated(verdict: Verdict, previous: readonly NodeCondition[], now: number): NodeCondition {
  const before = previous.find((c) => c.type === verdict.type);
  const stands = before?.status === verdict.status && before.lastTransitionTime !== undefined;
  const at = rfc3339(now);
  return { ...verdict, lastHeartbeatTime: at, lastTransitionTime: stands ? (before.lastTransitionTime as string) : at };
}

/** Whether two statuses say the same, heartbeat times aside. */
export function sameNews(a: NodeStatus, b: NodeStatus): boolean {
  return JSON.stringify(withoutHeartbeats(a)) === JSON.stringify(withoutHeartbeats(b));
}

function withoutHeartbeats(status: NodeStatus): unknown {
  const conditions = (status.conditions ?? [])
    .map(({ type, status, reason, message }) => ({ type, status, reason, message }))
    .sort((x, y) => (x.type < y.type ? -1 : 1));
  const { capacity, allocatable, addresses, daemonEndpoints, nodeInfo, declaredFeatures } = status;
  return sorted({ capacity, allocatable, addresses, daemonEndpoints, nodeInfo, declaredFeatures, conditions });
}

/** The same value with its keys in order, so that two of them compare as text. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== undefined && v !== '')
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  );
}
