/** Columns that several kinds share. Follows pkg/printers/internalversion/printers.go. */
import type { Container, Wire } from '../../core/objects.ts';
import type { V1LabelSelector } from '@kubernetes/client-node';

import type { ApiObject } from '../api-object.ts';
import { ageOf } from './human-duration.ts';
import type { Column } from './kind.ts';

export const nameColumn: Column = { name: 'Name', format: 'name', cell: (o) => o.metadata.name };
export const ageColumn: Column = { name: 'Age', cell: (o, now) => ageOf(o.metadata.creationTimestamp, now) };

/** Columns of a kind that is shown by name and age. */
export const nameAndAge: readonly Column[] = [nameColumn, ageColumn];

/** Columns of a kind for which the API server has no printer. */
export const plainColumns: readonly Column[] = [
  nameColumn,
  { name: 'Created At', type: 'date', cell: (o) => o.metadata.creationTimestamp ?? '' },
];

/** The wide columns of what has a pod template; `containers` finds its containers. */
export function containerColumns(containers: (object: ApiObject) => readonly Container[] | undefined): Column[] {
  const joined = (field: 'name' | 'image') => (o: ApiObject) => (containers(o) ?? []).map((c) => c[field]).join(',');
  return [
    { name: 'Containers', priority: 1, cell: joined('name') },
    { name: 'Images', priority: 1, cell: joined('image') },
  ];
}

export function selectorColumn(selector: (object: ApiObject) => string): Column {
  return { name: 'Selector', priority: 1, cell: selector };
}

/** `a=b,c=d`, `<none>`. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  return (
    Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .sort()
      .join(',') || '<none>'
  );
}

/** `app=a,tier in (x,y)`; `<none>` for an empty selector. */
export function selectorText(selector: Wire<V1LabelSelector> | undefined): string {
  return selectorTerms(selector) || '<none>';
}

/** The same without a word for nothing. */
export function selectorTerms(selector: Wire<V1LabelSelector> | undefined): string {
  const terms = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, text: `${key}=${value}` }));
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const list = `(${[...values].sort().join(',')})`;
    const text = { In: `${key} in ${list}`, NotIn: `${key} notin ${list}`, Exists: key }[operator] ?? `!${key}`;
    terms.push({ key, text });
  }
  return terms
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ text }) => text)
    .join(',');
}

/** The first `most` of a list, and how many more there are. */
export function listText(items: readonly string[], most: number, separator = ','): string {
  const more = items.length - most;
  const text = items.slice(0, most).join(separator);
  return more > 0 ? `${text} + ${more} more...` : text;
}
