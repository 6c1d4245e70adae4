/** The short hashes in names and labels of what controllers create. */
import type { PodTemplate } from './types.ts';

const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** FNV-1a of 32 bits. */
export function fnv1a(bytes: Uint8Array, start = 0x811c9dc5): number {
  let hash = start;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}

/** FNV-1 of 32 bits, which multiplies first. */
export function fnv1(bytes: Uint8Array, start = 0x811c9dc5): number {
  let hash = start;
  for (const byte of bytes) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash;
}

/** A number in letters that make no words (SafeEncodeString in k8s.io/apimachinery/pkg/util/rand/rand.go). */
export function safeEncode(value: number): string {
  return Array.from(String(value), (digit) => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

/**
 * The pod-template-hash of a Deployment's template: FNV-1a in the form of ComputeHash
 * (pkg/controller/controller_utils.go). Upstream hashes Go's print of the struct, this the canonical JSON: the same
 * template has the same hash here, but not the one that another cluster gives it.
 */
export function podTemplateHash(template: PodTemplate, collisionCount: number | undefined): string {
  let hash = fnv1a(Buffer.from(canonicalJson(template)));
  if (collisionCount !== undefined) hash = fnv1a(littleEndian(collisionCount), hash);
  return safeEncode(hash);
}

/** The name hash of a ControllerRevision (HashControllerRevision in pkg/controller/history/controller_history.go). */
export function revisionHash(data: string, collisionCount: number | undefined): string {
  let hash = fnv1(Buffer.from(data));
  if (collisionCount !== undefined) hash = fnv1(Buffer.from(String(collisionCount)), hash);
  return safeEncode(hash);
}

/** JSON with the keys of every object in order, escaped as Go's encoder does. */
export function canonicalJson(value: unknown): string {
  const sorted = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
  return sorted.replaceAll(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function littleEndian(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}
