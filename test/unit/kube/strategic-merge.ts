/**
 * What an API server does with a strategic-merge patch, written from the rules of
 * k8s.io/apimachinery/pkg/util/strategicpatch: the judge of what `strategicDiff` makes.
 */
type Json = unknown;
type JsonObject = Record<string, Json>;

/** Merge keys by dotted path; lists not named are atomic. */
export type MergeKeys = Readonly<Record<string, string>>;

export function applyStrategicMerge(
  original: JsonObject,
  patch: JsonObject,
  mergeKeys: MergeKeys,
  path = '',
): JsonObject {
  const result: JsonObject = { ...original };
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$setElementOrder/')) continue;
    const here = path === '' ? key : `${path}.${key}`;
    const had = original[key];
    if (value === null) delete result[key];
    else if (isObject(value) && isObject(had)) result[key] = applyStrategicMerge(had, value, mergeKeys, here);
    else if (Array.isArray(value) && Array.isArray(had) && mergeKeys[here] !== undefined) {
      result[key] = mergeList(had as JsonObject[], value as JsonObject[], mergeKeys[here], mergeKeys, here);
    } else {
      refuseDirectives(value, here);
      result[key] = withoutNulls(value);
    }
  }
  for (const [key, value] of Object.entries(patch)) {
    if (!key.startsWith('$setElementOrder/')) continue;
    const list = key.slice('$setElementOrder/'.length);
    const here = path === '' ? list : `${path}.${list}`;
    result[list] = inOrder(
      result[list] as JsonObject[],
      value as JsonObject[],
      patch[list] as JsonObject[] | undefined,
      mergeKeys[here] ?? '',
    );
  }
  return result;
}

function mergeList(
  had: JsonObject[],
  patch: JsonObject[],
  mergeKey: string,
  mergeKeys: MergeKeys,
  path: string,
): JsonObject[] {
  if (patch.some((item) => item['$patch'] === 'replace')) return patch.filter((item) => item['$patch'] === undefined);
  let result = [...had];
  for (const item of patch) {
    const keyValue = item[mergeKey];
    if (keyValue === undefined)
      throw new Error(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    if (item['$patch'] === 'delete') {
      result = result.filter((other) => other[mergeKey] !== keyValue);
      continue;
    }
    const at = result.findIndex((other) => other[mergeKey] === keyValue);
    if (at < 0) result.push(withoutNulls(item) as JsonObject);
    else result[at] = applyStrategicMerge(result[at] ?? {}, item, mergeKeys, path);
  }
  return result;
}

/** The order of `$setElementOrder`, which must agree with that of the patch's own list. */
function inOrder(
  list: JsonObject[],
  order: JsonObject[],
  patch: JsonObject[] | undefined,
  mergeKey: string,
): JsonObject[] {
  const place = new Map(order.map((item, i) => [item[mergeKey], i]));
  const placed = (patch ?? []).filter((item) => item['$patch'] === undefined).map((item) => place.get(item[mergeKey]));
  if (placed.some((at, i) => at === undefined || (i > 0 && at < (placed[i - 1] ?? 0)))) {
    throw new Error(`The order in patch list doesn't match $setElementOrder list`);
  }
  return list.toSorted((a, b) => (place.get(a[mergeKey]) ?? 0) - (place.get(b[mergeKey]) ?? 0));
}

/** Old servers store a directive literally where they have no list yet: a patch must not hold one there. */
function refuseDirectives(value: Json, path: string): void {
  if (JSON.stringify(value).includes('"$patch"')) throw new Error(`a directive would be stored at ${path}`);
}

function withoutNulls(value: Json): Json {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => [key, withoutNulls(inner)]),
  );
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
