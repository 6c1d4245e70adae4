import type { Readable, Writable } from 'node:stream';

import { systemClock } from '../../core/clock.ts';
import type { Clock } from '../../core/clock.ts';
import type { ApiStatus } from '../../core/objects.ts';
import type { TerminalSize } from '../../providers/contract.ts';
import { remoteCommandProtocol as protocols } from '../remote-command-session.ts';
import type { WantedStreams } from '../remote-command-session.ts';
import { SpdyConnection } from '../spdy/connection.ts';
import { onAbort } from '../streaming-options.ts';
import { ChannelSocket } from '../websocket/channel-socket.ts';
import { channelNumber } from '../websocket/remote-command.ts';
import { requestSpdy } from './upgrade-request.ts';
import type { StreamingTarget } from './upgrade-request.ts';
import { openWebSocket } from './web-socket.ts';

export interface RemoteCommandTarget extends StreamingTarget {
  readonly transport: 'spdy' | 'websocket';
  /** What to offer, best first. Default: all that the transport has. An empty list names none (WebSocket only). */
  readonly protocols?: readonly string[];
  readonly clock?: Clock;
}

/** The client's end of a remote command. */
export interface RemoteCommandClient {
  /** The protocol that the server chose; '' when none was named. */
  readonly protocol: string;
  /** Ending it closes the command's stdin, where the protocol can say so: not over WebSocket before v5. */
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  resize(size: TerminalSize): void;
  /**
   * How it ended: undefined when the server said nothing, which before v4 is success; before v4 a failure's text is
   * the message. Rejects when the connection breaks. Read stdout and stderr meanwhile, or it never comes.
   */
  readonly status: Promise<ApiStatus | undefined>;
  /** Leaves. Idempotent; resolves when the connection is closed. */
  close(): Promise<void>;
}

const jsonStatusFrom: readonly string[] = [protocols.v4, protocols.v4Base64, protocols.v5];

/** Opens an exec or attach at a kubelet, an API server or a CRI runtime's streaming URL. */
export function openRemoteCommand(target: RemoteCommandTarget, want: WantedStreams): Promise<RemoteCommandClient> {
  return target.transport === 'spdy' ? openOverSpdy(target, want) : openOverWebSocket(target, want);
}

async function openOverSpdy(target: RemoteCommandTarget, want: WantedStreams): Promise<RemoteCommandClient> {
  const offered = target.protocols ?? [protocols.v4, protocols.v3, protocols.v2, protocols.v1];
  const { transport, protocol } = await requestSpdy(target, offered);
  const connection = new SpdyConnection(transport, { role: 'client', clock: target.clock ?? systemClock });
  void connection.closed.then(onAbort(target.signal, (reason) => connection.destroy(reason)));
  const open = (streamType: string) => connection.open({ streamType }, target.signal);
  try {
    const error = await open('error');
    error.end();
    const stdin = want.stdin ? await open('stdin') : undefined;
    stdin?.discardIncoming();
    const stdout = want.stdout ? await open('stdout') : undefined;
    stdout?.end();
    const stderr = want.stderr && !want.tty ? await open('stderr') : undefined;
    stderr?.end();
    const resizes = protocol === protocols.v4 || protocol === protocols.v3;
    const resize = want.tty && resizes ? await open('resize') : undefined;
    return {
      protocol,
      ...(stdin && { stdin }),
      ...(stdout && { stdout }),
      ...(stderr && { stderr }),
      resize: ({ width, height }) => void resize?.write(JSON.stringify({ Width: width, Height: height })),
      status: handled(statusOf(error, protocol)),
      close() {
        connection.close();
        return connection.closed;
      },
    };
  } catch (failure) {
    connection.destroy();
    throw failure;
  }
}

async function openOverWebSocket(target: RemoteCommandTarget, want: WantedStreams): Promise<RemoteCommandClient> {
  const offered = target.protocols ?? [protocols.v5, protocols.v4, protocols.v1];
  const { socket: webSocket, protocol } = await openWebSocket(target, offered);
  const socket = new ChannelSocket(webSocket, {
    channels: Object.keys(channelNumber).length,
    base64: protocol === protocols.v4Base64 || protocol === protocols.v1Base64,
    closeSignal: false,
    clock: target.clock ?? systemClock,
  });
  const input = { reads: true, writes: false };
  const output = { reads: false, writes: true };
  void socket.closed.then(onAbort(target.signal, (reason) => socket.destroy(reason)));
  const error = socket.channel(channelNumber.error, input);
  const stdin = want.stdin ? socket.channel(channelNumber.stdin, output) : undefined;
  if (protocol === protocols.v5) stdin?.on('finish', () => socket.endChannel(channelNumber.stdin));
  const resize = want.tty ? socket.channel(channelNumber.resize, output) : undefined;
  return {
    protocol,
    ...(stdin && { stdin }),
    ...(want.stdout && { stdout: socket.channel(channelNumber.stdout, input) }),
    ...(want.stderr && !want.tty && { stderr: socket.channel(channelNumber.stderr, input) }),
    resize: ({ width, height }) => void resize?.write(JSON.stringify({ Width: width, Height: height })),
    status: handled(statusOf(error, protocol)),
    close() {
      socket.close();
      return socket.closed;
    },
  };
}

async function statusOf(error: Readable, protocol: string): Promise<ApiStatus | undefined> {
  let text = '';
  for await (const piece of error.setEncoding('utf8')) text += piece;
  if (text === '') return undefined;
  return jsonStatusFrom.includes(protocol) ? (JSON.parse(text) as ApiStatus) : { status: 'Failure', message: text };
}

/** A caller that never asks for the status is not told of its failure. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
