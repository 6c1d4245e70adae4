import type { Readable, Writable } from 'node:stream';

import type { ApiStatus } from '../core/objects.ts';

/** Which streams the request asked for. */
export interface WantedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** A terminal: its output is all on stdout, and its size may change. */
  readonly tty: boolean;
}

/** A remote command's streams after the handshake, whichever protocol carries them. */
export interface RemoteCommandSession {
  readonly stdin?: Readable;
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** Carries JSON terminal sizes. */
  readonly resize?: Readable;
  /** Aborts when the connection ends. */
  readonly signal: AbortSignal;
  /** Resolves, never rejects, when the connection is closed. */
  readonly closed: Promise<void>;
  /** Writes the status, after all output, and closes the connection in order. Nothing when it is gone. */
  finish(status: ApiStatus): Promise<void>;
  /** Closes the connection in order, without a status. Idempotent. */
  close(reason: Error): void;
  /** Closes the connection at once. Idempotent. */
  destroy(reason: Error): void;
}

/** The remote-command protocols' names (`k8s.io/apimachinery/pkg/util/remotecommand`). */
export const remoteCommandProtocol = {
  v1: 'channel.k8s.io',
  v2: 'v2.channel.k8s.io',
  v3: 'v3.channel.k8s.io',
  v4: 'v4.channel.k8s.io',
  v5: 'v5.channel.k8s.io',
  v1Base64: 'base64.channel.k8s.io',
  v4Base64: 'v4.base64.channel.k8s.io',
} as const;
