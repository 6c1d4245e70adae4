import type { RequestHandler } from 'express';

import type { Clock } from '../core/clock.ts';
import type { HttpMetrics } from '../metrics/kubelet-metrics.ts';
import { isUpgrade } from './upgrade.ts';

const methods = new Set(['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT']);

/** First segments of the paths that are told apart; all others are `other`, for a client can choose them. */
const paths = new Set([
  'attach',
  'checkpoint',
  'configz',
  'containerLogs',
  'debug',
  'exec',
  'flagz',
  'healthz',
  'logs',
  'metrics',
  'metrics/cadvisor',
  'metrics/probes',
  'metrics/resource',
  'metrics/slis',
  'pods',
  'portForward',
  'run',
  'runningpods',
  'stats',
  'statusz',
]);

const longRunning = new Set(['exec', 'attach', 'portForward', 'debug']);

/** Counts every request, before anybody is asked who they are (`ServeHTTP` of pkg/kubelet/server/server.go). */
export function requestMetrics(
  { requests, durations, inflight, webSockets }: HttpMetrics,
  clock: Clock,
): RequestHandler {
  return (req, res, next) => {
    const startedAt = clock.now();
    const path = pathBucket(req.path);
    const labels = {
      method: methods.has(req.method) ? req.method : 'other',
      path,
      server_type: 'readwrite',
      long_running: String(longRunning.has(path)),
    };
    requests.add(labels);
    inflight.add(labels, 1);
    if (longRunning.has(path) && (req.headers.upgrade ?? '').toLowerCase().includes('websocket')) {
      webSockets.add({ subresource: path.toLowerCase() });
    }
    // A response that was given up for an upgrade never closes; its connection does.
    (isUpgrade(req) ? req.socket : res).once('close', () => {
      inflight.add(labels, -1);
      durations.observe(labels, (clock.now() - startedAt) / 1000);
    });
    next();
  };
}

/** What a path counts as. */
export function pathBucket(path: string): string {
  const [, root = '', below] = path.split('/');
  const bucket = root === 'metrics' && below !== undefined && below !== '' ? `${root}/${below}` : root;
  return paths.has(bucket) ? bucket : 'other';
}
