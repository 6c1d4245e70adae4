import type { z } from 'zod';

import { schema } from './schema.ts';
import { settings } from './settings.ts';
import { suggestion } from './suggestion.ts';

type Issue = z.core.$ZodIssue;

/** A line for each thing that the schema has against `input`; `label` says what to call a place. */
export function problemsOf(
  error: z.ZodError,
  input: unknown,
  label: (path: readonly PropertyKey[]) => string,
): string[] {
  return error.issues.flatMap((issue) => linesOf(issue, [], input, label));
}

function linesOf(
  issue: Issue,
  above: readonly PropertyKey[],
  input: unknown,
  label: (path: readonly PropertyKey[]) => string,
): string[] {
  const path = [...above, ...issue.path];
  const value = path.reduce<unknown>((part, key) => (part as Record<PropertyKey, unknown> | undefined)?.[key], input);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => `${label([...path, key])}: no such setting${suggestion(key, keysAt(path))}`);
    case 'invalid_union':
      return likeliest(issue.errors).flatMap((each) => linesOf(each, path, input, label));
    case 'invalid_key':
      return issue.issues.map((each) => `${label(path)}: ${each.message}`);
    case 'invalid_type':
      return [`${label(path)}: ${shown(value)} is not ${nouns[issue.expected] ?? `a ${issue.expected}`}`];
    case 'invalid_value': {
      const words = issue.values.map(String);
      return [`${label(path)}: ${shown(value)} is none of ${words.join(', ')}${suggestion(String(value), words)}`];
    }
    case 'too_big':
    case 'too_small':
      return [
        `${label(path)}: ${shown(value)} is ${issue.code === 'too_big' ? 'too large: at most' : 'too small: at least'} ${bound(issue)}`,
      ];
    default:
      return [`${label(path)}: ${shown(value)} ${issue.message}`];
  }
}

const nouns: Readonly<Record<string, string>> = {
  string: 'a text',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
};

function bound(issue: Issue & { code: 'too_big' | 'too_small' }): string {
  const limit = issue.code === 'too_big' ? issue.maximum : issue.minimum;
  const unit = { string: ' characters', array: ' entries' }[issue.origin as string] ?? '';
  return `${limit}${unit}`;
}

/** Of a union's alternatives the one that was meant: where the type was right, or the fault lies deepest. */
function likeliest(alternatives: readonly (readonly Issue[])[]): readonly Issue[] {
  const rank = (issues: readonly Issue[]) =>
    Math.max(...issues.map((issue) => issue.path.length * 2 + (issue.code === 'invalid_type' ? 0 : 1)));
  return alternatives.toSorted((a, b) => rank(b) - rank(a))[0] ?? [];
}

function keysAt(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(schema.shape);
  const below = settings.filter((setting) => path.every((key, i) => setting.path[i] === key));
  return below.flatMap((setting) => setting.path[path.length] ?? []);
}

/** A value in a message: short, and on one line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
