/**
 * An applied configuration as server-side apply sees it: what it sets, what becomes of the live object with it, and
 * what is taken away from an object. Follows sigs.k8s.io/structured-merge-diff/v6/typed (validate.go, tofieldset.go,
 * merge.go, remove.go).
 */
import { goText } from '../api-error.ts';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { isGranular, schemaOf, type Field, type FieldType } from '../schema/field-types.ts';
import { isMember, nodeOf, noFields, sorted, stepsOf, stepText, type FieldSet } from './field-set.ts';
import { itemStep } from './item-step.ts';

/** What is wrong with a configuration: `.data: expected map, got &{text}`. */
export type Mistakes = string[];

/** The fields that `value` sets; what does not fit its type is noted in `mistakes`. */
export function fieldsOf(typeName: string, value: JsonObject, mistakes: Mistakes = []): FieldSet {
  return fieldsOfObject({ kind: 'struct', name: typeName, atomic: false }, value, '', mistakes);
}

function fieldsOfValue(
  type: FieldType,
  field: Field | undefined,
  value: Json,
  path: string,
  mistakes: Mistakes,
): { readonly leaf: boolean; readonly below: FieldSet } {
  const wrong = mistakeOf(type, value);
  if (wrong !== undefined) mistakes.push(`${path}: ${wrong}`);
  const leaf = { leaf: true, below: noFields };
  if (wrong !== undefined || value === null || !isGranular(type, field)) return leaf;
  if (type.kind !== 'list') {
    const below = fieldsOfObject(type, value as JsonObject, path, mistakes);
    return { leaf: type.kind === 'struct' && Object.keys(value as JsonObject).length === 0, below };
  }
  const result: Record<string, FieldSet> = {};
  for (const [i, item] of (value as Json[]).entries()) {
    const found = itemStep(field as Field, item);
    if ('wrong' in found) {
      mistakes.push(`${path}: element ${i}: ${found.wrong}`);
      continue;
    }
    const { step } = found;
    if (step in result) mistakes.push(`${path}: duplicate entries for key ${stepText(step)}`);
    const { below } = fieldsOfValue(type.of, undefined, item, `${path}${stepText(step)}`, mistakes);
    result[step] = nodeOf(true, below) as FieldSet;
  }
  return { leaf: false, below: sorted(result) };
}

function fieldsOfObject(type: FieldType, value: JsonObject, path: string, mistakes: Mistakes): FieldSet {
  const schema = type.kind === 'struct' ? schemaOf(type.name) : undefined;
  const result: Record<string, FieldSet> = {};
  for (const [key, item] of Object.entries(value)) {
    const field = schema?.get(key);
    const itemType = type.kind === 'map' ? type.of : field?.type;
    const at = `${path}.${key}`;
    if (itemType === undefined) {
      mistakes.push(`${at}: field not declared in schema`);
      continue;
    }
    const { leaf, below } = fieldsOfValue(itemType, field, item, at, mistakes);
    // An empty map or null is a field of its own, and so is every key of a map.
    const whole = leaf || type.kind === 'map' || (isJsonObject(item) && Object.keys(item).length === 0);
    const node = nodeOf(whole, below);
    if (node !== undefined) result[`f:${key}`] = node;
  }
  return sorted(result);
}

function mistakeOf(type: FieldType, value: Json): string | undefined {
  if (value === null) return undefined;
  const got = `&{${goText(value)}}`;
  if (type.kind === 'list') return Array.isArray(value) ? undefined : `expected list, got ${got}`;
  if (type.kind !== 'scalar') return isJsonObject(value) ? undefined : `expected map, got ${got}`;
  switch (type.name) {
    case 'string':
    case 'bytes':
    case 'time':
    case 'microTime':
      return typeof value === 'string'
        ? undefined
        : `expected string, got &value.valueUnstructured{Value:${goText(value)}}`;
    case 'boolean':
      return typeof value === 'boolean' ? undefined : `expected boolean, got ${got}`;
    case 'int32':
    case 'int64':
    case 'double':
      return typeof value === 'number' ? undefined : `expected numeric (int or float), got ${goType(value)}`;
    case 'quantity':
    case 'intOrString':
      return typeof value === 'object' ? `expected any scalar, got ${got}` : undefined;
    default:
      return undefined;
  }
}

function goType(value: Json): string {
  if (Array.isArray(value)) return '[]interface {}';
  if (isJsonObject(value)) return 'map[string]interface {}';
  return typeof value === 'boolean' ? 'bool' : 'string';
}

/** The live object with what `config` sets. */
export function merge(typeName: string, live: JsonObject, config: JsonObject): JsonObject {
  return mergeValue({ kind: 'struct', name: typeName, atomic: false }, undefined, live, config) as JsonObject;
}

function mergeValue(type: FieldType, field: Field | undefined, live: Json | undefined, config: Json): Json {
  if (!isGranular(type, field)) return config;
  if (type.kind === 'list') {
    if (!Array.isArray(config)) return live ?? config;
    return mergeList(type.of, field as Field, Array.isArray(live) ? live : [], config);
  }
  if (!isJsonObject(config)) return live ?? config;
  const schema = type.kind === 'struct' ? schemaOf(type.name) : undefined;
  const result: JsonObject = isJsonObject(live) ? { ...live } : {};
  for (const [key, item] of Object.entries(config)) {
    const inner = schema?.get(key);
    const innerType = type.kind === 'map' ? type.of : inner?.type;
    if (innerType !== undefined) result[key] = mergeValue(innerType, inner, result[key], item);
  }
  return result;
}

/** The applied items in their order; the live object's others stay where they are between them. */
function mergeList(of: FieldType, field: Field, live: readonly Json[], config: readonly Json[]): Json[] {
  const stepOf = (item: Json): string => {
    const found = itemStep(field, item);
    return 'step' in found ? found.step : '';
  };
  const liveSteps = live.map(stepOf);
  const configSteps = config.map(stepOf);
  const liveItems = new Map<string, Json | undefined>();
  // What is there twice is merged with nothing.
  for (const [i, step] of liveSteps.entries()) liveItems.set(step, liveItems.has(step) ? undefined : live[i]);
  const applied = new Set(configSteps);
  const shared = configSteps.filter((step) => liveItems.has(step));
  const done = new Set<string>();
  const result: Json[] = [];
  const take = (i: number) => {
    const step = configSteps[i] as string;
    done.add(step);
    if (shared[0] === step) shared.shift();
    result.push(mergeValue(of, undefined, liveItems.get(step), config[i] as Json));
  };
  let l = 0;
  let c = 0;
  while (l < live.length || c < config.length) {
    const step = liveSteps[l];
    if (step !== undefined && step === configSteps[c]) {
      take(c++);
      l++;
    } else if (
      step !== undefined &&
      c < config.length &&
      applied.has(step) &&
      shared.length > 0 &&
      shared[0] !== step
    ) {
      // Both have it, but another one comes first.
      l++;
    } else if (step !== undefined && !applied.has(step)) result.push(live[l++] as Json);
    else if (step !== undefined && done.has(step)) l++;
    else take(c++);
  }
  return result;
}

/** The object without the fields of `gone`. A value that loses all that it has goes as a whole. */
export function without(typeName: string, value: JsonObject, gone: FieldSet): JsonObject {
  const left = withoutFields({ kind: 'struct', name: typeName, atomic: false }, undefined, value, gone);
  return isJsonObject(left) ? left : {};
}

function withoutFields(type: FieldType, field: Field | undefined, value: Json, gone: FieldSet): Json | undefined {
  if (type.kind === 'scalar') return value;
  if (!isGranular(type, field)) return undefined;
  if (type.kind === 'list') {
    if (!Array.isArray(value)) return undefined;
    const kept = value.flatMap((item) => {
      const found = itemStep(field as Field, item);
      const node = 'step' in found ? gone[found.step] : undefined;
      if (node === undefined) return [item];
      return isMember(node) ? [] : [withoutFields(type.of, undefined, item, node) ?? null];
    });
    return kept.length > 0 ? kept : undefined;
  }
  if (!isJsonObject(value)) return undefined;
  const schema = type.kind === 'struct' ? schemaOf(type.name) : undefined;
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const node = gone[`f:${key}`];
    const inner = schema?.get(key);
    const innerType = type.kind === 'map' ? type.of : inner?.type;
    if (node === undefined || innerType === undefined) {
      result[key] = item;
    } else if (!isMember(node)) {
      const left = withoutFields(innerType, inner, item, node);
      if (left !== undefined) result[key] = left;
    }
  }
  return Object.keys(result).length > 0 ? result : undefined;
}

/** The set with every struct field on the way to its members: who removes what is in a field may remove the field. */
export function withFieldsOnTheWay(typeName: string, set: FieldSet): FieldSet {
  return membersOnTheWay({ kind: 'struct', name: typeName, atomic: false }, undefined, set);
}

function membersOnTheWay(type: FieldType | undefined, field: Field | undefined, set: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const [step, node] of stepsOf(set)) {
    const inner = type?.kind === 'struct' ? schemaOf(type.name).get(step.slice(2)) : undefined;
    const innerType =
      type?.kind === 'map' || (type?.kind === 'list' && field?.listType === 'map') ? type.of : inner?.type;
    const below = membersOnTheWay(innerType, inner, node);
    result[step] = nodeOf(isMember(node) || inner !== undefined, below) as FieldSet;
  }
  return result;
}
