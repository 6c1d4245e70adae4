import { equalJson, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { isGranular, schemaOf, type Field, type FieldType } from '../schema/field-types.ts';
import { nodeOf, noFields, sorted, type FieldSet } from './field-set.ts';
import { itemsBySteps } from './item-step.ts';

/** What is different between two states of an object. */
export interface Difference {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const aspects = ['added', 'modified', 'removed'] as const;
type Nodes = Partial<Record<(typeof aspects)[number], FieldSet>>;

/**
 * Compares two objects of the type `typeName`, field by field as server-side apply counts fields; the top-level fields
 * in `ignored` are not looked at. Undefined: they are the same. Follows compareWalker in
 * sigs.k8s.io/structured-merge-diff/v6/typed/compare.go.
 */
export function compare(
  typeName: string,
  before: JsonObject,
  after: JsonObject,
  ignored: ReadonlySet<string>,
): Difference | undefined {
  const schema = schemaOf(typeName);
  const collected = new Collector();
  for (const [name, field] of schema) {
    if (ignored.has(name)) continue;
    const nodes = compareValue(field.type, field, before[name], after[name]);
    if (nodes !== undefined) collected.add(`f:${name}`, nodes);
  }
  const all = collected.nodes();
  return all && { added: noFields, modified: noFields, removed: noFields, ...all };
}

/** Both sides of a value; at most one is undefined, which is to be absent. */
function compareValue(
  type: FieldType,
  field: Field | undefined,
  before: Json | undefined,
  after: Json | undefined,
): Nodes | undefined {
  if (before === after || (before === undefined && after === undefined)) return undefined;
  const given = after ?? before ?? null;
  if (typeof given !== 'object' || !isGranular(type, field) || (isBlank(before) && isBlank(after)))
    return leaf(before, after);
  if (before !== undefined && after !== undefined && equalJson(before, after)) return undefined;

  const collected = new Collector();
  if (type.kind === 'list') {
    if (field === undefined) return leaf(before, after);
    const left = itemsBySteps(field, Array.isArray(before) ? before : []);
    const right = itemsBySteps(field, Array.isArray(after) ? after : []);
    for (const step of new Set([...left.keys(), ...right.keys()]))
      compareItems(field, step, left.get(step) ?? [], right.get(step) ?? [], collected);
  } else {
    const left = isJsonObject(before) ? before : {};
    const right = isJsonObject(after) ? after : {};
    const schema = type.kind === 'struct' ? schemaOf(type.name) : undefined;
    const visit = (key: string) => {
      const inner = schema?.get(key);
      const innerType = type.kind === 'map' ? type.of : inner?.type;
      if (innerType === undefined) return;
      const nodes = compareValue(innerType, inner, left[key], right[key]);
      if (nodes !== undefined) collected.add(`f:${key}`, nodes);
    };
    for (const key in left) visit(key);
    for (const key in right) if (!(key in left)) visit(key);
  }
  return collected.nodes(before === undefined ? 'added' : after === undefined ? 'removed' : undefined);
}

/** Items under one step. Where a step leads to several they count as one value. */
function compareItems(field: Field, step: string, before: Json[], after: Json[], collected: Collector): void {
  const of = (field.type as FieldType & { kind: 'list' }).of;
  const item = (left: Json | undefined, right: Json | undefined) => {
    const nodes = compareValue(of, undefined, left, right);
    if (nodes !== undefined) collected.add(step, nodes);
  };
  if (before.length <= 1 && after.length <= 1) item(before[0], after[0]);
  else if (before.length > 1 && after.length > 1) {
    if (!equalJson(before, after)) collected.add(step, { modified: noFields });
  } else if (before.length > 1) {
    if (after.length > 0) item(undefined, after[0]);
    collected.add(step, { removed: noFields });
  } else {
    if (before.length > 0) item(before[0], undefined);
    collected.add(step, { added: noFields });
  }
}

function leaf(before: Json | undefined, after: Json | undefined): Nodes | undefined {
  if (before === undefined) return { added: noFields };
  if (after === undefined) return { removed: noFields };
  return equalJson(before, after) ? undefined : { modified: noFields };
}

function isBlank(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value !== 'object') return false;
  for (const _ in value) return false;
  return true;
}

/** Puts together the nodes of the steps below one value. */
class Collector {
  readonly #below: Partial<Record<(typeof aspects)[number], Record<string, FieldSet>>> = {};

  add(step: string, nodes: Nodes): void {
    for (const aspect of aspects) {
      const node = nodes[aspect];
      if (node !== undefined) (this.#below[aspect] ??= {})[step] = node;
    }
  }

  /** `whole`: the value itself has come or gone. */
  nodes(whole?: 'added' | 'removed'): Nodes | undefined {
    let found = false;
    const result: Nodes = {};
    for (const aspect of aspects) {
      const node = nodeOf(whole === aspect, sorted(this.#below[aspect] ?? {}));
      if (node === undefined) continue;
      result[aspect] = node;
      found = true;
    }
    return found ? result : undefined;
  }
}
