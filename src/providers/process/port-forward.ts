import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';

import { messageOf, unavailable } from '../../core/errors.ts';

/**
 * Connects `stream` with a port of the node's loopback, which is also the pod's: IPv4 first, then IPv6, as
 * container runtimes do. Each side's end is passed on to the other alone; resolves when both have ended.
 * @throws CodedError `Unavailable` when nobody listens.
 */
export async function forwardToLoopback(port: number, stream: Duplex, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const socket = await dial(port, signal);
  const abort = () => {
    socket.destroy();
    stream.destroy();
  };
  signal.addEventListener('abort', abort, { once: true });
  socket.pipe(stream);
  stream.pipe(socket);
  try {
    await Promise.all([finished(socket), finished(stream)]);
  } catch (err) {
    abort();
    signal.throwIfAborted();
    throw unavailable(`port ${port}: ${messageOf(err)}`, err);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function dial(port: number, signal: AbortSignal): Promise<Socket> {
  const failures: string[] = [];
  for (const [family, host] of [
    ['IPv4', '127.0.0.1'],
    ['IPv6', '::1'],
  ] as const) {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (err) {
      socket.on('error', () => {});
      socket.destroy();
      signal.throwIfAborted();
      failures.push(`${family}: ${messageOf(err)}`);
    }
  }
  throw unavailable(`failed to connect to localhost:${port}, ${failures.join(' ')}`);
}
