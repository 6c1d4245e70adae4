/**
 * Kubernetes' strategic merge patch: a merge patch that knows which lists are maps keyed by a field.
 * Follows k8s.io/apimachinery/pkg/util/strategicpatch/patch.go; the keys come from the published schemas.
 */
import { ApiError, badRequest, goText, unprocessable } from '../api-error.ts';
import { equalJson, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { schemaOf, type Field, type FieldType, type Schema } from '../schema/field-types.ts';

const deleteFromPrimitiveList = '$deleteFromPrimitiveList/';
const setElementOrder = '$setElementOrder/';
const noFields: Schema = new Map();

/** Applies `patch` to a copy of `document`, an object of the type `typeName`. */
export function applyStrategicMergePatch(typeName: string, document: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(document, patch, schemaOf(typeName));
}

function mergeObject(original: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  const directive = patch['$patch'];
  if (directive === 'replace') return withoutDirectives(omit(patch, '$patch')) as JsonObject;
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge')
    throw new ApiError(500, '', `unknown patch type: ${goText(directive)} in map: ${goText(patch)}`);

  const result = retained(original, patch);
  const orders = new Map<string, Json[]>();
  const deletions = new Map<string, Json[]>();
  for (const key of Object.keys(patch)) {
    if (key.startsWith(setElementOrder))
      orders.set(key.slice(setElementOrder.length), listOf(patch[key], 'setElementOrder'));
    if (key.startsWith(deleteFromPrimitiveList))
      deletions.set(key.slice(deleteFromPrimitiveList.length), listOf(patch[key], 'primitive'));
  }
  for (const [key, gone] of deletions) {
    const before = result[key];
    if (Array.isArray(before)) result[key] = before.filter((item) => !gone.includes(item));
  }
  for (const key of Object.keys(patch)) {
    if (key.startsWith('$')) continue;
    const value = patch[key] as Json;
    if (value === null) {
      delete result[key];
      continue;
    }
    const order = orders.get(key);
    orders.delete(key);
    // A directive that has nothing to act on leaves nothing.
    if (isJsonObject(value) && value['$patch'] !== undefined && !isJsonObject(result[key])) delete result[key];
    else result[key] = mergeValue(original[key], result[key], value, schema.get(key), order);
  }
  // An order may come alone: the items are as they were, their places change.
  for (const [key, order] of orders) {
    const before = result[key];
    if (Array.isArray(before)) result[key] = ordered(before, [], order, before, schema.get(key)?.mergeKey);
  }
  return result;
}

/** The original's fields that stay: all, or those that `$retainKeys` names. */
function retained(original: JsonObject, patch: JsonObject): JsonObject {
  const keys = patch['$retainKeys'];
  if (keys === undefined) return { ...original };
  if (
    !Array.isArray(keys) ||
    Object.keys(patch).some((key) => !key.startsWith('$') && patch[key] !== null && !keys.includes(key))
  ) {
    throw badRequest('invalid patch format of retainKeys');
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => keys.includes(key)));
}

function mergeValue(
  original: Json | undefined,
  current: Json | undefined,
  patch: Json,
  field: Field | undefined,
  order: Json[] | undefined,
): Json {
  if (isJsonObject(patch)) {
    return isJsonObject(current) ? mergeObject(current, patch, schemaOfValue(field?.type)) : withoutDirectives(patch);
  }
  if (!Array.isArray(patch)) return patch;
  if (field?.merge !== true) return withoutDirectives(patch);
  const list = Array.isArray(current) ? current : [];
  const before = Array.isArray(original) ? original : [];
  if (field.mergeKey === undefined) {
    return ordered([...new Set([...list, ...patch])], patch, order ?? patch, before, undefined);
  }
  return mergeKeyedList(list, patch, field.mergeKey, schemaOfItem(field.type), order, before);
}

function mergeKeyedList(
  original: readonly Json[],
  patch: readonly Json[],
  key: string,
  schema: Schema,
  order: Json[] | undefined,
  before: readonly Json[],
): Json[] {
  let result = [...original];
  const changes: JsonObject[] = [];
  let replace = false;
  for (const item of patch) {
    if (!isJsonObject(item)) throw unprocessable();
    if (item['$patch'] === 'replace') {
      replace = true;
      continue;
    }
    if (item[key] === undefined)
      throw new ApiError(500, '', `map: ${goText(item)} does not contain declared merge key: ${key}`);
    if (item['$patch'] === 'delete') result = result.filter((other) => !equalJson(keyOf(other, key), item[key]));
    else changes.push(item);
  }
  if (replace) return changes.map((item) => withoutDirectives(item));
  for (const item of changes) {
    const at = result.findIndex((other) => equalJson(keyOf(other, key), item[key]));
    if (at < 0) result.push(withoutDirectives(item));
    else result[at] = mergeObject(result[at] as JsonObject, item, schema);
  }
  return ordered(result, changes, order ?? changes, before, key);
}

/**
 * Places the items that `order` names in that order, and the others (which only the server has) between them where
 * the server had them. Without an order of its own the patch's items come in their order: new ones first.
 */
function ordered(
  items: readonly Json[],
  patched: readonly Json[],
  order: readonly Json[],
  server: readonly Json[],
  key: string | undefined,
): Json[] {
  const identity = (item: Json) => (key === undefined ? item : (keyOf(item, key) ?? null));
  const place = (list: readonly Json[], item: Json) =>
    list.findIndex((other) => equalJson(identity(other), identity(item)));
  if (patched.some((item) => place(order, item) < 0)) throw badRequest('invalid patch format of setElementOrder list');
  const named = items.filter((item) => place(order, item) >= 0).sort((a, b) => place(order, a) - place(order, b));
  const others = items.filter((item) => place(order, item) < 0);
  const result: Json[] = [];
  while (named.length > 0 && others.length > 0) {
    const left = place(server, named[0] as Json);
    const right = place(server, others[0] as Json);
    result.push((left >= 0 && right >= 0 && right < left ? others : named).shift() as Json);
  }
  return [...result, ...named, ...others];
}

/** A value that had nothing to merge with: nulls and directives in it mean nothing and are dropped. */
function withoutDirectives(value: Json): Json {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !isJsonObject(item) || item['$patch'] === undefined || item['$patch'] === 'merge')
      .map(withoutDirectives);
  }
  if (!isJsonObject(value)) return value;
  const result: JsonObject = {};
  for (const key of Object.keys(value)) {
    if (!key.startsWith('$') && value[key] !== null) result[key] = withoutDirectives(value[key] as Json);
  }
  return result;
}

function schemaOfValue(type: FieldType | undefined): Schema {
  return type?.kind === 'struct' ? schemaOf(type.name) : noFields;
}

function schemaOfItem(type: FieldType): Schema {
  return type.kind === 'list' ? schemaOfValue(type.of) : noFields;
}

function keyOf(item: Json, key: string): Json | undefined {
  return isJsonObject(item) ? item[key] : undefined;
}

function listOf(value: Json | undefined, what: string): Json[] {
  if (!Array.isArray(value)) throw badRequest(`invalid patch format of ${what} list`);
  return value;
}

function omit(object: JsonObject, key: string): JsonObject {
  const { [key]: _, ...rest } = object;
  return rest;
}
