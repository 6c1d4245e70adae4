import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';

import { messageOf } from '../../core/errors.ts';
import { flushed } from '../flushed.ts';
import { parsePort } from '../forwarded-port.ts';
import type { DialPort, PortForwardSettings } from '../forwarded-port.ts';
import { remoteCommandProtocol as protocols } from '../remote-command-session.ts';
import { onAbort } from '../streaming-options.ts';
import { UpgradeRefused } from '../upgrade.ts';
import type { Channel } from './channel.ts';
import { ChannelSocket } from './channel-socket.ts';

/** Subprotocols of the old port forwarding; '' stands for naming none. */
export const channelPortForwardProtocols: readonly string[] = ['', protocols.v4, protocols.v4Base64];

/** Channels have one byte on the wire, each port takes two, and 255 is reserved. */
const maxPorts = 127;

/**
 * The ports of an old WebSocket port-forward request: `?port=80&port=443` or `?port=80,443`. Throws
 * {@link UpgradeRefused} with the kubelet's sentence when there is none or one is wrong.
 */
export function portForwardQuery(request: IncomingMessage): readonly number[] {
  const texts = new URL(request.url ?? '/', 'http://node').searchParams.getAll('port');
  if (texts.length === 0) throw new UpgradeRefused(400, 'query parameter "port" is required');
  const ports = texts.flatMap((text) => {
    if (text === '') throw new UpgradeRefused(400, 'query parameter "port" cannot be empty');
    return text.split(',').map((part) => {
      const port = parsePort(part);
      if (port !== undefined) return port;
      if (/^0+$/.test(part)) throw new UpgradeRefused(400, `port ${JSON.stringify(text)} must be > 0`);
      const cause = /^\d+$/.test(part) ? 'value out of range' : 'invalid syntax';
      const parsing = `strconv.ParseUint: parsing ${JSON.stringify(part)}: ${cause}`;
      throw new UpgradeRefused(400, `unable to parse ${JSON.stringify(text)} as a port: ${parsing}`);
    });
  });
  if (ports.length > maxPorts) throw new UpgradeRefused(400, `at most ${maxPorts} ports can be forwarded at once`);
  return ports;
}

/**
 * Port forwarding over the old WebSocket channels (`k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go`): the
 * i-th port has channel 2i for data and 2i+1 for errors, and is dialled once. The first message on each channel is
 * the port's number. The socket closes when all dials are done.
 */
export async function serveChannelPortForward(
  webSocket: WebSocket,
  protocol: string,
  ports: readonly number[],
  dial: DialPort,
  settings: PortForwardSettings,
): Promise<void> {
  const socket = new ChannelSocket(webSocket, {
    channels: ports.length * 2,
    base64: protocol === protocols.v4Base64,
    closeSignal: false,
    idleTimeoutMs: settings.idleTimeoutMs,
    clock: settings.clock,
  });
  const forget = onAbort(settings.signal, (reason) => socket.close(reason));

  async function forward(port: number, data: Channel, error: Channel): Promise<void> {
    try {
      await dial(port, data, socket.signal);
    } catch (failure) {
      if (socket.signal.aborted) return;
      settings.log.warn('port forward failed', { port, err: messageOf(failure) });
      error.write(settings.describeFailure(port, messageOf(failure)));
    }
    await Promise.all([flushed(data), flushed(error)]);
    data.destroy();
  }

  const pairs = ports.map((port, i) => ({
    port,
    data: socket.channel(2 * i, { reads: true, writes: true }),
    error: socket.channel(2 * i + 1, { reads: false, writes: true }),
  }));
  for (const { port, data, error } of pairs) {
    const greeting = Buffer.alloc(2);
    greeting.writeUInt16LE(port);
    socket.notify(data.number, greeting);
    socket.notify(error.number, greeting);
  }
  await Promise.all(pairs.map(({ port, data, error }) => forward(port, data, error)));
  socket.close();
  await socket.closed;
  forget();
}
