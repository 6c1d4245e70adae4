/**
 * The strategic-merge patch that leads from one object to another, as
 * k8s.io/apimachinery/pkg/util/strategicpatch/patch.go computes it, for the lists that a table names.
 */

type Json = unknown;
type JsonObject = Readonly<Record<string, Json>>;

/**
 * How a list is patched. `merge`: element by element, by a key. `replaceMerged`: the API merges it by a key, but it is
 * sent whole with a `{"$patch": "replace"}` element, for a merge never shrinks a list. Lists not in the table are
 * atomic and sent whole.
 */
export type ListStrategy = { readonly merge: string } | 'replaceMerged';

/** List strategies by dotted path from the patched object. */
export type PatchSchema = Readonly<Record<string, ListStrategy>>;

/**
 * What changes `previous` into `next`, or undefined when nothing does. Removed keys become null. Equality is that of
 * the stored form: see {@link withoutEmpty}.
 */
export function strategicDiff(
  previous: object,
  next: object,
  schema: PatchSchema,
  path = '',
): Record<string, Json> | undefined {
  return diffObjects(withoutEmpty(previous) as JsonObject, withoutEmpty(next) as JsonObject, schema, path);
}

/** Keys whose empty object says something: a pointer in the Go type, not a struct or a map. */
const meaningfulWhenEmpty = new Set(['running', 'waiting', 'terminated', 'resources', 'user', 'linux', 'features']);
/** Booleans and numbers that Go leaves out when they are zero. */
const omittedWhenZero = new Set(['readOnly', 'signal', 'observedGeneration']);

/**
 * A value without what an API server would not store or would add by itself: null, the empty string, empty lists and
 * maps, and `lastState: {}`. Without this a status that is written equal would seem changed for ever.
 */
export function withoutEmpty(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (!isObject(value)) return value;
  const kept: Record<string, Json> = {};
  for (const [key, raw] of Object.entries(value)) {
    const inner = withoutEmpty(raw);
    if (!isEmpty(key, inner)) kept[key] = inner;
  }
  return kept;
}

/** Structural equality of JSON values. */
export function equalJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equalJson(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equalJson(a[key], b[key]))
  );
}

function diffObjects(
  previous: JsonObject,
  next: JsonObject,
  schema: PatchSchema,
  path: string,
): Record<string, Json> | undefined {
  const patch: Record<string, Json> = {};
  for (const key of Object.keys(previous)) if (!Object.hasOwn(next, key)) patch[key] = null;
  for (const [key, after] of Object.entries(next)) {
    const before = previous[key];
    if (equalJson(before, after)) continue;
    const here = path === '' ? key : `${path}.${key}`;
    if (Array.isArray(before) && Array.isArray(after))
      Object.assign(patch, diffLists(key, before, after, schema, here));
    else if (isObject(before) && isObject(after)) patch[key] = diffObjects(before, after, schema, here);
    // Where the server has no list yet it takes ours as it is, directives and all: so none are given.
    else patch[key] = after;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function diffLists(
  key: string,
  before: readonly Json[],
  after: readonly Json[],
  schema: PatchSchema,
  path: string,
): Record<string, Json> {
  const strategy = schema[path];
  if (strategy === undefined) return { [key]: after };
  if (strategy === 'replaceMerged') return { [key]: [...after, { $patch: 'replace' }] };
  return mergeList(key, before as readonly JsonObject[], after as readonly JsonObject[], strategy.merge, schema, path);
}

function mergeList(
  key: string,
  before: readonly JsonObject[],
  after: readonly JsonObject[],
  mergeKey: string,
  schema: PatchSchema,
  path: string,
): Record<string, Json> {
  const old = new Map(before.map((item) => [item[mergeKey], item]));
  const now = new Set(after.map((item) => item[mergeKey]));
  const changes: Json[] = [];
  for (const item of after) {
    const was = old.get(item[mergeKey]);
    const change = was === undefined ? item : diffObjects(was, item, schema, path);
    if (change !== undefined) changes.push({ [mergeKey]: item[mergeKey], ...change });
  }
  const removed = before
    .filter((item) => !now.has(item[mergeKey]))
    .map((item) => ({ $patch: 'delete', [mergeKey]: item[mergeKey] }));

  // A merge keeps the places of what is there and appends what is new; only another order must be spelled out.
  const kept = before.filter((item) => now.has(item[mergeKey])).map((item) => item[mergeKey]);
  const merged = [...kept, ...after.map((item) => item[mergeKey]).filter((value) => !old.has(value))];
  const inOrder = after.every((item, i) => item[mergeKey] === merged[i]);
  return {
    ...(!inOrder && { [`$setElementOrder/${key}`]: after.map((item) => ({ [mergeKey]: item[mergeKey] })) }),
    ...((changes.length > 0 || removed.length > 0) && { [key]: [...changes, ...removed] }),
  };
}

function isEmpty(key: string, value: Json): boolean {
  if (value === undefined || value === null || value === '') return true;
  if (value === false || value === 0) return omittedWhenZero.has(key);
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0 && !meaningfulWhenEmpty.has(key);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
