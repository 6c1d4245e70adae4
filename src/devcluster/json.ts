/** Any JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object whose fields nobody has looked at yet. */
export interface JsonObject {
  [field: string]: Json;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True when both are the same JSON value; the order of an object's fields does not matter, absent equals undefined. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]));
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  for (const key in left) if (!equalJson(left[key], right[key])) return false;
  for (const key in right) if (right[key] !== undefined && left[key] === undefined) return false;
  return true;
}

/**
 * `next` with every part that `previous` has too replaced by that of `previous`, so that both take the memory of one;
 * `previous` itself when they are the same JSON value. Changes `next`, which must not be stored yet.
 */
export function sharing<T>(next: T, previous: unknown): T {
  if (next === previous) return next;
  if (typeof next !== 'object' || typeof previous !== 'object' || next === null || previous === null) return next;
  if (Array.isArray(next) !== Array.isArray(previous)) return next;
  const fields = next as Record<string, unknown>;
  const before = previous as Record<string, unknown>;
  let same = true;
  for (const key in fields) {
    const value = fields[key];
    if (typeof value === 'object' && value !== null) fields[key] = sharing(value, before[key]);
    if (fields[key] !== before[key]) same = false;
  }
  if (same) for (const key in before) if (before[key] !== undefined && fields[key] === undefined) same = false;
  return same ? (previous as T) : next;
}
