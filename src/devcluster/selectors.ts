import { badRequest } from './api-error.ts';
import type { ApiObject } from './api-object.ts';

/** One condition of a label selector or of a node selector term. */
export interface Requirement {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

/** True when `value`, which is undefined when the label is absent, meets the requirement. */
export function meets({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

const setBased = /^([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)$/;
const equality = /^([^\s!=,()]+)\s*(==|!=|=)\s*([^\s!=,()]*)$/;
const existence = /^(!?)\s*([^\s!=,()]+)$/;

/** Reads `a=b,c!=d,e in (f,g),!h` (k8s.io/apimachinery/pkg/labels/selector.go). */
export function parseLabelSelector(text: string): Requirement[] {
  return split(text).map((part) => {
    const set = setBased.exec(part);
    if (set)
      return {
        key: set[1] as string,
        operator: set[2] === 'in' ? 'In' : 'NotIn',
        values: (set[3] as string).split(',').map((v) => v.trim()),
      };
    const equal = equality.exec(part);
    if (equal)
      return { key: equal[1] as string, operator: equal[2] === '!=' ? 'NotIn' : 'In', values: [equal[3] as string] };
    const exists = existence.exec(part);
    if (exists)
      return { key: exists[2] as string, operator: exists[1] === '!' ? 'DoesNotExist' : 'Exists', values: [] };
    throw badRequest(`unable to parse requirement: found '${part}'`);
  });
}

/** Reads `spec.nodeName=a,metadata.name!=b`; a field that the kind does not support is a 400. */
export function parseFieldSelector(text: string, supported: (field: string) => boolean): Requirement[] {
  return split(text).map((part) => {
    const match = /^([^=!]+)(==|!=|=)(.*)$/.exec(part);
    if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    const key = match[1] as string;
    if (!supported(key)) throw badRequest(`field label not supported: ${key}`);
    return { key, operator: match[2] === '!=' ? 'NotIn' : 'In', values: [match[3] as string] };
  });
}

/** Which objects a list or a watch is about. */
export interface Selection {
  readonly namespace: string | undefined;
  readonly labels: readonly Requirement[];
  readonly fields: readonly Requirement[];
  /** The value of a selectable field; an unset field is the empty string. */
  readonly fieldOf: (object: ApiObject, field: string) => string;
}

export function selects(selection: Selection, object: ApiObject): boolean {
  if (selection.namespace !== undefined && object.metadata.namespace !== selection.namespace) return false;
  if (!selection.fields.every((r) => meets(r, selection.fieldOf(object, r.key)))) return false;
  return selection.labels.every((r) => meets(r, object.metadata.labels?.[r.key]));
}

/** The name that a selection is confined to by `metadata.name=x`, if it is. */
export function selectedName(fields: readonly Requirement[]): string | undefined {
  return fields.find((r) => r.key === 'metadata.name' && r.operator === 'In')?.values[0];
}

/** Commas separate requirements, except those inside parentheses. */
function split(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}
