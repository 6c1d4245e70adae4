import type { PodProvider } from '../../providers/contract.ts';
import type { StreamingOptions, WantedStreams } from '../../streaming/index.ts';
import type { PodSource } from '../pod-source.ts';
import { Refusal } from '../refusal.ts';

/** What the endpoints that take a connection over are given. */
export interface StreamingRouteOptions {
  readonly pods: PodSource;
  readonly provider: Pick<PodProvider, 'name' | 'exec' | 'attach' | 'portForward'>;
  /** Time-outs, and the signal of the server that stops. */
  readonly streaming: Required<StreamingOptions>;
}

/**
 * The streams named in the query, each by the value `1` and no other (`NewOptions` in
 * `cri-streaming/pkg/streaming/remotecommand/httpstream.go`). A terminal has one output only. Throws 400 when there
 * is nothing to stream.
 */
export function wantedStreams(query: URLSearchParams): WantedStreams {
  const asked = (name: string) => query.get(name) === '1';
  const tty = asked('tty');
  const wanted = { stdin: asked('input'), stdout: asked('output'), stderr: asked('error') && !tty, tty };
  if (wanted.stdin || wanted.stdout || wanted.stderr) return wanted;
  throw new Refusal(400, 'you must specify at least 1 of stdin, stdout, stderr');
}
