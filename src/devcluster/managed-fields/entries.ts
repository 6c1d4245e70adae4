import type { ManagedFieldsEntry } from '../api-object.ts';
import { isJsonObject, type Json } from '../json.ts';

/**
 * The entries that a client has sent with an object. `forgotten`: one empty entry, which is how a client asks to
 * forget them all. Undefined: none, those that are known, or some that are no entries: they change nothing.
 */
export function readManagedFields(
  value: Json | undefined,
  known?: readonly ManagedFieldsEntry[],
): ManagedFieldsEntry[] | 'forgotten' | undefined {
  if ((value as unknown) === known || !Array.isArray(value) || value.length === 0) return undefined;
  if (value.length === 1 && isJsonObject(value[0]) && Object.keys(value[0]).length === 0) return 'forgotten';
  return value.every(isEntry) ? (value as unknown as ManagedFieldsEntry[]) : undefined;
}

/** True when two lists of entries differ at most in when things were set. */
export function sameButForTimes(a: readonly ManagedFieldsEntry[], b: readonly ManagedFieldsEntry[]): boolean {
  const timeless = (entries: readonly ManagedFieldsEntry[]) =>
    JSON.stringify(entries.map(({ time: _time, ...entry }) => entry));
  return a === b || timeless(a) === timeless(b);
}

function isEntry(value: Json): boolean {
  if (!isJsonObject(value)) return false;
  const { manager = 'unknown', operation, apiVersion, fieldsType = 'FieldsV1', fieldsV1 } = value;
  return (
    typeof manager === 'string' &&
    (operation === 'Apply' || operation === 'Update') &&
    typeof apiVersion === 'string' &&
    fieldsType === 'FieldsV1' &&
    isFieldSet(fieldsV1)
  );
}

function isFieldSet(value: Json | undefined): boolean {
  return (
    isJsonObject(value) &&
    Object.entries(value).every(([step, node]) => (step === '.' || /^[fkv]:/.test(step)) && isFieldSet(node))
  );
}
