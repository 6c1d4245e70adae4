import { isJsonObject, type Json } from '../json.ts';
import { schemaOf, type Field } from '../schema/field-types.ts';

/** The step from a keyed list or a set to one of its items; a text instead says why the item can have none. */
export function itemStep(field: Field, item: Json): { readonly step: string } | { readonly wrong: string } {
  if (field.listType === 'set') {
    if (isJsonObject(item)) return { wrong: "associative list without keys has an element that's a map type" };
    if (Array.isArray(item)) return { wrong: 'not supported: associative list with lists as elements' };
    if (item === null) return { wrong: "associative list without keys has an element that's an explicit null" };
    return { step: `v:${JSON.stringify(item)}` };
  }
  if (item === null) return { wrong: 'associative list with keys may not have a null element' };
  if (!isJsonObject(item)) return { wrong: 'associative list with keys may not have non-map elements' };
  const schema =
    field.type.kind === 'list' && field.type.of.kind === 'struct' ? schemaOf(field.type.of.name) : undefined;
  const keys: [string, Json][] = [];
  for (const key of field.listKeys.toSorted()) {
    const value = item[key] ?? schema?.get(key)?.keyDefault;
    if (value !== undefined) keys.push([key, value]);
  }
  return { step: `k:${JSON.stringify(Object.fromEntries(keys))}` };
}

/** The items of a list by their steps. What has no step is left out; under a step may be several. */
export function itemsBySteps(field: Field, list: readonly Json[]): Map<string, Json[]> {
  const items = new Map<string, Json[]>();
  for (const item of list) {
    const found = itemStep(field, item);
    if ('wrong' in found) continue;
    const same = items.get(found.step);
    if (same === undefined) items.set(found.step, [item]);
    else same.push(item);
  }
  return items;
}
