import { timedOut } from '../../core/errors.ts';
import type { ApiStatus } from '../../core/objects.ts';
import { flushed } from '../flushed.ts';
import { remoteCommandProtocol as protocols } from '../remote-command-session.ts';
import type { RemoteCommandSession, WantedStreams } from '../remote-command-session.ts';
import { statusJson, statusText } from '../status.ts';
import type { StreamingSettings } from '../streaming-options.ts';
import type { Upgrade } from '../upgrade.ts';
import { SpdyConnection } from './connection.ts';
import type { SpdyStream } from './stream.ts';
import { acceptSpdy, negotiateSpdy } from './upgrade.ts';

/** The versions served, newest first. v5 exists over WebSocket only. */
const supported = [protocols.v4, protocols.v3, protocols.v2, protocols.v1];

const streamTypes = ['error', 'stdin', 'stdout', 'stderr', 'resize'] as const;
type StreamType = (typeof streamTypes)[number];

/**
 * Answers a SPDY upgrade and waits until the client has created every stream it wants
 * (`k8s.io/kubelet/pkg/cri/streaming/remotecommand/httpstream.go`). Undefined when it did not in time or left: the
 * connection is then closed.
 */
export async function openSpdySession(
  upgrade: Upgrade,
  want: WantedStreams,
  options: StreamingSettings,
): Promise<RemoteCommandSession | undefined> {
  const protocol = negotiateSpdy(upgrade, supported);
  const resizes = protocol === protocols.v4 || protocol === protocols.v3;
  const expected = new Set<StreamType>(['error']);
  for (const type of ['stdin', 'stdout', 'stderr'] as const) if (want[type]) expected.add(type);
  if (want.tty && resizes) expected.add('resize');

  const streams = new Map<StreamType, SpdyStream>();
  const complete = Promise.withResolvers<boolean>();
  const connection = new SpdyConnection(acceptSpdy(upgrade, protocol), {
    role: 'server',
    clock: options.clock,
    idleTimeoutMs: options.idleTimeoutMs,
    // Five streams are all there is; the rest is room for types that a later client may add.
    maxStreams: 16,
    admit: (headers) => !streams.has(headers.get('streamtype') as StreamType),
    onStream(stream) {
      const type = streamTypes.find((name) => name === stream.streamHeaders.get('streamtype'));
      if (type === undefined || !expected.has(type)) {
        options.log.debug('stream of a remote command ignored', { streamType: stream.streamHeaders.get('streamtype') });
        stream.discardIncoming();
        return;
      }
      if (type !== 'stdin' && type !== 'resize') stream.discardIncoming();
      streams.set(type, stream);
      if (streams.size === expected.size) complete.resolve(true);
    },
  });
  connection.signal.addEventListener('abort', () => complete.resolve(false), { once: true });
  const cancelTimeout = options.clock.after(options.creationTimeoutMs, () => {
    options.log.warn('timed out waiting for client to create streams', { protocol, created: [...streams.keys()] });
    connection.close(timedOut('timed out waiting for client to create streams'));
  });
  const created = await complete.promise;
  cancelTimeout();
  if (!created) {
    await connection.closed;
    return undefined;
  }
  return sessionOf(connection, protocol, streams);
}

function sessionOf(
  connection: SpdyConnection,
  protocol: string,
  streams: ReadonlyMap<StreamType, SpdyStream>,
): RemoteCommandSession {
  const error = streams.get('error') as SpdyStream;
  const stdin = streams.get('stdin');
  const stdout = streams.get('stdout');
  const stderr = streams.get('stderr');
  const resize = streams.get('resize');
  if (protocol === protocols.v1) {
    // What a 1.0 kubelet did and its clients expect: no status at all, and our half of stdin closed from the start.
    error.destroy();
    stdin?.end();
  }
  return {
    ...(stdin && { stdin }),
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    ...(resize && { resize }),
    signal: connection.signal,
    closed: connection.closed,
    async finish(status: ApiStatus) {
      const text = protocol === protocols.v4 ? statusJson(status) : statusText(status);
      if (!error.destroyed) error.write(text);
      await flushed(error);
      connection.close();
      await connection.closed;
    },
    close: (reason) => connection.close(reason),
    destroy: (reason) => connection.destroy(reason),
  };
}
