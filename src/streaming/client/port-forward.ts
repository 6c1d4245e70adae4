import type { Duplex } from 'node:stream';

import { systemClock } from '../../core/clock.ts';
import type { Clock } from '../../core/clock.ts';
import { portForwardProtocol } from '../forwarded-port.ts';
import { SpdyConnection } from '../spdy/connection.ts';
import { onAbort } from '../streaming-options.ts';
import { tunnelPrefix, WebSocketTunnel } from '../websocket/tunnel.ts';
import { requestSpdy } from './upgrade-request.ts';
import type { StreamingTarget } from './upgrade-request.ts';
import { openWebSocket } from './web-socket.ts';

export interface PortForwardTarget extends StreamingTarget {
  /** SPDY, or SPDY tunnelled in a WebSocket. */
  readonly transport: 'spdy' | 'websocket';
  readonly clock?: Clock;
}

/** One forwarded connection. */
export interface ForwardedConnection {
  readonly data: Duplex;
  /** What the server said went wrong, '' when nothing; resolves when the server is done with this connection. */
  readonly error: Promise<string>;
}

/** The client's end of a port forward. */
export interface PortForwardClient {
  connect(port: number, signal?: AbortSignal): Promise<ForwardedConnection>;
  /** Aborts when the connection ends. */
  readonly signal: AbortSignal;
  /** Leaves. Idempotent; resolves when the connection is closed. */
  close(): Promise<void>;
}

/** Opens a port forward at a kubelet, an API server or a CRI runtime's streaming URL. */
export async function openPortForward(target: PortForwardTarget): Promise<PortForwardClient> {
  const { clock = systemClock } = target;
  const transport =
    target.transport === 'spdy'
      ? (await requestSpdy(target, [portForwardProtocol])).transport
      : new WebSocketTunnel((await openWebSocket(target, [tunnelPrefix + portForwardProtocol])).socket, clock);
  const connection = new SpdyConnection(transport, { role: 'client', clock });
  void connection.closed.then(onAbort(target.signal, (reason) => connection.destroy(reason)));
  let requests = 0;
  return {
    async connect(port, signal) {
      const headers = { port: String(port), requestID: String(requests++) };
      const error = await connection.open({ ...headers, streamType: 'error' }, signal);
      error.end();
      const data = await connection.open({ ...headers, streamType: 'data' }, signal);
      return {
        data,
        error: error
          .setEncoding('utf8')
          .toArray()
          .then((pieces) => pieces.join('')),
      };
    },
    signal: connection.signal,
    close() {
      connection.close();
      return connection.closed;
    },
  };
}
