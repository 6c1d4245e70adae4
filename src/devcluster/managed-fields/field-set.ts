/**
 * Sets of paths in an object in the form in which `managedFields` keeps them (FieldsV1), and their arithmetic. A key
 * is one step: `f:<field>`, `k:<key fields as JSON>` for an item of a keyed list, `v:<value as JSON>` for a member of
 * a set. What is below a key belongs to the set with it when it is empty or has a `.`. Follows
 * sigs.k8s.io/structured-merge-diff/v6/fieldpath (set.go, serialize.go). Sets are never changed in place.
 */
export interface FieldSet {
  readonly [step: string]: FieldSet;
}

export const noFields: FieldSet = {};
const self = '.';

/** A set below a step; undefined when it holds nothing. A member says so itself unless it has nothing below. */
export function nodeOf(member: boolean, below: FieldSet): FieldSet | undefined {
  if (isEmpty(below)) return member ? noFields : undefined;
  return member ? { [self]: noFields, ...below } : below;
}

/** True when the step that leads to `node` is itself in the set. */
export function isMember(node: FieldSet): boolean {
  return self in node || isEmpty(node);
}

export function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

/** The steps below a node, in order. */
export function stepsOf(set: FieldSet): [string, FieldSet][] {
  return Object.entries(set).filter(([step]) => step !== self);
}

/** `a` itself when `b` adds nothing. */
export function union(a: FieldSet, b: FieldSet): FieldSet {
  let result: Record<string, FieldSet> | undefined;
  for (const step in b) {
    if (step === self) continue;
    const other = b[step] as FieldSet;
    const node = a[step];
    const joined = node === undefined ? other : joinedNode(node, other);
    if (joined !== node) (result ??= { ...a })[step] = joined;
  }
  return result === undefined ? a : sorted(result);
}

function joinedNode(node: FieldSet, other: FieldSet): FieldSet {
  const below = union(node, other);
  const member = isMember(node);
  if (below === node && (member || !isMember(other))) return node;
  return nodeOf(member || isMember(other), withoutSelf(below)) as FieldSet;
}

/** What of `a` is not in `b`, `a` itself when that is all. Below a step that is in both the same holds. */
export function difference(a: FieldSet, b: FieldSet): FieldSet {
  let result: Record<string, FieldSet> | undefined;
  for (const step in b) {
    const node = a[step];
    if (node === undefined || step === self) continue;
    const other = b[step] as FieldSet;
    const below = difference(node, other);
    const member = isMember(node);
    if (below === node && !(member && isMember(other))) continue;
    const left = nodeOf(member && !isMember(other), withoutSelf(below));
    result ??= { ...a };
    if (left === undefined) delete result[step];
    else result[step] = left;
  }
  return result ?? a;
}

export function intersection(a: FieldSet, b: FieldSet): FieldSet {
  const result: Record<string, FieldSet> = {};
  for (const step in a) {
    const node = a[step] as FieldSet;
    const other = b[step];
    if (other === undefined || step === self) continue;
    const both = nodeOf(isMember(node) && isMember(other), intersection(node, other));
    if (both !== undefined) result[step] = both;
  }
  return result;
}

function withoutSelf(set: FieldSet): FieldSet {
  if (!(self in set)) return set;
  const { [self]: _, ...steps } = set;
  return steps;
}

/** The set with its steps in the order in which Go writes them. */
export function sorted(set: FieldSet): FieldSet {
  let last = '';
  for (const step in set) {
    if (step < last)
      return Object.fromEntries(
        Object.keys(set)
          .sort()
          .map((key) => [key, set[key] as FieldSet]),
      );
    last = step;
  }
  return set;
}

/** Every path of a set as messages write it: `.spec.containers[name="a"].image`. */
export function pathsOf(set: FieldSet, prefix = ''): string[] {
  return stepsOf(set).flatMap(([step, node]) => {
    const path = `${prefix}${stepText(step)}`;
    return [...(isMember(node) ? [path] : []), ...pathsOf(node, path)];
  });
}

/** One step as messages write it. */
export function stepText(step: string): string {
  const rest = step.slice(2);
  if (step.startsWith('f:')) return `.${rest}`;
  if (step.startsWith('v:')) return `[=${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}
