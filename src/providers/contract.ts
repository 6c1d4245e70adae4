/**
 * The seam of anylet: what a backend is to the framework. Types only.
 *
 * There are two kinds of plugin. A {@link PodProvider} takes whole pods (a cloud container service, the simulated
 * provider). A {@link ContainerRuntime} takes single containers (host processes, Docker Engine, CRI); the engine
 * implements `PodProvider` once on top of any of them, and with it the pod's whole life.
 *
 * Identity is the pod's UID everywhere: a new pod under an old name is another pod.
 */
import type { Duplex, Readable, Writable } from 'node:stream';

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type {
  ContainerStateRunning,
  ContainerStateTerminated,
  ContainerStateWaiting,
  ContainerStatus,
  NodeCondition,
  Pod,
  PodStatus,
} from '../core/objects.ts';
import type {
  CpuUsage,
  FileSystemUsage,
  MemoryUsage,
  NetworkUsage,
  SwapUsage,
  UsageScope,
} from '../core/resource-usage.ts';

/** The version of this contract. A plugin that names another is refused at load. */
export const contractVersion = 'anylet/v1alpha1';

// ---------------------------------------------------------------------------------------------------------------
// Plugins

/** What a plugin module exports as `provider`. `C` is its configuration after `configSchema` has parsed it. */
export interface ProviderPlugin<C = unknown> {
  readonly apiVersion: typeof contractVersion;
  readonly kind: 'PodProvider' | 'ContainerRuntime';
  /**
   * Parses `provider.config` of the configuration file; throws with a message that names each wrong key.
   * A zod schema fits as it is.
   */
  readonly configSchema: { parse(input: unknown): C };
  /** Called once, before the node registers. Rejecting ends the start with the error's message. */
  create(config: C, context: ProviderContext): Promise<PodProvider | ContainerRuntime>;
}

/** A plugin of kind `PodProvider`, with its types tied together. */
export interface PodProviderPlugin<C = unknown> extends ProviderPlugin<C> {
  readonly kind: 'PodProvider';
  create(config: C, context: ProviderContext): Promise<PodProvider>;
}

/** A plugin of kind `ContainerRuntime`, with its types tied together. */
export interface ContainerRuntimePlugin<C = unknown> extends ProviderPlugin<C> {
  readonly kind: 'ContainerRuntime';
  create(config: C, context: ProviderContext): Promise<ContainerRuntime>;
}

/** All that a plugin gets from the daemon. It never touches the API server itself. */
export interface ProviderContext {
  readonly nodeName: string;
  /** The node's addresses, primary family first. */
  readonly nodeIPs: readonly string[];
  /**
   * A folder of the plugin's own under the daemon's state directory; exists. Other users may pass through it (mode
   * 0711), since containers of theirs must reach what is theirs below; what is private in it needs modes of its own.
   */
  readonly stateDir: string;
  /** Where container logs lie, in the kubelet's layout (`<ns>_<pod>_<uid>/<container>/<n>.log`). */
  readonly logs: {
    readonly directory: string;
    readonly maxSizeBytes: number;
    readonly maxFiles: number;
    /** Folder for links to the current logs, named as log agents expect them; absent: none are made. */
    readonly links?: string;
  };
  /** What pods are told of the cluster: its name servers (none when it has none for this node) and its domain. */
  readonly cluster: { readonly dns: readonly string[]; readonly domain: string };
  readonly clock: Clock;
  readonly log: Logger;
  /** Records an Event about a pod; never blocks, never throws. */
  events(pod: PodRef, type: 'Normal' | 'Warning', reason: string, message: string, containerFieldPath?: string): void;
  /** Aborted when the daemon stops. */
  readonly signal: AbortSignal;
}

/** What names a pod in an event, a log line or a path. */
export interface PodRef {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
}

// ---------------------------------------------------------------------------------------------------------------
// PodProvider

/** A backend that owns whole pods. Optional methods are capabilities: without one the node answers 501. */
export interface PodProvider {
  /** Short name, e.g. `simulated`; shown in errors and as the scheme of container IDs. */
  readonly name: string;
  /** `<type>://<version>` for the Node's `containerRuntimeVersion`. */
  readonly runtimeVersion: string;

  /**
   * A complete listing of what the backend holds for this node, then `synced`, then changes, for ever.
   * Iterated once, from start to the signal's abort. Restarted with back-off when it throws.
   */
  watch(signal: AbortSignal): AsyncIterable<PodEvent>;

  /**
   * Make this pod exist; idempotent by UID. Resolves when the backend has accepted it; what happens then shows in
   * reports. Called again for pods that the backend already holds after the daemon restarted (adoption).
   * `lastStatus` is what the API server last knew. `InvalidInput` refuses the pod; anything else is retried.
   */
  run(pod: Pod, resolver: PodResolver, lastStatus: PodStatus | undefined): Promise<void>;

  /** What may change in a live pod (images, resources, ephemeral containers, metadata, deadline) has changed. */
  update?(pod: Pod): Promise<void>;

  /**
   * Stop every container of the pod and resolve with its last report when none of them runs any more;
   * `undefined` when the pod is not known, which is success. Idempotent; calling again with a shorter grace
   * shortens the stop in flight.
   */
  stop(uid: string, options: StopOptions): Promise<PodReport | undefined>;

  /** Forget a stopped pod and free what is kept for it (logs, volumes, records). Unknown is success. */
  remove?(uid: string): Promise<void>;

  /** Resolves when the backend works; rejects with what is wrong, which becomes the node's Ready message. */
  health(): Promise<void>;

  /** Leave the backend; pods go on running. Idempotent. */
  close(): Promise<void>;

  /** What the node should say of the backend: capacity, conditions. Asked at start and every 10 s. */
  node?(): Promise<NodeFacts>;

  /** The log bytes of one container instance, as `kubectl logs` prints them. Rejects before the first byte. */
  logs?(target: ContainerInstance, options: LogOptions, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Run a command beside the container's main process. Resolves when it has ended. */
  exec?(target: ContainerInstance, request: ExecRequest): Promise<ExitStatus>;
  /** Join the container's own streams. Resolves when the container ends or the signal aborts; never kills it. */
  attach?(target: ContainerInstance, request: AttachRequest): Promise<void>;
  /** Connect `stream` with a port inside the pod. Resolves when both directions have ended. */
  portForward?(uid: string, port: number, stream: Duplex, signal: AbortSignal): Promise<void>;
  /**
   * What the pods use, of those that run. Asked whenever somebody scrapes the node, several times a minute: with
   * `cpuAndMemory` it must be cheap.
   */
  stats?(scope: UsageScope): Promise<readonly PodUsage[]>;
}

/** A value of {@link PodProvider.watch}. */
export type PodEvent =
  | { readonly type: 'report'; readonly report: PodReport }
  /** The listing is complete: whatever was not reported does not exist. */
  | { readonly type: 'synced' }
  /** The backend holds nothing of this pod any more. */
  | { readonly type: 'gone'; readonly uid: string };

/** All that a backend knows of one pod, at one moment. */
export interface PodReport extends PodRef {
  /** `metadata.generation` of the spec that this report is about, when known. */
  readonly observedGeneration?: number;
  /** The pod's sandbox exists and has its network. */
  readonly sandboxReady: boolean;
  /** At most one per family, the node's primary family first. Kept after the pod ended. */
  readonly podIPs: readonly string[];
  /** Init, regular and ephemeral containers; names are unique in a pod. */
  readonly containers: readonly ContainerReport[];
  /** Set when the pod as a whole cannot go on: it becomes Failed with this reason and message. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

/** A container's state as the kubelet shows it: exactly one of the three. */
export type ContainerState =
  | { readonly waiting: ContainerStateWaiting }
  | { readonly running: ContainerStateRunning }
  | { readonly terminated: ContainerStateTerminated };

export interface ContainerReport {
  readonly name: string;
  readonly state: ContainerState;
  /** The previous instance, when it is known. */
  readonly lastState?: { readonly terminated: ContainerStateTerminated };
  /** `<type>://<id>`; empty before the first instance exists. */
  readonly containerID?: string;
  readonly image?: string;
  readonly imageID?: string;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restartCount: number;
  /** Linux user the container runs as, when known. */
  readonly user?: ContainerStatus['user'];
}

/** What one pod uses. What the backend does not know is absent. */
export interface PodUsage extends PodRef {
  /** Those that run. */
  readonly containers: readonly ContainerUsage[];
  /** Of the pod as a whole, where it is more than the sum of its containers. */
  readonly cpu?: CpuUsage;
  readonly memory?: MemoryUsage;
  /** Absent for a pod that shares the node's network. */
  readonly network?: NetworkUsage;
}

/** What one running container uses. */
export interface ContainerUsage {
  readonly name: string;
  /** `<type>://<id>`. */
  readonly containerID: string;
  readonly image: string;
  /** Milliseconds since the epoch; tells a restart from a counter that went back. */
  readonly startedAt: number;
  readonly cpu?: CpuUsage;
  readonly memory?: MemoryUsage;
  readonly swap?: SwapUsage;
  readonly processCount?: number;
  readonly threadCount?: number;
  /** What the container has written beside its volumes. */
  readonly rootfs?: FileSystemUsage;
  readonly logs?: FileSystemUsage;
}

export interface StopOptions {
  readonly gracePeriodSeconds: number;
  /** Why, for events and logs: `deleted`, `evicted`, `deadline`, `orphaned`, `shutdown`, … */
  readonly reason: string;
  /** The pod, where the API server has it: a backend that knows it from its own listing only learns its spec here. */
  readonly pod?: Pod;
}

export interface NodeFacts {
  /** Quantities by resource name; what is absent keeps the node's own figure. */
  readonly capacity?: Readonly<Record<string, string>>;
  /** Extra conditions or replacements by type. */
  readonly conditions?: readonly Pick<NodeCondition, 'type' | 'status' | 'reason' | 'message'>[];
}

/** One instance of one container. */
export interface ContainerInstance {
  readonly uid: string;
  readonly container: string;
  /** `<type>://<id>` from the pod's status; absent when any running instance will do. */
  readonly containerID?: string;
}

/** `v1.PodLogOptions`, checked. */
export interface LogOptions {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number;
  readonly limitBytes?: number;
  /** Lines older than this are skipped; milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly stream: 'All' | 'Stdout' | 'Stderr';
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Streams of a remote command. The caller owns their ends: the provider ends `stdout` and `stderr` after the last
 * byte, and honours their back-pressure; it stops reading `stdin` when the process is gone.
 */
export interface RemoteStreams {
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  /** Absent with a terminal, whose output is one stream. */
  readonly stderr?: Writable;
  readonly tty: boolean;
  readonly resize?: AsyncIterable<TerminalSize>;
  /** Aborted when the client left: what the exec started is to be killed. */
  readonly signal: AbortSignal;
}

export interface ExecRequest extends RemoteStreams {
  readonly command: readonly string[];
}

export type AttachRequest = RemoteStreams;

/** How a command ended. Killed by signal N is 128 + N. */
export interface ExitStatus {
  readonly exitCode: number;
}

// ---------------------------------------------------------------------------------------------------------------
// Resolver: what a pod's spec refers to, answered when asked, because answers change

export interface PodResolver {
  /**
   * A container's environment, expanded command and arguments, and working directory, resolved afresh.
   * Rejects with {@link ContainerWaiting} while it cannot be resolved (a missing ConfigMap, a missing key).
   */
  container(name: string, podIPs: readonly string[]): Promise<ResolvedContainer>;
  /**
   * The files of a configMap, secret, downwardAPI or projected volume. Rejects with `NotFound` while an object
   * that is not optional is missing.
   */
  volume(name: string, podIPs: readonly string[]): Promise<VolumeContent>;
  /** The same answers, up to half a minute old: for what is looked at again and again. Absent: ask this one. */
  readonly cached?: PodResolver;
}

export interface ResolvedContainer {
  /** In order; a later entry of the same name has already replaced the earlier. */
  readonly env: Readonly<Record<string, string>>;
  /** `command` after expansion; empty when the spec has none. */
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir?: string;
}

export interface VolumeContent {
  readonly files: readonly VolumeFile[];
}

export interface VolumeFile {
  /** Relative to the volume's root; no `..`, no leading slash (checked by the resolver). */
  readonly path: string;
  readonly data: Uint8Array;
  /** Permission bits, e.g. 0o644. */
  readonly mode: number;
  /** The user who must own the file, where it is private to one (a token); absent: whoever writes it. */
  readonly uid?: number;
}

/** Why a container cannot be created now, in the kubelet's words. Thrown by resolvers and runtimes. */
export interface ContainerWaiting extends Error {
  /** A waiting reason: `CreateContainerConfigError`, `CreateContainerError`, `RunContainerError`, `ErrImagePull`, … */
  readonly waitingReason: string;
}

// ---------------------------------------------------------------------------------------------------------------
// ContainerRuntime

/** A backend that owns single containers, shaped as CRI is. The engine drives it; nothing else does. */
export interface ContainerRuntime {
  readonly name: string;
  readonly runtimeVersion: string;
  /** Capabilities the engine asks about. */
  readonly features: {
    /** The runtime keeps images and pulls them. Without, image events are left out and policies are satisfied. */
    readonly images: boolean;
    /** Pods share the node's network: the pod's IPs are the node's. */
    readonly hostNetworkOnly: boolean;
    /** Where the service variables of `default/kubernetes` point; `direct` is where the daemon itself reaches it. */
    readonly apiServerAddress?: 'direct' | 'clusterIP';
  };

  /**
   * Every sandbox and container that the runtime holds for this node, then `synced`, then changes, for ever.
   * A change is the whole record. Events may be coalesced, never reordered for one container.
   */
  watch(signal: AbortSignal): AsyncIterable<RuntimeEvent>;

  /** Create and start a sandbox. Not idempotent: the engine asks once per attempt. */
  runSandbox(config: SandboxConfig): Promise<SandboxRecord>;
  /** Stop a sandbox and kill what still runs in it. Unknown is success. */
  stopSandbox(id: string): Promise<void>;
  /** Remove a stopped sandbox and its containers. Unknown is success. */
  removeSandbox(id: string): Promise<void>;

  /** Record a container without starting it. Rejects with {@link ContainerWaiting}. */
  createContainer(sandbox: SandboxRecord, config: ContainerConfig): Promise<ContainerRecord>;
  /**
   * Start a created container. Rejects with {@link ContainerWaiting} (`RunContainerError`) when its program cannot
   * be started; the record has then ended with exit code 128 and reason `StartError`.
   */
  startContainer(id: string): Promise<void>;
  /**
   * The stop signal to the main process, then after `graceSeconds` SIGKILL to all that belongs to the container.
   * Resolves when nothing of it runs. A second call with a shorter grace shortens the first. Unknown is success.
   */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Remove an ended container's record and files but its log. Unknown is success. */
  removeContainer(id: string): Promise<void>;

  exec?(id: string, request: ExecRequest): Promise<ExitStatus>;
  attach?(id: string, request: AttachRequest): Promise<void>;
  portForward?(sandboxID: string, port: number, stream: Duplex, signal: AbortSignal): Promise<void>;
  /** What the running containers use. Asked several times a minute: with `cpuAndMemory` it must be cheap. */
  stats?(scope: UsageScope): Promise<readonly RuntimeUsage[]>;

  health(): Promise<void>;
  close(): Promise<void>;
  node?(): Promise<NodeFacts>;
}

/** A {@link ContainerUsage} by the record's id; the engine knows the rest. */
export interface RuntimeUsage extends Omit<ContainerUsage, 'name' | 'containerID' | 'image' | 'logs' | 'startedAt'> {
  readonly id: string;
}

export type RuntimeEvent =
  | { readonly type: 'sandbox'; readonly sandbox: SandboxRecord }
  | { readonly type: 'container'; readonly container: ContainerRecord }
  | { readonly type: 'sandboxRemoved'; readonly id: string }
  | { readonly type: 'containerRemoved'; readonly id: string }
  | { readonly type: 'synced' };

export interface SandboxConfig {
  readonly pod: PodRef;
  /** 0 for the first sandbox of a pod, +1 for each that replaces it. */
  readonly attempt: number;
  readonly hostname: string;
  readonly hostNetwork: boolean;
  /** Absolute; `<logs>/<ns>_<name>_<uid>`. The runtime need not create it. */
  readonly logDirectory: string;
}

export interface SandboxRecord {
  readonly id: string;
  readonly pod: PodRef;
  readonly attempt: number;
  readonly state: 'ready' | 'notReady';
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly podIPs: readonly string[];
}

export interface ContainerConfig {
  readonly name: string;
  /** 0 for the first instance, +1 for each restart: the container's restart count. */
  readonly attempt: number;
  readonly image: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  /** Absolute path of this instance's log file, CRI format. */
  readonly logPath: string;
  readonly mounts: readonly Mount[];
  readonly user: ContainerUser;
  /** e.g. `SIGTERM`; absent means the runtime's default. */
  readonly stopSignal?: string;
  /** Kept with the record and given back unchanged: the engine's own memory across restarts. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Mount {
  /** Name of the volume, for messages. */
  readonly name: string;
  readonly hostPath: string;
  readonly containerPath: string;
  readonly readOnly: boolean;
}

/** Merged pod and container security context, as far as it names users. */
export interface ContainerUser {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly supplementalGroups?: readonly number[];
  readonly fsGroup?: number;
  readonly runAsNonRoot?: boolean;
}

export interface ContainerRecord {
  readonly id: string;
  readonly sandboxID: string;
  readonly pod: PodRef;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageID: string;
  readonly logPath: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly status: ContainerRuntimeStatus;
  readonly user?: ContainerStatus['user'];
}

export type ContainerRuntimeStatus =
  | { readonly state: 'created' }
  | { readonly state: 'running'; readonly startedAt: number; readonly pid?: number }
  | {
      readonly state: 'exited';
      /** 0 when it never started. */
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly exitCode: number;
      /** `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`. */
      readonly reason: string;
      readonly message?: string;
    };
