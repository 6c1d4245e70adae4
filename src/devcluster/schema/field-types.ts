/**
 * The shape of every type that this API server knows, read from `schemas.ts`: the published OpenAPI document of
 * Kubernetes 1.36.3, reduced to what a server needs. One line there is one type; a field is written as its type
 * (`string`, `int32`, `Container`, `string[]`, `quantity{}`), then `merge` or `merge=<key>` and `retainKeys` as its
 * strategic-merge strategy, `set`, `map=<keys>` or `atomic` as its server-side apply type, then `required`, or
 * `pointer` when its zero value means something, `always` or `null` when it is written even if unset, `default=`, and
 * its protobuf field number. `scripts/devcluster-schemas.ts` writes it.
 */
import { atomicTypes, schemas } from './schemas.ts';

export type FieldType =
  | { readonly kind: 'list'; readonly of: FieldType }
  | { readonly kind: 'map'; readonly of: FieldType }
  /** Server-side apply takes an atomic one as one value. */
  | { readonly kind: 'struct'; readonly name: string; readonly atomic: boolean }
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
  /** What is written when the field is unset: its zero value, null, or nothing. */
  readonly unset: 'zero' | 'null' | 'nothing';
  /** How server-side apply merges a list: item by item by the fields `listKeys`, as a set, or as one value. */
  readonly listType: 'map' | 'set' | 'atomic';
  readonly listKeys: readonly string[];
  /** Server-side apply takes the map as one value. */
  readonly atomic: boolean;
  /** What the API server's schema says the field is when it is absent, beyond the zero of its type. */
  readonly defaultText: string | undefined;
  /** What a key field of a list's item is when it is absent. */
  readonly keyDefault: string | number | undefined;
  /** Protobuf field numbers from the outside in. */
  readonly numbers: readonly number[];
}

export type Schema = ReadonlyMap<string, Field>;

const parsed = new Map<string, Schema>();
const zeroKeys: Readonly<Record<string, string | number>> = { string: '', int32: 0, int64: 0 };

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

/** The type of an object by what it says it is: its kind, after its group where two groups have the kind. */
export function typeNamed(apiVersion: string, kind: string): string | undefined {
  const group = apiVersion.split('.', 1)[0] as string;
  const qualified = `${group.charAt(0).toUpperCase()}${group.slice(1)}${kind}`;
  return [qualified, kind].find((name) => Object.hasOwn(schemas, name));
}

function parseField(text: string): Field {
  const [type = '', ...words] = text.split(' ');
  const valueOf = (prefix: string) => words.find((word) => word.startsWith(prefix))?.slice(prefix.length);
  const merge = words.find((word) => word.startsWith('merge'));
  const keys = valueOf('map=');
  return {
    type: parseType(type),
    merge: merge !== undefined,
    mergeKey: merge?.split('=')[1],
    retainKeys: words.includes('retainKeys'),
    required: words.includes('required'),
    pointer: words.includes('pointer'),
    unset: words.includes('always') ? 'zero' : words.includes('null') ? 'null' : 'nothing',
    listType: words.includes('set') ? 'set' : keys === undefined ? 'atomic' : 'map',
    listKeys: keys?.split(',') ?? [],
    atomic: words.includes('atomic'),
    defaultText: valueOf('default='),
    keyDefault: valueOf('default=') ?? (words.includes('pointer') ? undefined : zeroKeys[type]),
    numbers: valueOf('#')?.split('.').map(Number) ?? [],
  };
}

function parseType(text: string): FieldType {
  if (text.endsWith('[]')) return { kind: 'list', of: parseType(text.slice(0, -2)) };
  if (text.endsWith('{}')) return { kind: 'map', of: parseType(text.slice(0, -2)) };
  return Object.hasOwn(schemas, text)
    ? { kind: 'struct', name: text, atomic: atomicTypes.has(text) }
    : { kind: 'scalar', name: text };
}

/** True when server-side apply looks into a value of this type instead of taking it as one. */
export function isGranular(type: FieldType, field: Field | undefined): boolean {
  if (field?.atomic === true) return false;
  if (type.kind === 'list') return field !== undefined && field.listType !== 'atomic';
  return type.kind === 'map' || (type.kind === 'struct' && !type.atomic);
}
