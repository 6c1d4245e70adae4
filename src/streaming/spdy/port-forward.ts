import type { Duplex } from 'node:stream';

import { messageOf, unavailable } from '../../core/errors.ts';
import { Tasks } from '../../core/tasks.ts';
import { flushed } from '../flushed.ts';
import { parsePort } from '../forwarded-port.ts';
import type { DialPort, PortForwardSettings } from '../forwarded-port.ts';
import { onAbort } from '../streaming-options.ts';
import { SpdyConnection } from './connection.ts';
import type { StreamHeaders } from './headers.ts';
import type { SpdyStream } from './stream.ts';

/** Forwarded connections of one client; the streams of more are refused. */
const maxPairs = 1024;
/** How long a dial may go on after the client has reset its data stream: what was received is delivered meanwhile. */
const resetGraceMs = 1_000;

interface Pair {
  readonly requestId: string;
  error?: SpdyStream;
  data?: SpdyStream;
  readonly cancelTimeout: () => void;
}

/**
 * Port forwarding over one SPDY connection (`k8s.io/kubelet/pkg/cri/streaming/portforward/httpstream.go`): each
 * forwarded connection is a pair of streams, `error` and `data`, with the same `requestID`.
 */
export class SpdyPortForward {
  readonly #connection: SpdyConnection;
  readonly #dial: DialPort;
  readonly #settings: PortForwardSettings;
  /** Half-complete pairs by request id; a complete pair belongs to its dial. */
  readonly #pairs = new Map<string, Pair>();
  readonly #dials: Tasks;
  readonly #forgetSignal: () => void;

  constructor(transport: Duplex, dial: DialPort, settings: PortForwardSettings) {
    this.#dial = dial;
    this.#settings = settings;
    this.#dials = new Tasks(settings.log);
    this.#connection = new SpdyConnection(transport, {
      role: 'server',
      clock: settings.clock,
      idleTimeoutMs: settings.idleTimeoutMs,
      maxStreams: 2 * maxPairs,
      admit: (headers) => this.#dials.size + this.#pairs.size < maxPairs && isPortForwardStream(headers),
      onStream: (stream) => this.#addStream(stream),
    });
    this.#forgetSignal = onAbort(settings.signal, (reason) => this.#connection.close(reason));
  }

  /** Resolves when the connection is closed and every dial has settled. */
  async done(): Promise<void> {
    await this.#connection.closed;
    this.#forgetSignal();
    for (const pair of this.#pairs.values()) pair.cancelTimeout();
    this.#pairs.clear();
    await this.#dials.settled();
  }

  #addStream(stream: SpdyStream): void {
    const type = stream.streamHeaders.get('streamtype') === 'error' ? 'error' : 'data';
    const requestId = requestIdOf(stream, type);
    const pair = this.#pairs.get(requestId) ?? this.#newPair(requestId);
    if (pair[type] !== undefined) {
      pair.error?.write(`error processing stream for request ${requestId}: ${type} stream already assigned`);
      stream.destroy();
      return;
    }
    pair[type] = stream;
    if (type === 'error') stream.discardIncoming();
    const { error, data } = pair;
    if (error === undefined || data === undefined) return;
    pair.cancelTimeout();
    this.#pairs.delete(requestId);
    this.#dials.run('port forward', () => this.#forward(error, data));
  }

  #newPair(requestId: string): Pair {
    const { clock, creationTimeoutMs, log } = this.#settings;
    const cancelTimeout = clock.after(creationTimeoutMs, () => {
      this.#pairs.delete(requestId);
      log.warn('port forward timed out waiting for streams', { requestId });
      pair.data?.destroy();
      pair.error?.end(`(request=${requestId}) timed out waiting for streams`);
    });
    const pair: Pair = { requestId, cancelTimeout };
    this.#pairs.set(requestId, pair);
    return pair;
  }

  async #forward(errors: SpdyStream, data: SpdyStream): Promise<void> {
    const port = parsePort(data.streamHeaders.get('port') ?? '') as number;
    const { clock, log, describeFailure } = this.#settings;
    const given = new AbortController();
    let cancelGrace = () => {};
    const giveUpLater = () => {
      cancelGrace = clock.after(resetGraceMs, () => given.abort(unavailable('client reset the forwarded connection')));
    };
    if (data.wasReset) giveUpLater();
    else data.once('reset', giveUpLater);
    try {
      await this.#dial(port, data, AbortSignal.any([this.#connection.signal, given.signal]));
    } catch (failure) {
      // What a client broke off itself is nothing to tell it.
      if (!data.wasReset && !this.#connection.signal.aborted) {
        log.warn('port forward failed', { port, err: messageOf(failure) });
        errors.write(describeFailure(port, messageOf(failure)));
      }
    } finally {
      data.off('reset', giveUpLater);
      cancelGrace();
    }
    await Promise.all([flushed(data), flushed(errors)]);
    data.destroy();
    errors.destroy();
  }
}

function isPortForwardStream(headers: StreamHeaders): boolean {
  const type = headers.get('streamtype');
  return (type === 'error' || type === 'data') && parsePort(headers.get('port') ?? '') !== undefined;
}

/** Clients from before request ids open the error stream first and the data stream right after it. */
function requestIdOf(stream: SpdyStream, type: 'error' | 'data'): string {
  return stream.streamHeaders.get('requestid') || String(type === 'error' ? stream.id : stream.id - 2);
}
