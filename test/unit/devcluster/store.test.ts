import { describe, expect, it } from '@jest/globals';

import type { ApiObject } from '../../../src/devcluster/api-object.ts';
import { parseFieldSelector, parseLabelSelector, selects, type Selection } from '../../../src/devcluster/selectors.ts';
import { selectChange } from '../../../src/devcluster/http/watch.ts';
import { ResourceStore, type Change } from '../../../src/devcluster/store.ts';
import { codeOfApiError } from './test-registry.ts';

const things = { group: '', resource: 'things' };
const thing = (name: string, labels: Record<string, string> = {}, namespace = 'ns'): ApiObject => ({
  kind: 'Thing',
  apiVersion: 'v1',
  metadata: { name, namespace, uid: name, labels },
});
const short = ({ type, object }: Pick<Change, 'type' | 'object'>) => `${type} ${object.metadata.name}`;

describe('the store', () => {
  it('counts one version for each change of anything', () => {
    const store = new ResourceStore(10);
    const first = store.put(things, thing('a'));
    const other = store.put({ group: 'x', resource: 'others' }, thing('a'));
    expect(Number(other.metadata.resourceVersion)).toBe(Number(first.metadata.resourceVersion) + 1);
    expect(store.remove(things, first).metadata.resourceVersion).toBe(String(store.version));
  });

  it('lists in the order of keys, of one namespace or all', () => {
    const store = new ResourceStore(10);
    for (const [name, namespace] of [
      ['b', 'ns'],
      ['a', 'ns'],
      ['c', 'n'],
    ] as const)
      store.put(things, thing(name, {}, namespace));
    expect(store.list(things).map((o) => o.metadata.name)).toEqual(['c', 'a', 'b']);
    expect(store.list(things, 'ns').map((o) => o.metadata.name)).toEqual(['a', 'b']);
  });

  it('replays the past to a subscriber and then goes on', () => {
    const store = new ResourceStore(10);
    store.put(things, thing('a'));
    const since = store.version;
    store.put(things, thing('b'));
    const seen: string[] = [];
    const stop = store.subscribe(things, since, (change) => void seen.push(short(change)));
    store.put(things, thing('a'));
    stop();
    store.put(things, thing('c'));
    expect(seen).toEqual(['ADDED b', 'MODIFIED a']);
  });

  it('forgets what is older than its history, and everything when it is compacted', () => {
    const store = new ResourceStore(3);
    const start = store.version;
    for (let i = 0; i < 6; i++) store.put(things, thing('a'));
    expect(codeOfApiError(() => store.subscribe(things, start, () => {}))).toBeUndefined();
    store.put(things, thing('a'));
    expect(codeOfApiError(() => store.subscribe(things, start, () => {}))).toBe(410);
    const late = store.version - 1;
    store.compact();
    expect(codeOfApiError(() => store.subscribe(things, late, () => {}))).toBe(410);
    expect(codeOfApiError(() => store.subscribe(things, store.version, () => {}))).toBeUndefined();
  });
});

describe('a selection', () => {
  const selection = (labels: string, fields = ''): Selection => ({
    namespace: undefined,
    labels: parseLabelSelector(labels),
    fields: parseFieldSelector(fields, (field) => field === 'metadata.name'),
    fieldOf: (object) => object.metadata.name,
  });

  it.each([
    ['a=1', true],
    ['a==1', true],
    ['a!=1', false],
    ['b!=1', true],
    ['a in (1, 2),c', true],
    ['a notin (1)', false],
    ['b notin (1)', true],
    ['!b', true],
    ['!a', false],
    ['c', true],
    ['c=', true],
    ['', true],
  ])('%j', (labels, expected) => {
    expect(selects(selection(labels), thing('x', { a: '1', c: '' }))).toBe(expected);
  });

  it('goes by fields too, and refuses those that a kind does not have', () => {
    expect(selects(selection('', 'metadata.name=x'), thing('x'))).toBe(true);
    expect(selects(selection('', 'metadata.name!=x'), thing('x'))).toBe(false);
    expect(codeOfApiError(() => selection('', 'spec.foo=x'))).toBe(400);
    expect(codeOfApiError(() => selection('a in (b'))).toBe(400);
  });

  it('makes of a change what a watcher of it sees', () => {
    const matches = (object: ApiObject) => object.metadata.labels?.['on'] === 'yes';
    const change = (type: Change['type'], now: string, before?: string): Change => ({
      type,
      version: 7,
      object: thing('x', { on: now }),
      previous: before === undefined ? undefined : thing('x', { on: before }),
    });
    const seen = (of: Change) => selectChange(of, matches)?.type;
    expect(seen(change('ADDED', 'yes'))).toBe('ADDED');
    expect(seen(change('ADDED', 'no'))).toBeUndefined();
    expect(seen(change('MODIFIED', 'yes', 'no'))).toBe('ADDED');
    expect(seen(change('MODIFIED', 'yes', 'yes'))).toBe('MODIFIED');
    expect(seen(change('DELETED', 'yes', 'yes'))).toBe('DELETED');
    expect(seen(change('DELETED', 'no', 'no'))).toBeUndefined();
    const left = selectChange(change('MODIFIED', 'no', 'yes'), matches);
    expect(left).toMatchObject({
      type: 'DELETED',
      object: { metadata: { labels: { on: 'yes' }, resourceVersion: '7' } },
    });
  });
});
