import { flushed } from '../flushed.ts';
import { remoteCommandProtocol as protocols } from '../remote-command-session.ts';
import type { RemoteCommandSession, WantedStreams } from '../remote-command-session.ts';
import { statusJson, statusText } from '../status.ts';
import type { StreamingSettings } from '../streaming-options.ts';
import type { Upgrade } from '../upgrade.ts';
import { ChannelSocket } from './channel-socket.ts';
import { acceptWebSocket, negotiateWebSocket } from './upgrade.ts';

/** '' is a client that names no subprotocol; it gets binary messages and plain-text errors. */
const supported: readonly string[] = [
  '',
  protocols.v1,
  protocols.v1Base64,
  protocols.v4,
  protocols.v4Base64,
  protocols.v5,
];
const withJsonStatus: readonly string[] = [protocols.v4, protocols.v4Base64, protocols.v5];
const withBase64: readonly string[] = [protocols.v1Base64, protocols.v4Base64];

/** Channel numbers of the remote-command protocols. */
export const channelNumber = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

/**
 * Answers a WebSocket upgrade for a remote command (`k8s.io/kubelet/pkg/cri/streaming/remotecommand/websocket.go`):
 * all streams exist from the start. A stream that was not asked for is not there, and what comes for it is dropped.
 */
export async function openWebSocketSession(
  upgrade: Upgrade,
  want: WantedStreams,
  settings: StreamingSettings,
): Promise<RemoteCommandSession> {
  const protocol = negotiateWebSocket(upgrade, supported);
  const socket = new ChannelSocket(await acceptWebSocket(upgrade, protocol), {
    channels: Object.keys(channelNumber).length,
    base64: withBase64.includes(protocol),
    closeSignal: protocol === protocols.v5,
    idleTimeoutMs: settings.idleTimeoutMs,
    clock: settings.clock,
  });
  const input = { reads: true, writes: false };
  const output = { reads: false, writes: true };
  const error = socket.channel(channelNumber.error, output);
  const streams = {
    ...(want.stdin && { stdin: socket.channel(channelNumber.stdin, input) }),
    ...(want.stdout && { stdout: socket.channel(channelNumber.stdout, output) }),
    ...(want.stderr && { stderr: socket.channel(channelNumber.stderr, output) }),
    ...(want.tty && { resize: socket.channel(channelNumber.resize, input) }),
  };
  // An empty message on the lowest channel that we write tells the client that the session is up.
  const lowest = want.stdout ? channelNumber.stdout : want.stderr ? channelNumber.stderr : channelNumber.error;
  socket.notify(lowest, Buffer.alloc(0));
  return {
    ...streams,
    signal: socket.signal,
    closed: socket.closed,
    async finish(status) {
      const text = withJsonStatus.includes(protocol) ? statusJson(status) : statusText(status);
      if (!error.destroyed && text !== '') error.write(text);
      await flushed(error);
      socket.close();
      await socket.closed;
    },
    close: (reason) => socket.close(reason),
    destroy: (reason) => socket.destroy(reason),
  };
}
