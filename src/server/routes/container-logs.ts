import { pipeline } from 'node:stream/promises';

import type { Response } from 'express';

import type { Clock } from '../../core/clock.ts';
import { codeOf, isAbort, messageOf } from '../../core/errors.ts';
import type { PodProvider } from '../../providers/contract.ts';
import { clientGone, pathParameter, queryOf, type Endpoint } from '../endpoint.ts';
import { instanceOf, specOf, type PodSource } from '../pod-source.ts';
import { lacking, Refusal } from '../refusal.ts';
import { logInstance } from './log-instance.ts';
import { parseLogQuery } from './log-options.ts';

export interface ContainerLogsOptions {
  readonly pods: PodSource;
  readonly provider: Pick<PodProvider, 'name' | 'logs'>;
  readonly clock: Clock;
  /** Aborted when the server stops: logs that are followed end. */
  readonly stopping: AbortSignal;
}

/** `/containerLogs/{namespace}/{pod}/{container}`: the bytes of one container instance's log. */
export function containerLogs({ pods, provider, clock, stopping }: ContainerLogsOptions): Endpoint {
  return {
    patterns: ['/containerLogs', '/containerLogs/'],
    paths: ['/containerLogs/:namespace/:pod/:container'],
    methods: {
      async GET(req, res) {
        const { previous, options } = parseLogQuery(queryOf(req), clock.now());
        const podName = pathParameter(req, 'pod');
        const container = pathParameter(req, 'container');
        const pod = pods.byName(pathParameter(req, 'namespace'), podName);
        if (pod === undefined) throw new Refusal(404, `pod ${JSON.stringify(podName)} does not exist`);
        if (specOf(pod, container) === undefined) {
          throw new Refusal(404, `container ${JSON.stringify(container)} not found in pod ${JSON.stringify(podName)}`);
        }

        const signal = AbortSignal.any([clientGone(res), stopping]);
        let log: AsyncIterable<Uint8Array>;
        try {
          const target = instanceOf(pod, container, logInstance(pod, container, previous));
          if (provider.logs === undefined) throw lacking(provider.name, 'logs');
          log = await provider.logs(target, options, signal);
        } catch (err) {
          if (isAbort(err, signal)) return void res.destroy();
          return refuseLog(res, err);
        }
        await send(log, res, signal);
      },
    },
  };
}

/** The head goes out at once: a client that follows a silent container must learn that it is connected. */
async function send(log: AsyncIterable<Uint8Array>, res: Response, signal: AbortSignal): Promise<void> {
  rawAnswer(res, 200);
  res.flushHeaders();
  try {
    await pipeline(log, res, { signal });
  } catch (err) {
    if (!isAbort(err, signal)) throw err;
  }
}

/**
 * Whatever the producer of a log says is 400, and so reaches whoever asked through the API server word for word;
 * only a capability that is not there is 501.
 */
function refuseLog(res: Response, err: unknown): void {
  const unsupported = codeOf(err) === 'Unsupported' || (err instanceof Refusal && err.status === 501);
  rawAnswer(res, unsupported ? 501 : 400);
  res.end(messageOf(err));
}

/** A log, and a refusal to give one, is chunked and has no content type. */
function rawAnswer(res: Response, status: number): void {
  res.statusCode = status;
  res.setHeader('Transfer-Encoding', 'chunked');
}
