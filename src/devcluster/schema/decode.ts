import { Interning } from '../interning.ts';
import { Quantity } from '../../core/quantity.ts';
import { badRequest } from '../api-error.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { schemaOf, type Field, type FieldType } from './field-types.ts';

/** What decoding an object found besides errors. */
export interface Decoded {
  /** A fresh copy without unknown fields, nulls and empty optional lists, its times and quantities canonical. */
  readonly value: JsonObject;
  /** `unknown field "spec.foo"`, one for each field that the type does not have. */
  readonly unknownFields: string[];
}

/**
 * Reads `value` as the type `typeName`, as Kubernetes' JSON decoder does: wrong types are a 400 in Go's words,
 * unknown fields are dropped and reported. What comes out is what would be stored and sent back.
 */
export function decode(typeName: string, value: JsonObject): Decoded {
  const unknownFields: string[] = [];
  return { value: decodeStruct(typeName, value, '', unknownFields), unknownFields };
}

function decodeStruct(typeName: string, value: JsonObject, path: string, unknown: string[]): JsonObject {
  const schema = schemaOf(typeName);
  const result: JsonObject = {};
  for (const key in value) {
    const item = value[key] as Json;
    const field = schema.get(key);
    const at = path === '' ? key : `${path}.${key}`;
    if (field === undefined) {
      unknown.push(`unknown field ${JSON.stringify(at)}`);
      continue;
    }
    if (item === null) continue;
    const decoded = decodeValue(field.type, item, at, typeName, unknown);
    if (isOmitted(field, decoded)) continue;
    // What is always written and holds nothing is null, as it is after a way through etcd.
    result[key] = field.unset === 'zero' && isEmptyList(decoded) ? null : decoded;
  }
  for (const [key, { type, unset }] of schema) {
    if (unset !== 'nothing' && result[key] === undefined) result[key] = unset === 'null' ? null : unsetValue(type);
  }
  return result;
}

function isEmptyList(value: Json): boolean {
  return Array.isArray(value) && value.length === 0;
}

/** What Go writes of a field that nobody has set, when it writes one. */
function unsetValue(type: FieldType): Json {
  if (type.kind === 'struct') return decodeStruct(type.name, {}, '', []);
  if (type.kind !== 'scalar') return null;
  switch (type.name) {
    case 'boolean':
      return false;
    case 'quantity':
      return '0';
    case 'time':
    case 'microTime':
    case 'any':
      return null;
    case 'int32':
    case 'int64':
    case 'double':
    case 'intOrString':
      return 0;
    default:
      return '';
  }
}

/** What Go's `omitempty` leaves out: optional lists, maps and scalars without content. */
function isOmitted({ type, required, pointer, unset }: Field, value: Json): boolean {
  if (required || pointer || unset !== 'nothing') return false;
  switch (type.kind) {
    case 'list':
      return (value as Json[]).length === 0;
    case 'map':
      return Object.keys(value as JsonObject).length === 0;
    case 'scalar':
      return value === '' || value === false || (value === 0 && type.name !== 'intOrString');
    case 'struct':
      return false;
  }
}

function decodeValue(type: FieldType, value: Json, path: string, owner: string, unknown: string[]): Json {
  switch (type.kind) {
    case 'struct':
      if (!isJsonObject(value)) throw wrongType(value, type, path, owner);
      return decodeStruct(type.name, value, path, unknown);
    case 'list':
      if (!Array.isArray(value)) throw wrongType(value, type, path, owner);
      return value.map((item, i) =>
        item === null ? zeroOf(type.of) : decodeValue(type.of, item, `${path}[${i}]`, owner, unknown),
      );
    case 'map': {
      if (!isJsonObject(value)) throw wrongType(value, type, path, owner);
      const result: JsonObject = {};
      for (const key in value) {
        const item = value[key] as Json;
        const decoded = item === null ? zeroOf(type.of) : decodeValue(type.of, item, path, owner, unknown);
        result[key] = isQuantity(type.of) ? wholeMillis(decoded as string) : decoded;
      }
      return result;
    }
    case 'scalar':
      return decodeScalar(type, value, path, owner);
  }
}

/** What a null item of a list or map becomes in Go. */
function zeroOf(type: FieldType): Json {
  if (type.kind === 'struct') return {};
  if (type.kind !== 'scalar') return null;
  return type.name === 'boolean' ? false : type.name.startsWith('int') || type.name === 'double' ? 0 : '';
}

function decodeScalar(type: FieldType & { kind: 'scalar' }, value: Json, path: string, owner: string): Json {
  const wrong = () => wrongType(value, type, path, owner);
  switch (type.name) {
    case 'any':
      return structuredClone(value);
    case 'boolean':
      if (typeof value !== 'boolean') throw wrong();
      return value;
    case 'int32':
    case 'int64':
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong();
      if (type.name === 'int32' && (value > 2 ** 31 - 1 || value < -(2 ** 31))) throw wrong();
      return value;
    case 'double':
      if (typeof value !== 'number') throw wrong();
      return value;
    case 'intOrString':
      if (typeof value !== 'string' && typeof value !== 'number') throw wrong();
      return value;
    case 'quantity': {
      if (typeof value !== 'string' && typeof value !== 'number') throw wrong();
      return canonicalQuantity(value);
    }
    case 'bytes': {
      if (typeof value !== 'string') throw wrong();
      const bytes = Buffer.from(value, 'base64').toString('base64');
      if (bytes !== value.replaceAll(/[\r\n]/g, ''))
        throw badRequest(`illegal base64 data at input byte ${firstDifference(value, bytes)}`);
      return bytes;
    }
    case 'time':
    case 'microTime':
      if (typeof value !== 'string') throw wrong();
      return decodeTime(value, type.name === 'microTime');
    default:
      if (typeof value !== 'string') throw wrong();
      return interning.text(value);
  }
}

const interning = new Interning();

function isQuantity(type: FieldType): boolean {
  return type.kind === 'scalar' && type.name === 'quantity';
}

const nanosPerMilli = 1_000_000n;

/** Amounts of resources are kept in thousandths, rounded up (SetDefaults_ResourceList). */
function wholeMillis(text: string): string {
  const { nanos, format } = Quantity.parse(text);
  const rest = nanos % nanosPerMilli;
  return rest === 0n ? text : new Quantity(nanos + (nanos > 0n ? nanosPerMilli - rest : -rest), format).toString();
}

function canonicalQuantity(value: string | number): string {
  try {
    return Quantity.parse(typeof value === 'string' ? value.trim() : value).toString();
  } catch {
    throw badRequest("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
  }
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** A Time loses its fraction, a MicroTime must have exactly six digits of it; both end up in UTC. */
function decodeTime(text: string, micro: boolean): string {
  const match = time.exec(text);
  const ms = Date.parse(text);
  if (match === null || Number.isNaN(ms) || (micro && match[1]?.length !== 7)) {
    const layout = micro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
    // Go says where the text leaves the layout; most often that is at its very beginning or at its fraction.
    const rest =
      match === null ? `${JSON.stringify(text)} as "2006"` : `${JSON.stringify(text.slice(19))} as ".000000"`;
    throw badRequest(`parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${rest}`);
  }
  const seconds = new Date(ms).toISOString().slice(0, 19);
  return micro ? `${seconds}${match[1]}Z` : `${seconds}Z`;
}

function firstDifference(a: string, b: string): number {
  let i = 0;
  while (i < a.length && a[i] === b[i]) i++;
  return i;
}

function wrongType(value: Json, type: FieldType, path: string, owner: string) {
  const got = Array.isArray(value)
    ? 'array'
    : typeof value === 'boolean'
      ? 'bool'
      : typeof value === 'number' && isInteger(type)
        ? `number ${value}`
        : typeof value;
  return badRequest(
    `json: cannot unmarshal ${got} into Go struct field ${owner}.${path.replaceAll(/\[\d+\]/g, '')} of type ${goType(type)}`,
  );
}

function isInteger(type: FieldType): boolean {
  return type.kind === 'scalar' && type.name.startsWith('int');
}

function goType(type: FieldType): string {
  switch (type.kind) {
    case 'list':
      return `[]${goType(type.of)}`;
    case 'map':
      return `map[string]${goType(type.of)}`;
    case 'struct':
      return `v1.${type.name}`;
    case 'scalar':
      return (
        {
          boolean: 'bool',
          double: 'float64',
          bytes: '[]uint8',
          time: 'v1.Time',
          microTime: 'v1.MicroTime',
          quantity: 'resource.Quantity',
          intOrString: 'intstr.IntOrString',
          any: 'object',
        }[type.name] ?? type.name
      );
  }
}
