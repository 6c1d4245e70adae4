/** The file in which a development cluster outlives its process: all objects and the keys that things were signed with. */
import { readFileSync } from 'node:fs';

import { z } from 'zod';

import { invalidInput, messageOf } from '../core/errors.ts';
import { writeFileAtomic } from '../host/atomic-file.ts';
import type { ApiObject } from './api-object.ts';

const format = 'anylet-dev-cluster';
const formatVersion = 1;

const object = z.looseObject({
  kind: z.string(),
  apiVersion: z.string(),
  metadata: z.looseObject({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
});

const schema = z.strictObject({
  format: z.literal(format),
  formatVersion: z.literal(formatVersion),
  /** The version of the last change. */
  version: z.int().positive(),
  authority: z.strictObject({ certPem: z.string(), keyPem: z.string() }),
  /** The key that service accounts' tokens are signed with. */
  tokenKeyPem: z.string(),
  /** By `group/resource`. */
  objects: z.record(z.string(), z.array(object)),
});

/** What a snapshot holds. */
export interface Snapshot {
  readonly version: number;
  readonly authority: { readonly certPem: string; readonly keyPem: string };
  readonly tokenKeyPem: string;
  readonly objects: Readonly<Record<string, readonly ApiObject[]>>;
}

/**
 * Reads a snapshot; undefined when there is none.
 *
 * @throws InvalidInput when the file is there and is not a whole snapshot of this version; it is left as it is
 */
export function readSnapshot(path: string): Snapshot | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unusable(path, messageOf(err), err);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (err) {
    throw unusable(path, 'it is not JSON; it may be cut off', err);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const at = issue?.path.join('.') ?? '';
    throw unusable(
      path,
      `it is not a snapshot of version ${formatVersion}${at === '' ? '' : ` (${at}: ${issue?.message})`}`,
      parsed.error,
    );
  }
  const { version, authority, tokenKeyPem, objects } = parsed.data;
  return { version, authority, tokenKeyPem, objects: objects as unknown as Snapshot['objects'] };
}

/** Replaces a snapshot as a whole; only its owner may read it, for it holds keys and secrets. */
export function writeSnapshot(path: string, snapshot: Snapshot): void {
  writeFileAtomic(path, `${JSON.stringify({ format, formatVersion, ...snapshot })}\n`);
}

function unusable(path: string, why: string, cause: unknown) {
  return invalidInput(`the snapshot ${path} cannot be used: ${why}. Move it away to start afresh.`, cause);
}
