/**
 * The golden table of the API server: `test/golden/api-server/<topic>.json`. A topic is a list of steps that are put to
 * one server in order; a step is a request and what a real API server (without scheduler and controllers) answered.
 * The requests are written by hand, the answers by `scripts/record-api-golden.ts`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Who asks; `anonymous` sends no credentials, unless a header does. */
export const identities = {
  admin: { user: 'kubernetes-admin', groups: ['system:masters'] },
  jane: { user: 'jane', groups: ['developers'] },
  'node n1': { user: 'system:node:n1', groups: ['system:nodes'] },
  anonymous: undefined,
} as const;

export type Identity = keyof typeof identities;

/** One request. `{{step name#/json/pointer}}` in a string stands for that part of the answer to an earlier step. */
export interface GoldenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  /** How many bytes `<padding>` in the body stands for. */
  readonly paddingBytes?: number;
  /** For a watch: requests to make, as administrator, once it is open. */
  readonly during?: readonly GoldenRequest[];
}

/** What the server answered, with placeholders for what differs from run to run. */
export interface GoldenResponse {
  readonly status: number;
  readonly contentType: string;
  /** The texts of its `Warning` headers. */
  readonly warnings?: readonly string[];
  /** The JSON document or the text; of a watch, its events in order. */
  readonly body: unknown;
  /** The server itself ended the watch. */
  readonly ended?: true;
}

export interface GoldenStep {
  readonly name: string;
  readonly as: Identity;
  readonly request: GoldenRequest;
  /** The real server decides from caches that lag behind: recording waits a moment before this step. */
  readonly settle?: true;
  /** Asked again until the answer has this code, for the same reason. */
  readonly eventually?: number;
  /** What of the body counts, where most of it does not: the values at these JSON pointers. */
  readonly pick?: readonly string[];
  /** Which elements of the list at `list` count: those whose `by` (up to a slash) is one of `of`. */
  readonly only?: { readonly list: string; readonly by: string; readonly of: readonly string[] };
  /** Lists at these JSON pointers whose order is nobody's. */
  readonly unordered?: readonly string[];
  /** What counts here and is left out elsewhere. */
  readonly keep?: readonly ('managedFields' | 'columnDescriptions')[];
  readonly response?: GoldenResponse;
}

export interface GoldenTopic {
  readonly about: string;
  /** Namespaces that are there, with their service account, before the first step. */
  readonly namespaces: readonly string[];
  readonly steps: readonly GoldenStep[];
}

const folder = new URL('../../golden/api-server/', import.meta.url);

/** The names of all topics. */
export function goldenTopics(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

export function readTopic(topic: string): GoldenTopic {
  return JSON.parse(readFileSync(new URL(`${topic}.json`, folder), 'utf8')) as GoldenTopic;
}

export function writeTopic(topic: string, content: GoldenTopic): void {
  writeFileSync(new URL(`${topic}.json`, folder), `${format(content, '')}\n`);
}

const lineWidth = 120;

/** JSON with every value that fits on one line on one line, so that a change of one field is a change of one line. */
function format(value: unknown, indent: string, before = 0): string {
  const line = oneLine(value);
  if (typeof value !== 'object' || value === null || indent.length + before + line.length < lineWidth) return line;
  const deeper = `${indent} `;
  if (Array.isArray(value))
    return `[\n${value.map((item) => `${deeper}${format(item, deeper)}`).join(',\n')}\n${indent}]`;
  const fields = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .map(([key, item]) => {
      const label = `${JSON.stringify(key)}: `;
      return `${deeper}${label}${format(item, deeper, label.length)}`;
    });
  return `{\n${fields.join(',\n')}\n${indent}}`;
}

function oneLine(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  if (fields.length === 0) return '{}';
  return `{ ${fields.map(([key, item]) => `${JSON.stringify(key)}: ${oneLine(item)}`).join(', ')} }`;
}
