import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';

import type { Clock } from '../core/clock.ts';
import type { Logger } from '../core/logger.ts';
import type { HttpMetrics } from '../metrics/kubelet-metrics.ts';
import { gate, type GateOptions } from './auth/gate.ts';
import { bodyLimit } from './body-limit.ts';
import type { Endpoint } from './endpoint.ts';
import { mux } from './mux.ts';
import { Refusal, refusalOf } from './refusal.ts';
import { requestLog } from './request-log.ts';
import { requestMetrics } from './request-metrics.ts';
import { answerRefusal } from './text-answer.ts';

export interface AppOptions extends GateOptions {
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  readonly metrics: HttpMetrics;
  /** Largest body that is read and dropped. */
  readonly bodyLimitBytes: number;
}

/**
 * The kubelet API as an Express application. The order is the kubelet's: unknown paths are 404 to everybody, then
 * who it is and whether they may, and only then whether there is such an endpoint and method.
 */
export function createApp({ endpoints, clock, metrics, bodyLimitBytes, ...gateOptions }: AppOptions): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');

  app.use(requestLog(gateOptions.log, clock));
  app.use(requestMetrics(metrics, clock));
  app.use(bodyLimit(bodyLimitBytes));
  app.use(mux(endpoints));
  app.use(gate(gateOptions));
  app.use(refuseEncodedSlash);
  for (const endpoint of endpoints) {
    for (const path of endpoint.paths) app.all(path, dispatch(endpoint.methods));
  }
  app.use(() => {
    throw pageNotFound();
  });
  app.use(answerError(gateOptions.log));
  return app;
}

/** Go matches the decoded path, so that an encoded slash separates segments; no endpoint has that many. */
const refuseEncodedSlash: RequestHandler = (req, _res, next) => {
  if (/%2f/i.test(req.path)) throw pageNotFound();
  next();
};

function dispatch(methods: Endpoint['methods']): RequestHandler {
  if (typeof methods === 'function') return methods;
  return (req, res) => {
    const handler = Object.hasOwn(methods, req.method) ? methods[req.method] : undefined;
    if (handler === undefined)
      throw new Refusal(405, '405: Method Not Allowed', { Allow: Object.keys(methods).join(', ') });
    return handler(req, res);
  };
}

function answerError(log: Logger): ErrorRequestHandler {
  return (err: unknown, req, res, _next) => {
    const refusal = refusalOf(err);
    const { method, path } = req;
    if (refusal.status >= 500)
      log.warn('kubelet API request failed', { method, path, status: refusal.status, err: refusal.body });
    answerRefusal(res, refusal);
  };
}

function pageNotFound(): Refusal {
  return new Refusal(404, '404: Page Not Found');
}
