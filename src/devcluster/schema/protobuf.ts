/**
 * Kubernetes' protobuf encoding, read only: kubectl and other Go clients send it for the kinds that they were compiled
 * with and do not try JSON when it is refused, but all of them take JSON for an answer. Messages are read by the field
 * numbers in `schemas.ts`. Follows k8s.io/apimachinery/pkg/runtime/serializer/protobuf and the generated.proto files.
 */
import { badRequest } from '../api-error.ts';
import type { Json, JsonObject } from '../json.ts';
import { schemaOf, typeNamed, type Field, type FieldType } from './field-types.ts';

const prefix = Buffer.from('k8s\0');

/** What a field number of a message stands for: a field, or a message whose fields Go inlines. */
type Slot = { readonly name: string; readonly field: Field } | { readonly inlined: Layout };
type Layout = Map<number, Slot>;

const layouts = new Map<string, Layout>();

/** Reads a whole body: the prefix, then a `runtime.Unknown` that says what is in it. */
export function decodeProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, prefix.length).equals(prefix))
    throw badRequest(
      `provided data does not appear to be a protobuf message, expected prefix [${[...prefix].join(' ')}]`,
    );
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  for (const { number, bytes } of parts(body.subarray(prefix.length))) {
    if (number === 2) raw = bytes;
    if (number !== 1) continue;
    for (const part of parts(bytes)) {
      if (part.number === 1) apiVersion = part.bytes.toString();
      if (part.number === 2) kind = part.bytes.toString();
    }
  }
  const type = typeNamed(apiVersion, kind);
  if (type === undefined)
    throw badRequest(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  return { ...decodeMessage(layoutOf(type), raw), kind, apiVersion };
}

function layoutOf(type: string): Layout {
  let layout = layouts.get(type);
  if (layout !== undefined) return layout;
  layouts.set(type, (layout = new Map()));
  for (const [name, field] of schemaOf(type)) {
    let at: Layout = layout;
    for (const number of field.numbers.slice(0, -1)) {
      const slot = at.get(number) ?? { inlined: new Map() };
      at.set(number, slot);
      if ('inlined' in slot) at = slot.inlined;
    }
    const last = field.numbers.at(-1);
    if (last !== undefined) at.set(last, { name, field });
  }
  return layout;
}

function decodeMessage(layout: Layout, bytes: Buffer, result: JsonObject = {}): JsonObject {
  const maps = new Map<string, [string, Json][]>();
  for (const part of parts(bytes)) {
    const slot = layout.get(part.number);
    if (slot === undefined) continue;
    if ('inlined' in slot) {
      decodeMessage(slot.inlined, part.bytes, result);
      continue;
    }
    const { name, field } = slot;
    const { type } = field;
    if (type.kind === 'list') (result[name] = (result[name] ?? []) as Json[]).push(decodeValue(type.of, part));
    else if (type.kind === 'map') {
      const entries = maps.get(name) ?? [];
      maps.set(name, entries);
      entries.push(decodeEntry(type.of, part.bytes));
    } else result[name] = decodeValue(type, part);
  }
  for (const [name, entries] of maps) result[name] = Object.fromEntries(entries);
  return result;
}

function decodeEntry(type: FieldType, bytes: Buffer): [string, Json] {
  let key = '';
  let value: Json = type.kind === 'scalar' ? '' : null;
  for (const part of parts(bytes)) {
    if (part.number === 1) key = part.bytes.toString();
    if (part.number === 2) value = decodeValue(type, part);
  }
  return [key, value];
}

function decodeValue(type: FieldType, part: Part): Json {
  if (type.kind === 'struct') return decodeMessage(layoutOf(type.name), part.bytes);
  if (type.kind !== 'scalar') {
    // A list or map as the value of a map is a message of its own.
    const items = [...parts(part.bytes)];
    return type.kind === 'list'
      ? items.map((item) => decodeValue(type.of, item))
      : Object.fromEntries(items.map((item) => decodeEntry(type.of, item.bytes)));
  }
  switch (type.name) {
    case 'boolean':
      return part.varint !== 0n;
    case 'int32':
      return Number(BigInt.asIntN(32, part.varint));
    case 'int64':
      return Number(BigInt.asIntN(64, part.varint));
    case 'double':
      return part.bytes.readDoubleLE(0);
    case 'bytes':
      return part.bytes.toString('base64');
    case 'quantity':
      return bytesOf(part.bytes, 1).toString() || '0';
    case 'intOrString':
      return varintOf(part.bytes, 1) === 0n
        ? Number(BigInt.asIntN(32, varintOf(part.bytes, 2)))
        : bytesOf(part.bytes, 3).toString();
    case 'time':
    case 'microTime':
      return decodeTime(part.bytes, type.name === 'microTime');
    case 'any':
      return decodeAny(bytesOf(part.bytes, 1));
    default:
      return part.bytes.toString();
  }
}

/** Seconds and nanoseconds; a message without any is no time. */
function decodeTime(bytes: Buffer, micro: boolean): string | null {
  if (bytes.length === 0) return null;
  const seconds = Number(BigInt.asIntN(64, varintOf(bytes, 1)));
  const text = new Date(seconds * 1000).toISOString().slice(0, 19);
  if (!micro) return `${text}Z`;
  const micros = Math.floor(Number(varintOf(bytes, 2)) / 1000);
  return `${text}.${String(micros).padStart(6, '0')}Z`;
}

function decodeAny(bytes: Buffer): Json {
  if (bytes.length === 0) return null;
  try {
    return JSON.parse(bytes.toString()) as Json;
  } catch (error) {
    throw badRequest(`json parse error: ${(error as Error).message}`);
  }
}

function bytesOf(message: Buffer, number: number): Buffer {
  return [...parts(message)].findLast((part) => part.number === number)?.bytes ?? Buffer.alloc(0);
}

function varintOf(message: Buffer, number: number): bigint {
  return [...parts(message)].findLast((part) => part.number === number)?.varint ?? 0n;
}

/** One field of a message as it is on the wire; `bytes` is empty for a varint, `varint` 0 for bytes. */
interface Part {
  readonly number: number;
  readonly varint: bigint;
  readonly bytes: Buffer;
}

/** Reads a message field by field. Follows https://protobuf.dev/programming-guides/encoding. */
function* parts(message: Buffer): Generator<Part> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw badRequest('unexpected EOF');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw badRequest('proto: integer overflow');
  };
  const take = (length: number): Buffer => {
    if (length > message.length - at) throw badRequest('unexpected EOF');
    at += length;
    return message.subarray(at - length, at);
  };
  const none = Buffer.alloc(0);
  while (at < message.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    switch (Number(tag & 7n)) {
      case 0:
        yield { number, varint: varint(), bytes: none };
        break;
      case 1:
        yield { number, varint: 0n, bytes: take(8) };
        break;
      case 2:
        yield { number, varint: 0n, bytes: take(Number(varint())) };
        break;
      case 5:
        yield { number, varint: 0n, bytes: take(4) };
        break;
      default:
        throw badRequest(`proto: illegal wireType ${Number(tag & 7n)}`);
    }
  }
}
