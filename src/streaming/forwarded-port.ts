import type { Duplex } from 'node:stream';

import type { StreamingSettings } from './streaming-options.ts';

/** The one port-forward protocol over SPDY (`k8s.io/kubelet/pkg/cri/streaming/portforward`). */
export const portForwardProtocol = 'portforward.k8s.io';

/**
 * Connects `stream` with a port of the pod; resolves when both directions have ended, rejects when it cannot, which
 * the client is told. `signal` aborts when the client has left or given up this connection.
 */
export type DialPort = (port: number, stream: Duplex, signal: AbortSignal) => Promise<void>;

/** What every transport of port forwarding works with. */
export interface PortForwardSettings extends StreamingSettings {
  /** The sentence that the client gets. */
  readonly describeFailure: (port: number, cause: string) => string;
  readonly signal: AbortSignal | undefined;
}

/** A port number as the kubelet reads it: decimal digits, 1 to 65535. Undefined when it is anything else. */
export function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? port : undefined;
}
