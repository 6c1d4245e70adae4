/**
 * Who has set which fields of an object, as `metadata.managedFields` says it, and what a write does to that. Follows
 * k8s.io/apimachinery/pkg/util/managedfields/internal and sigs.k8s.io/structured-merge-diff/v6/merge/update.go.
 */
import { ApiError } from '../api-error.ts';
import type { ManagedFieldsEntry } from '../api-object.ts';
import { equalJson, type JsonObject } from '../json.ts';
import { compare } from './compare.ts';
import { difference, intersection, isEmpty, noFields, pathsOf, union, type FieldSet } from './field-set.ts';
import { fieldsOf, merge, without, withFieldsOnTheWay } from './typed-value.ts';

/** Who writes, to which part of the object, when. */
export interface Writer {
  readonly manager: string;
  readonly subresource: string | undefined;
  readonly apiVersion: string;
  /** RFC 3339. */
  readonly now: string;
}

/** The type of the objects, and the top-level fields that this way of writing cannot change. */
export interface Target {
  readonly typeName: string;
  readonly ignored: ReadonlySet<string>;
}

type Entries = ManagedFieldsEntry[];

/** Only the API server sets these, so nobody manages them. */
const unmanaged: FieldSet = {
  'f:apiVersion': noFields,
  'f:kind': noFields,
  'f:metadata': {
    '.': noFields,
    'f:creationTimestamp': noFields,
    'f:generation': noFields,
    'f:managedFields': noFields,
    'f:name': noFields,
    'f:namespace': noFields,
    'f:resourceVersion': noFields,
    'f:selfLink': noFields,
    'f:uid': noFields,
  },
};

/** More managers than these by updates are counted as one. */
const mostUpdaters = 10;

/** The entries after a create, update or patch: what changed is the writer's alone. */
export function afterUpdate(
  target: Target,
  before: JsonObject,
  after: JsonObject,
  entries: Entries,
  writer: Writer,
): Entries {
  const changes = compare(target.typeName, before, after, target.ignored);
  if (changes === undefined) return entries;
  const taken = union(changes.modified, changes.added);
  const touched = union(taken, changes.removed);
  const me: ManagedFieldsEntry = entryOf(writer, 'Update');
  const mine = difference(taken, unmanaged);
  let own: ManagedFieldsEntry | undefined;
  const others: ManagedFieldsEntry[] = [];
  for (const entry of entries) {
    if (sameManager(entry, me)) own = withFields(entry, difference(entry.fieldsV1, changes.removed));
    else {
      const left = withFields(entry, difference(entry.fieldsV1, touched));
      if (!isEmpty(left.fieldsV1)) others.push(left);
    }
  }
  if (!isEmpty(mine)) own = withFields({ ...me, ...timeOf(writer, own) }, union(mine, own?.fieldsV1 ?? noFields));
  return inOrder(capped(own === undefined || isEmpty(own.fieldsV1) ? others : [...others, own]));
}

/** What an apply makes of an object. */
export interface Applied {
  readonly object: JsonObject;
  readonly entries: Entries;
}

/**
 * Applies a configuration: the live object with what it sets and without what the manager has applied before and does
 * not now, unless somebody else has that field too. A field that another manager has set differently is a conflict,
 * unless `force` takes it over. `nameForMessages` is the object's, `/name; v1, Kind=ConfigMap`.
 */
export function apply(
  target: Target,
  live: JsonObject,
  config: JsonObject,
  entries: Entries,
  writer: Writer,
  force: boolean,
  nameForMessages: string,
): Applied {
  const { typeName } = target;
  const mistakes: string[] = [];
  const wanted = fieldsOf(typeName, config, mistakes);
  if (mistakes.length > 0) {
    const list = mistakes.length === 1 ? mistakes[0] : `errors:\n${mistakes.map((text) => `  ${text}`).join('\n')}`;
    throw new ApiError(500, '', `failed to create typed patch object (${nameForMessages}): ${list}`);
  }
  const me = entryOf(writer, 'Apply');
  const previous = entries.find((entry) => sameManager(entry, me));
  const others = entries.filter((entry) => entry !== previous);
  const applied = withoutIgnored(wanted, target.ignored);
  const set = difference(applied, unmanaged);

  let object = merge(typeName, live, config);
  if (previous !== undefined && !isEmpty(previous.fieldsV1))
    object = pruned(typeName, object, previous.fieldsV1, [applied, ...others.map(({ fieldsV1 }) => fieldsV1)]);

  const changes = compare(typeName, live, object, target.ignored);
  let left = others;
  if (changes !== undefined) {
    const taken = union(changes.modified, changes.added);
    const conflicts = others
      .map((entry) => ({ entry, fields: intersection(entry.fieldsV1, taken) }))
      .filter(({ fields }) => !isEmpty(fields));
    if (conflicts.length > 0 && !force) throw conflictError(conflicts);
    const touched = union(taken, changes.removed);
    left = others
      .map((entry) => withFields(entry, difference(entry.fieldsV1, touched)))
      .filter(({ fieldsV1 }) => !isEmpty(fieldsV1));
  }
  const changed = !equalJson(live, object);
  const own = withFields({ ...me, ...timeOf(changed ? writer : undefined, previous) }, set);
  return { object, entries: inOrder(isEmpty(set) ? left : [...left, own]) };
}

/** The merged object without what was applied before, is not now, and nobody else has. */
function pruned(typeName: string, merged: JsonObject, last: FieldSet, owned: readonly FieldSet[]): JsonObject {
  const whole = (set: FieldSet) => withFieldsOnTheWay(typeName, set);
  const all = whole(fieldsOf(typeName, merged));
  const lastWhole = whole(last);
  const kept = whole(fieldsOf(typeName, without(typeName, merged, lastWhole)));
  const stays = union(kept, whole(owned.reduce(union, noFields)));
  const withOwned = without(typeName, merged, difference(all, stays));
  // What was not applied before is not this manager's to remove.
  const gone = intersection(difference(all, whole(fieldsOf(typeName, withOwned))), lastWhole);
  return without(typeName, merged, gone);
}

function entryOf({ manager, subresource, apiVersion }: Writer, operation: 'Apply' | 'Update'): ManagedFieldsEntry {
  return {
    manager: manager === '' ? 'unknown' : manager,
    operation,
    apiVersion,
    fieldsType: 'FieldsV1',
    fieldsV1: noFields,
    ...(subresource !== undefined && { subresource }),
  };
}

/** When fields were set last. What goes through a scale keeps no time, for it is translated from another kind. */
function timeOf(writer: Writer | undefined, previous: ManagedFieldsEntry | undefined): { time?: string } {
  const time = writer === undefined || writer.subresource === 'scale' ? previous?.time : writer.now;
  return time === undefined ? {} : { time };
}

function withFields(entry: ManagedFieldsEntry, fieldsV1: FieldSet): ManagedFieldsEntry {
  return entry.fieldsV1 === fieldsV1 ? entry : { ...entry, fieldsV1 };
}

/** An applier is the same whatever version it applies. */
function sameManager(a: ManagedFieldsEntry, b: ManagedFieldsEntry): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

function withoutIgnored(set: FieldSet, ignored: ReadonlySet<string>): FieldSet {
  return Object.fromEntries(Object.entries(set).filter(([step]) => !ignored.has(step.slice(2))));
}

/** Appliers first, then by time, then by name. */
function inOrder(entries: Entries): Entries {
  const key = ({ operation, time, manager, apiVersion, subresource = '' }: ManagedFieldsEntry) =>
    [operation, time ?? '', manager, apiVersion, subresource].join('\0');
  return entries.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** The oldest updates of one version become one entry when there are too many. */
function capped(entries: Entries): Entries {
  const updates = inOrder(entries.filter(({ operation }) => operation === 'Update'));
  let excess = updates.length - mostUpdaters;
  if (excess <= 0) return entries;
  const result = new Set(entries);
  const buckets = new Map<string, ManagedFieldsEntry>();
  for (const entry of updates) {
    if (excess <= 0) break;
    const first = buckets.get(entry.apiVersion);
    if (first !== undefined) {
      result.delete(first);
      result.delete(entry);
      const { subresource: _subresource, ...rest } = entry;
      const bucket = { ...rest, manager: 'ancient-changes', fieldsV1: union(first.fieldsV1, entry.fieldsV1) };
      result.add(bucket);
      buckets.set(entry.apiVersion, bucket);
      excess--;
    } else buckets.set(entry.apiVersion, entry);
  }
  return [...result];
}

/** The 409 that names every field and who has it (managedfields/internal/conflict.go). */
function conflictError(conflicts: readonly { entry: ManagedFieldsEntry; fields: FieldSet }[]): ApiError {
  const all = conflicts
    .map(({ entry, fields }) => ({ who: nameOf(entry), paths: pathsOf(fields) }))
    .sort((a, b) => (a.who < b.who ? -1 : 1));
  const causes = all.flatMap(({ who, paths }) =>
    paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${who}`, field })),
  );
  const message =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${causes[0]?.message}: ${causes[0]?.field}`
      : `Apply failed with ${causes.length} conflicts: ${all
          .map(({ who, paths }) => [`conflicts with ${who}:`, ...paths.map((path) => `- ${path}`)].join('\n'))
          .join('\n')}`;
  return new ApiError(409, 'Conflict', message, { causes });
}

function nameOf({ manager, operation, apiVersion, subresource }: ManagedFieldsEntry): string {
  const name = JSON.stringify(manager);
  const where = subresource === undefined ? '' : ` with subresource ${JSON.stringify(subresource)}`;
  return `${name}${where}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;
}
