import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import express, { type ErrorRequestHandler } from 'express';

import { conflict, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { bodyLimit } from './body-limit.ts';
import type { Endpoint } from './endpoint.ts';
import { mux } from './mux.ts';
import { goError, refusalOf } from './refusal.ts';
import { healthz, type HealthCheck } from './routes/healthz.ts';
import { answerRefusal, answerText } from './text-answer.ts';

/** What the health server tells. */
export interface HealthServerOptions {
  /** The checks of `/healthz`, the same as those of the kubelet API. */
  readonly checks: readonly HealthCheck[];
  /** Why `/readyz` is not to say `ok`, in one sentence; undefined when it is. Asked at each request. */
  readonly notReady: () => string | undefined;
  readonly log: Logger;
}

/** Plain HTTP without authentication, for the probes of whatever keeps the daemon running. */
export interface HealthServer {
  /** Resolves when connections are accepted. Port 0 picks a free one. Rejects with `Conflict` when the port is taken. */
  listen(address: string, port: number): Promise<{ readonly port: number }>;
  /** Stop listening and end every connection. Idempotent. */
  close(): Promise<void>;
}

/** Anybody may come here: a probe needs one connection, a short head and no body. */
const maxConnections = 64;
const headersTimeoutMs = 5_000;
const requestTimeoutMs = 10_000;
const bodyLimitBytes = 4 << 10;

/**
 * The kubelet's second, open port (`healthzPort`, `cmd/kubelet/app/server.go`): `/healthz` with one path per check,
 * and beside it `/readyz`, which is 200 while the Node is Ready and else 503 with a sentence. Neither tells more than
 * names of checks and the state that the Node itself shows.
 */
export function createHealthServer({ checks, notReady, log }: HealthServerOptions): HealthServer {
  const readyz: Endpoint = {
    patterns: ['/readyz'],
    paths: ['/readyz'],
    methods: (_req, res) => {
      const problem = notReady();
      if (problem !== undefined) throw goError(503, problem);
      answerText(res, 200, 'ok');
    },
  };
  const endpoints = [...healthz(checks), readyz];

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.use(bodyLimit(bodyLimitBytes));
  app.use(mux(endpoints));
  for (const { paths, methods } of endpoints) {
    for (const path of paths) if (typeof methods === 'function') app.all(path, methods);
  }
  app.use(((err: unknown, _req, res, _next) => answerRefusal(res, refusalOf(err))) satisfies ErrorRequestHandler);

  const server = createServer({ headersTimeout: headersTimeoutMs, requestTimeout: requestTimeoutMs }, app);
  server.maxConnections = maxConnections;

  let closing: Promise<void> | undefined;
  return {
    async listen(address, port) {
      await new Promise<void>((resolve, reject) => {
        const failed = (err: NodeJS.ErrnoException) => {
          const where = `${address}:${port}`;
          reject(
            err.code === 'EADDRINUSE' ? conflict(`healthz cannot listen on ${where}: the port is in use`, err) : err,
          );
        };
        server.once('error', failed);
        server.listen(port, address, () => {
          server.off('error', failed);
          resolve();
        });
      });
      server.on('error', (err) => log.error('healthz server failed', { err: messageOf(err) }));
      return { port: (server.address() as AddressInfo).port };
    },
    close() {
      closing ??= new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}
