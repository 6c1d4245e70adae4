import { z } from 'zod';

import { paths, schema } from './schema.ts';

/** One setting: a leaf of the schema, with the flag and the variable that say the same. */
export interface Setting {
  /** Where it stands in the file, e.g. `['node', 'name']`. */
  readonly path: readonly string[];
  /** Without the dashes, e.g. `node-name`. */
  readonly flag: string;
  /** e.g. `ANYLET_NODE_NAME`. */
  readonly variable: string;
  readonly description: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'list' | 'map';
  /** Set when it names a file or folder. */
  readonly file?: { readonly mustExist: boolean };
}

/** All settings, in the schema's order. */
export const settings: readonly Setting[] = leaves(schema, []);

function leaves(object: z.ZodObject, above: readonly string[]): Setting[] {
  return Object.entries(object.shape).flatMap(([key, value]) => {
    const path = [...above, key];
    const inner = unwrapped(value);
    if (inner instanceof z.ZodObject) return leaves(inner, path);
    const flag = flagOf(path);
    const file = paths.get(inner as z.ZodString);
    return {
      path,
      flag,
      variable: `ANYLET_${flag.toUpperCase().replaceAll('-', '_')}`,
      description: (value as z.ZodType).description ?? (inner as z.ZodType).description ?? '',
      kind: kindOf(inner),
      ...(file === undefined ? {} : { file }),
    };
  });
}

/** `kubelet.` says nothing in a flag of a kubelet, and the provider's name is the provider. */
function flagOf(path: readonly string[]): string {
  const words = path[0] === 'kubelet' ? path.slice(1) : path.join('.') === 'provider.name' ? ['provider'] : path;
  return words
    .join('-')
    .replace(/([a-z\d])([A-Z])/g, '$1-$2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .toLowerCase();
}

function kindOf(type: z.core.$ZodType): Setting['kind'] {
  if (type instanceof z.ZodNumber) return 'number';
  if (type instanceof z.ZodBoolean) return 'boolean';
  if (type instanceof z.ZodRecord) return 'map';
  if (type instanceof z.ZodArray) return 'list';
  if (type instanceof z.ZodUnion && type.options.some((option) => option instanceof z.ZodArray)) return 'list';
  return 'text';
}

function unwrapped(type: z.core.$ZodType): z.core.$ZodType {
  if (type instanceof z.ZodOptional || type instanceof z.ZodDefault || type instanceof z.ZodPrefault) {
    return unwrapped(type.def.innerType);
  }
  return type;
}

/**
 * A flag's or variable's text as the value that the file would hold: lists are `a,b`, maps `a=1,b=2`, both may be
 * JSON. What cannot be read stays text, so that the schema says what was expected.
 */
export function fromText(kind: Setting['kind'], text: string): unknown {
  switch (kind) {
    case 'text':
      return text;
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case 'boolean':
      return { true: true, '1': true, false: false, '0': false }[text.toLowerCase()] ?? text;
    case 'list':
      return fromJson(text, '[') ?? parts(text);
    case 'map':
      return fromJson(text, '{') ?? Object.fromEntries(parts(text).map((part) => splitOnce(part)));
  }
}

function fromJson(text: string, opening: string): unknown {
  if (!text.trimStart().startsWith(opening)) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function splitOnce(part: string): [string, string] {
  const at = part.indexOf('=');
  return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
}
