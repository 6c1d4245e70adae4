import { isIPv4 } from 'node:net';

import { z } from 'zod';

import { invalidInput } from '../../core/errors.ts';
import type { Pod } from '../../core/objects.ts';

const duration = z
  .union([
    z
      .number()
      .nonnegative()
      .transform((seconds) => seconds * 1000),
    z
      .string()
      .regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'is not a duration such as 500ms, 5s or 2m')
      .transform(milliseconds),
  ])
  .describe('A number of seconds, or text such as 500ms, 5s, 2m, 1h');

const share = z.number().min(0).max(1);

/** `provider.config` of the simulated provider; described in readme.md. */
export const configSchema = z.strictObject({
  startDelay: duration.default(0),
  stopDelay: duration.default(0),
  runFor: duration.optional(),
  exitCode: z.int().min(0).max(255).default(0),
  startFailures: share.default(0),
  exitFailures: share.default(0),
  podCIDR: z
    .string()
    .refine((text) => isIPv4Range(text), 'is not an IPv4 range between /8 and /30, such as 198.18.0.0/15')
    .default('198.18.0.0/15'),
});

export type SimulatedConfig = z.output<typeof configSchema>;

/** What one pod does. Times in milliseconds. */
export interface Script {
  readonly startDelayMs: number;
  readonly stopDelayMs: number;
  /** Absent: it runs until it is stopped. */
  readonly runForMs?: number;
  readonly exitCode: number;
  /** Its containers never start, and wait with this. */
  readonly failStart?: { readonly reason: string; readonly message: string };
}

const prefix = 'simulated.anylet.io/';

/** The annotations that direct one pod, as their readers. */
const readers = {
  'start-delay': (text: string) => duration.parse(text),
  'stop-delay': (text: string) => duration.parse(text),
  'run-for': (text: string) => duration.parse(text),
  'exit-code': (text: string) => z.int().min(0).max(255).parse(Number(text)),
  'fail-start': (text: string) => {
    const [reason = '', ...message] = text.split(':');
    return { reason: reason.trim(), message: message.join(':').trim() || 'asked for by annotation' };
  },
};

/**
 * What a pod is to do: its annotations, else the provider's configuration. Chance is the pod's UID, so that a pod
 * fares the same after the daemon was restarted. Throws `InvalidInput` for an annotation that cannot be read.
 */
export function scriptOf({ metadata }: Pod, config: SimulatedConfig): Script {
  const said = annotationsOf(metadata.annotations);
  const failsStart = chance(metadata.uid, 'start') < config.startFailures;
  const failsExit = chance(metadata.uid, 'exit') < config.exitFailures;
  const runForMs = said['run-for'] ?? config.runFor;
  const failStart =
    said['fail-start'] ?? (failsStart ? { reason: 'CreateContainerError', message: 'simulated failure' } : undefined);
  return {
    startDelayMs: said['start-delay'] ?? config.startDelay,
    stopDelayMs: said['stop-delay'] ?? config.stopDelay,
    exitCode: said['exit-code'] ?? (failsExit ? 1 : config.exitCode),
    ...(runForMs === undefined ? {} : { runForMs }),
    ...(failStart === undefined ? {} : { failStart }),
  };
}

type Annotations = { readonly [K in keyof typeof readers]?: ReturnType<(typeof readers)[K]> };

function annotationsOf(annotations: Readonly<Record<string, string>> = {}): Annotations {
  const said: Record<string, unknown> = {};
  for (const [key, text] of Object.entries(annotations)) {
    if (!key.startsWith(prefix)) continue;
    const name = key.slice(prefix.length);
    if (!Object.hasOwn(readers, name)) throw invalidInput(`annotation ${key} is unknown to the simulated provider`);
    try {
      said[name] = readers[name as keyof typeof readers](text);
    } catch (err) {
      throw invalidInput(`annotation ${key}: ${JSON.stringify(text)} cannot be read`, err);
    }
  }
  return said;
}

function milliseconds(text: string): number {
  const [, digits = '', unit = ''] = /^([\d.]+)(\D+)$/.exec(text) ?? [];
  return Number(digits) * ({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[unit] ?? Number.NaN);
}

/** A number between 0 and 1 that is always the same for a UID and a question. */
function chance(uid: string, question: string): number {
  return hash(`${question}/${uid}`) / 2 ** 32;
}

/** FNV-1a, 32 bits, mixed once more at the end: UIDs that differ in one digit must end far apart. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

function isIPv4Range(text: string): boolean {
  const [address = '', bits = ''] = text.split('/');
  return isIPv4(address) && /^\d+$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 30;
}
