/**
 * The shape of every type that this API server knows, read from `schemas.ts`: the published OpenAPI document of
 * Kubernetes 1.36.3, reduced to what a server needs. One line there is one type; a field is written as its type
 * (`string`, `int32`, `Container`, `string[]`, `quantity{}`), then `merge` or `merge=<key>` and `retainKeys` as its
 * strategic-merge strategy, then `required`, or `pointer` when its zero value means something (from the Go types).
 */
import { schemas } from './schemas.ts';

export type FieldType =
  | { readonly kind: 'list' | 'map'; readonly of: FieldType }
  | { readonly kind: 'struct'; readonly name: string }
  | { readonly kind: 'scalar'; readonly name: string };

export interface Field {
  readonly type: FieldType;
  /** A list that a strategic-merge patch merges; with a key its items are objects, without one they are scalars. */
  readonly merge: boolean;
  readonly mergeKey: string | undefined;
  /** The object (or each item) is a union: `$retainKeys` says which fields stay. */
  readonly retainKeys: boolean;
  readonly required: boolean;
  /** An optional scalar whose zero value is written out; another one is left out when it is zero. */
  readonly pointer: boolean;
}

export type Schema = ReadonlyMap<string, Field>;

const parsed = new Map<string, Schema>();

/** The fields of a type. Asking for a type that is not in the data is a mistake in this code base. */
export function schemaOf(name: string): Schema {
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const source = schemas[name];
  if (source === undefined) throw new Error(`no schema for type ${name}`);
  const schema = new Map(Object.entries(source).map(([field, text]) => [field, parseField(text)]));
  parsed.set(name, schema);
  return schema;
}

function parseField(text: string): Field {
  const [type = '', ...words] = text.split(' ');
  const merge = words.find((word) => word.startsWith('merge'));
  return {
    type: parseType(type),
    merge: merge !== undefined,
    mergeKey: merge?.split('=')[1],
    retainKeys: words.includes('retainKeys'),
    required: words.includes('required'),
    pointer: words.includes('pointer'),
  };
}

function parseType(text: string): FieldType {
  if (text.endsWith('[]')) return { kind: 'list', of: parseType(text.slice(0, -2)) };
  if (text.endsWith('{}')) return { kind: 'map', of: parseType(text.slice(0, -2)) };
  return text in schemas ? { kind: 'struct', name: text } : { kind: 'scalar', name: text };
}
