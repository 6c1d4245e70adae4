import { portForwardProtocol } from './forwarded-port.ts';
import type { DialPort, PortForwardSettings } from './forwarded-port.ts';
import { SpdyPortForward } from './spdy/port-forward.ts';
import { acceptSpdy, negotiateSpdy } from './spdy/upgrade.ts';
import { streamingSettings } from './streaming-options.ts';
import type { StreamingOptions } from './streaming-options.ts';
import { upgradeKind } from './upgrade.ts';
import type { Upgrade } from './upgrade.ts';
import { channelPortForwardProtocols, portForwardQuery, serveChannelPortForward } from './websocket/port-forward.ts';
import { tunnelPrefix, WebSocketTunnel } from './websocket/tunnel.ts';
import { acceptWebSocket, negotiateWebSocket } from './websocket/upgrade.ts';

const tunnelProtocol = `${tunnelPrefix}${portForwardProtocol}`;

export interface PortForwardOptions extends StreamingOptions {
  /** Names the pod in what a client is told of a failure: a sandbox id, or `name_namespace`. */
  readonly pod: string;
  /** Default empty, as CRI runtimes have it. */
  readonly uid?: string;
}

/**
 * Serves one port-forward request: over SPDY, over SPDY tunnelled in a WebSocket, or over the old WebSocket channels
 * with the ports in the request's query.
 *
 * Rejects with {@link UpgradeRefused} before anything is written; the caller answers with it. After that it never
 * rejects: it calls `dial` for each connection, any number at a time, and resolves when the client's connection is
 * closed and every dial has settled.
 */
export async function servePortForward(upgrade: Upgrade, dial: DialPort, options: PortForwardOptions): Promise<void> {
  const settings: PortForwardSettings = {
    ...streamingSettings(options),
    describeFailure: (port, cause) =>
      `error forwarding port ${port} to pod ${options.pod}, uid ${options.uid ?? ''}: ${cause}`,
    signal: options.signal,
  };
  if (upgradeKind(upgrade.request) === 'spdy') {
    const transport = acceptSpdy(upgrade, negotiateSpdy(upgrade, [portForwardProtocol]));
    return new SpdyPortForward(transport, dial, settings).done();
  }
  const protocol = negotiateWebSocket(upgrade, [...channelPortForwardProtocols, tunnelProtocol]);
  if (protocol === tunnelProtocol) {
    const transport = new WebSocketTunnel(await acceptWebSocket(upgrade, protocol), settings.clock);
    return new SpdyPortForward(transport, dial, settings).done();
  }
  const ports = portForwardQuery(upgrade.request);
  return serveChannelPortForward(await acceptWebSocket(upgrade, protocol), protocol, ports, dial, settings);
}
