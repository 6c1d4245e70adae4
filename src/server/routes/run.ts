import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';

import type { PodProvider } from '../../providers/contract.ts';
import { clientGone, pathParameter, queryOf, type Endpoint, type Handler } from '../endpoint.ts';
import { existingPod, runningInstance, type PodSource } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';

export interface RunOptions {
  readonly pods: PodSource;
  readonly provider: Pick<PodProvider, 'name' | 'exec'>;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
  /** Output kept of one command; more ends it. */
  readonly outputLimitBytes: number;
}

/**
 * `/run/{namespace}/{pod}[/{uid}]/{container}`: runs `cmd`, split at single spaces, and answers what it wrote to
 * stdout, then what it wrote to stderr. A command that fails is 500 (`RunInContainer`, `ExecSync`).
 */
export function run({ pods, provider, stopping, outputLimitBytes }: RunOptions): Endpoint {
  const POST: Handler = async (req, res) => {
    const pod = existingPod(pods, pathParameter(req, 'namespace'), pathParameter(req, 'pod'));
    const container = pathParameter(req, 'container');
    const target = runningInstance(pod, pathParameter(req, 'uid'), container);
    if (target === undefined) throw new Refusal(500, `container not found (${JSON.stringify(container)})`);
    if (provider.exec === undefined) throw lacking(provider.name, 'exec');

    const command = (queryOf(req).get('cmd') ?? '').split(' ');
    const tooMuch = new AbortController();
    const output = new Collector(outputLimitBytes, tooMuch);
    const stdout = output.stream();
    const stderr = output.stream();
    const ended = Promise.all([finished(stdout), finished(stderr)]);
    // It matters only once the command has ended well; until then the command's own error is the answer.
    ended.catch(() => {});

    const signal = AbortSignal.any([clientGone(res), stopping, tooMuch.signal]);
    const { exitCode } = await provider.exec(target, { command, stdout, stderr, tty: false, signal });
    signal.throwIfAborted();
    await ended;
    if (exitCode !== 0) {
      throw new Refusal(500, `command '${command.join(' ')}' exited with ${exitCode}: ${stderr.bytes().toString()}`);
    }
    const body = Buffer.concat([stdout.bytes(), stderr.bytes()]);
    // The kubelet's own label, whatever the bytes are.
    if (body.length > 0) res.setHeader('Content-Type', 'application/json');
    res.setHeader('Content-Length', body.length);
    res.end(body);
  };
  return {
    patterns: ['/run', '/run/'],
    paths: ['/run/:namespace/:pod/:container', '/run/:namespace/:pod/:uid/:container'],
    methods: { POST },
  };
}

interface CollectedStream extends Writable {
  bytes(): Buffer;
}

/** Streams that keep what is written, together up to a limit. */
class Collector {
  #left: number;
  readonly #limitBytes: number;
  readonly #tooMuch: AbortController;

  constructor(limitBytes: number, tooMuch: AbortController) {
    this.#left = limitBytes;
    this.#limitBytes = limitBytes;
    this.#tooMuch = tooMuch;
  }

  stream(): CollectedStream {
    const chunks: Buffer[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#left -= chunk.length;
        if (this.#left >= 0) {
          chunks.push(chunk);
          return done();
        }
        const reason = new Error(`the command wrote more than ${this.#limitBytes} bytes`);
        this.#tooMuch.abort(reason);
        done(reason);
      },
    });
    return Object.assign(stream, { bytes: () => Buffer.concat(chunks) });
  }
}
