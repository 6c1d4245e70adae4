import type { Request, Response } from 'express';
import { stringify } from 'yaml';

import { rfc3339, type Clock } from '../../core/clock.ts';
import { processStartedAt } from '../../metrics/process-metrics.ts';
import { accepts, parseAccept } from '../accept.ts';
import type { Endpoint } from '../endpoint.ts';
import { answerText } from '../text-answer.ts';

export interface ZPagesOptions {
  readonly clock: Clock;
  /** The version of Kubernetes that the node behaves as, `1.36.3`. */
  readonly kubernetesVersion: string;
  /** Settings by the names of their flags; secrets are none. */
  readonly flags: Readonly<Record<string, string>>;
  /** The endpoints that `/statusz` names by their first segment. */
  readonly paths: readonly string[];
}

/**
 * `/statusz` and `/flagz`: text for people, and by content negotiation a versioned object
 * (`k8s.io/apiserver/pkg/server/{statusz,flagz}`).
 */
export function zPages({ clock, kubernetesVersion, flags, paths }: ZPagesOptions): Endpoint[] {
  const [, emulationVersion = ''] = /^(\d+\.\d+)/.exec(kubernetesVersion) ?? [];
  // The field is there for the version of the runtime, whichever that is.
  const goVersion = `none (Node.js ${process.version})`;
  const listed = [...new Set(paths.flatMap((path) => firstSegment(path) ?? []))].sort();
  const statusz = zPage('statusz', () => {
    const uptimeSeconds = Math.max(0, Math.floor((clock.now() - processStartedAt) / 1000));
    return {
      text: [
        '',
        `Started:  ${unixDate(processStartedAt)}`,
        `Up:  ${uptime(uptimeSeconds)}`,
        `Go version:  ${goVersion}`,
        `Binary version:  ${kubernetesVersion}`,
        `Emulation version:  ${emulationVersion}`,
        `Paths:  ${listed.join(' ')}`,
        '',
      ].join('\n'),
      fields: {
        startTime: rfc3339(processStartedAt),
        uptimeSeconds,
        goVersion,
        binaryVersion: kubernetesVersion,
        emulationVersion,
        paths: listed,
      },
    };
  });
  const sorted = Object.entries(flags).sort(([a], [b]) => (a < b ? -1 : 1));
  const flagz = zPage('flagz', () => ({
    text: sorted.map(([name, value]) => `${name}=${value}\n`).join(''),
    fields: { flags: Object.fromEntries(sorted) },
  }));
  return [statusz, flagz];
}

function zPage(name: 'statusz' | 'flagz', read: () => { text: string; fields: object }): Endpoint {
  const kind = `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  const methods = (req: Request, res: Response) => {
    const wanted = negotiate(req.headers.accept, kind);
    if (wanted === undefined) return notAcceptable(res);
    const { text, fields } = read();
    if (wanted.format === 'text') {
      const warning =
        'Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility guarantees and is for debugging purposes only.';
      return answerText(res, 200, `\nkubelet ${name}\n${warning}\n${text}`);
    }
    if (wanted.version === 'v1alpha1') {
      res.setHeader(
        'Warning',
        `299 - "This version of the ${name} endpoint is deprecated. Please use a newer version."`,
      );
    }
    const apiVersion = `config.k8s.io/${wanted.version}`;
    const object = { kind, apiVersion, metadata: { name: 'kubelet' }, ...fields };
    res.setHeader('Content-Type', `application/${wanted.format}`);
    res.end(wanted.format === 'json' ? `${JSON.stringify(object)}\n` : stringify(object, { sortMapEntries: true }));
  };
  return { patterns: [`/${name}`], paths: [`/${name}`], methods };
}

type Wanted = { readonly format: 'text' } | { readonly format: 'json' | 'yaml'; readonly version: string };

/** Text unless a client names the object and a version of it; undefined when it takes neither. */
function negotiate(accept: string | undefined, kind: string): Wanted | undefined {
  if (accept === undefined || accept.trim() === '') return { format: 'text' };
  for (const clause of parseAccept(accept)) {
    const { as, g, v } = clause.parameters;
    const converts = as !== undefined || g !== undefined || v !== undefined;
    const structured = as === kind && g === 'config.k8s.io' && (v === 'v1alpha1' || v === 'v1beta1');
    for (const format of ['json', 'yaml'] as const) {
      if (structured && accepts(clause, ['application', format])) return { format, version: v };
    }
    if (!converts && accepts(clause, ['text', 'plain'])) return { format: 'text' };
  }
  return undefined;
}

function notAcceptable(res: Response): void {
  const message = 'only the following media types are accepted: application/json, application/yaml, text/plain';
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: 'NotAcceptable',
    code: 406,
  };
  res.setHeader('Content-Type', 'application/json');
  answerText(res, 406, JSON.stringify(status, undefined, 2));
}

function firstSegment(path: string): string | undefined {
  return /^\/[^/]+/.exec(path)?.[0];
}

/** Go's `time.UnixDate`, in UTC. */
function unixDate(ms: number): string {
  const [, weekday, day = '', month, year, time] =
    /^(\w+), (\d+) (\w+) (\d+) (\S+)/.exec(new Date(ms).toUTCString()) ?? [];
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${time} UTC ${year}`;
}

function uptime(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${Math.floor(seconds / 3600)} hr ${two(Math.floor(seconds / 60) % 60)} min ${two(seconds % 60)} sec`;
}
