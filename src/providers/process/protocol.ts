import type { ProcessIdentity } from '../../host/process-table.ts';
import type { RunAs } from '../../host/find-program.ts';
import type { TerminalSize } from '../../host/terminal.ts';
import type { ContainerRecord, Mount } from '../contract.ts';

/**
 * What the daemon and a shim say to each other, over a socket that only their user can open.
 *
 * A daemon may meet a shim of another package version. `hello`, `drain`, `watch`, `stop` and `remove` and the shape
 * of {@link StoredContainer} therefore never change; all else may change with {@link protocolVersion}, and is not
 * asked of a shim of another one.
 */
export const protocolVersion = 1;

/** How a shim is started: its only argument, as JSON. */
export interface ShimArguments {
  readonly id: string;
  /** The provider's state directory. */
  readonly stateDir: string;
  /** Where it listens; may be outside its folder when that path would be too long for a socket. */
  readonly socket: string;
  readonly version: string;
  readonly bootID: string | undefined;
}

/** What a shim says of itself, in answer to `hello` and in its folder's `shim.json`. */
export interface ShimHello {
  readonly id: string;
  readonly protocol: number;
  readonly version: string;
  readonly process: ProcessIdentity;
  readonly bootID: string | undefined;
  readonly socket: string;
  readonly draining: boolean;
}

/** A container as it lies on disk (mode 0600) and goes over the socket. Holds no environment. */
export interface StoredContainer {
  /** Of the shim that owns it, or did. */
  readonly shim: string;
  readonly record: Omit<ContainerRecord, 'status'>;
  readonly status: StoredStatus;
}

export type StoredStatus =
  | { readonly state: 'created' }
  /** The intent, written before the spawn: a process may or may not exist. */
  | { readonly state: 'starting'; readonly bootID: string | undefined }
  | {
      readonly state: 'running';
      readonly startedAt: number;
      readonly process: ProcessIdentity;
      readonly bootID: string | undefined;
    }
  | Extract<ContainerRecord['status'], { state: 'exited' }>;

/** All that is needed to start a container; the shim keeps it in memory only, for its environment may hold secrets. */
export interface ContainerPlan {
  readonly argv: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly directory: string;
  /** Absent: the shim's own user. */
  readonly user?: RunAs;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly stopSignal: number;
  readonly mounts: readonly Mount[];
  readonly logLimits: { readonly maxSizeBytes: number; readonly maxFiles: number };
}

/** Parameters and results of the requests on a control connection. */
export interface ShimMethods {
  hello: { params: { readonly protocol: number; readonly version: string }; result: ShimHello };
  /** Take no new container; end when the last one has ended. */
  drain: { params: Record<string, never>; result: null };
  /** Send a `container` event for each container, then `synced`, then changes, until the connection ends. */
  watch: { params: Record<string, never>; result: null };
  create: { params: { readonly container: StoredContainer; readonly plan: ContainerPlan }; result: null };
  start: { params: { readonly id: string }; result: null };
  stop: { params: { readonly id: string; readonly graceSeconds: number }; result: null };
  remove: { params: { readonly id: string }; result: null };
}

export type ShimMethod = keyof ShimMethods;

export type ShimRequest = {
  [M in ShimMethod]: { readonly id: number; readonly method: M; readonly params: ShimMethods[M]['params'] };
}[ShimMethod];

export type ShimReply =
  { readonly id: number; readonly result: unknown } | { readonly id: number; readonly error: WireError };

/** An error that keeps what decides about it. */
export interface WireError {
  readonly message: string;
  readonly code?: string;
  readonly waitingReason?: string;
}

export type ShimEvent =
  | { readonly event: 'container'; readonly container: StoredContainer }
  | { readonly event: 'removed'; readonly id: string }
  | { readonly event: 'synced' };

/** First message on a connection that carries one exec or one attach. */
export type StreamRequest =
  | {
      readonly stream: 'exec';
      readonly id: string;
      readonly command: readonly string[];
      readonly tty: boolean;
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
    }
  | {
      readonly stream: 'attach';
      readonly id: string;
      readonly stdin: boolean;
      readonly stdout: boolean;
      readonly stderr: boolean;
    };

/** Messages of such a connection, from the shim. */
export type StreamReply =
  /** The streams are joined; bytes may follow. */
  | { readonly type: 'joined' }
  | { readonly type: 'error'; readonly error: WireError }
  /** So many bytes of stdin were taken by the process: as many more may be sent. */
  | { readonly type: 'taken'; readonly bytes: number }
  /** The last message. */
  | { readonly type: 'exit'; readonly exitCode: number };

/** Messages of such a connection, to the shim. */
export type StreamControl = { readonly type: 'resize'; readonly size: TerminalSize };

/**
 * How many bytes of stdin may be under way. The shim never stops reading its connections, so that it sees at once
 * when a client leaves; this is what keeps a fast client from filling its memory.
 */
export const stdinWindow = 1024 * 1024;
