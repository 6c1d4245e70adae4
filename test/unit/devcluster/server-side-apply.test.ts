import { beforeEach, describe, expect, it } from '@jest/globals';

import type { ApiError } from '../../../src/devcluster/api-error.ts';
import type { ApiObject } from '../../../src/devcluster/api-object.ts';
import type { JsonObject } from '../../../src/devcluster/json.ts';
import { kindNamed } from '../../../src/devcluster/kinds/table.ts';
import type { Registry } from '../../../src/devcluster/registry.ts';
import { inNamespace } from './test-registry.ts';

const configMap = kindNamed('ConfigMap');
const service = kindNamed('Service');
let registry: Registry;

beforeEach(() => {
  ({ registry } = inNamespace('default'));
});

function apply(data: JsonObject | undefined, manager: string, force = false): ApiObject {
  const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, ...(data && { data }) };
  return registry.apply(configMap, 'default', 'a', undefined, config, { fieldManager: manager, force }).object;
}

function managers({ metadata }: ApiObject): Record<string, unknown> {
  return Object.fromEntries(
    (metadata.managedFields ?? []).map(({ manager, operation, fieldsV1 }) => [`${manager} ${operation}`, fieldsV1]),
  );
}

describe('server-side apply', () => {
  it('creates, and takes away what is no longer applied', () => {
    apply({ a: '1', b: '1' }, 'one');
    const object = apply({ a: '2' }, 'one');
    expect(object['data']).toEqual({ a: '2' });
    expect(managers(object)).toEqual({ 'one Apply': { 'f:data': { 'f:a': {} } } });
  });

  it('leaves what another manager applies too', () => {
    apply({ a: '1', b: '1' }, 'one');
    apply({ b: '1', c: '1' }, 'two');
    expect(apply({ a: '1' }, 'one')['data']).toEqual({ a: '1', b: '1', c: '1' });
    expect(apply(undefined, 'one')['data']).toEqual({ b: '1', c: '1' });
  });

  it('refuses a field of another manager unless forced', () => {
    apply({ a: '1' }, 'one');
    expect(() => apply({ a: '2' }, 'two')).toThrow('Apply failed with 1 conflict: conflict with "one": .data.a');
    const object = apply({ a: '2' }, 'two', true);
    expect(managers(object)).toEqual({ 'two Apply': { 'f:data': { 'f:a': {} } } });
  });

  it('gives a patched field to who patched it, and an unchanged one to nobody else', () => {
    apply({ a: '1', b: '1' }, 'one');
    const change = (current: JsonObject) => ({ ...current, data: { a: '1', b: '2' } });
    const { object } = registry.change(configMap, 'default', 'a', undefined, change, { fieldManager: 'two' });
    expect(managers(object)).toEqual({
      'one Apply': { 'f:data': { 'f:a': {} } },
      'two Update': { 'f:data': { 'f:b': {} } },
    });
  });

  it('has no version of its own when nothing changes', () => {
    const first = apply({ a: '1' }, 'one');
    expect(apply({ a: '1' }, 'one').metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  });

  it('does not store a dry run', () => {
    apply({ a: '1' }, 'one');
    const config = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, data: { a: '2' } };
    registry.apply(configMap, 'default', 'a', undefined, config, { fieldManager: 'one', dryRun: true });
    expect(registry.get(configMap, 'default', 'a')['data']).toEqual({ a: '1' });
  });

  it('merges a list by its keys and their defaults', () => {
    const config = (ports: JsonObject[]): JsonObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 's' },
      spec: { ports },
    });
    const ask = (manager: string, ...ports: JsonObject[]) =>
      registry.apply(service, 'default', 's', undefined, config(ports), { fieldManager: manager }).object;
    ask('one', { name: 'a', port: 1 }, { name: 'b', port: 2 });
    ask('two', { name: 'c', port: 1, protocol: 'UDP' });
    const { spec } = ask('one', { name: 'b', port: 2 }) as unknown as { spec: { ports: JsonObject[] } };
    expect(spec.ports.map(({ name, protocol }) => [name, protocol])).toEqual([
      ['b', 'TCP'],
      ['c', 'UDP'],
    ]);
  });

  it.each([
    ['a field that there is not', { dta: {} }, '.dta: field not declared in schema'],
    ['a wrong type', { data: 'text' }, '.data: expected map, got &{text}'],
    ['a wrong type within', { data: { a: 1 } }, '.data.a: expected string, got &value.valueUnstructured{Value:1}'],
    ['managed fields', { metadata: { name: 'a', managedFields: [] } }, 'metadata.managedFields must be nil'],
    ['another kind', { kind: 'Secret' }, 'invalid object type: /v1, Kind=Secret'],
    ['another name', { metadata: { name: 'b' } }, 'the name of the object (b) does not match the name on the URL (a)'],
    ['an old version', { metadata: { name: 'a', resourceVersion: '1' } }, 'the object has been modified'],
  ])('refuses %s', (_, config, why) => {
    apply({ a: '1' }, 'one');
    const whole = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' }, ...config } as JsonObject;
    expect(() =>
      registry.apply(configMap, 'default', 'a', undefined, whole, { fieldManager: 'one', force: true }),
    ).toThrow(why);
  });

  it('tracks nobody where the control plane itself creates, and all once somebody applies', () => {
    registry.create(configMap, 'default', { metadata: { name: 'a' }, data: { a: '1' } });
    expect(registry.get(configMap, 'default', 'a').metadata.managedFields).toBeUndefined();
    expect(managers(apply({ a: '1' }, 'one'))).toEqual({
      'one Apply': { 'f:data': { 'f:a': {} } },
      'before-first-apply Update': { 'f:data': { '.': {}, 'f:a': {} } },
    });
  });

  it('keeps at most ten updaters apart', () => {
    registry.create(configMap, 'default', { metadata: { name: 'a' } }, { fieldManager: 'creator' });
    apply({ first: '1' }, 'one');
    for (let i = 0; i < 14; i++) {
      const change = (current: JsonObject) => ({
        ...current,
        data: { ...(current['data'] as JsonObject), [`k${i}`]: '1' },
      });
      registry.change(configMap, 'default', 'a', undefined, change, { fieldManager: `m${i}` });
    }
    const entries = registry.get(configMap, 'default', 'a').metadata.managedFields ?? [];
    expect(entries.filter(({ operation }) => operation === 'Update')).toHaveLength(10);
    expect(entries.map(({ manager }) => manager)).toContain('ancient-changes');
  });

  it('has the status apart from the rest', () => {
    const pod = kindNamed('Pod');
    const spec = { containers: [{ name: 'c', image: 'x' }] };
    const owner = { fieldManager: 'owner' };
    registry.create(pod, 'default', { metadata: { name: 'p' }, spec }, owner);
    const change = (current: JsonObject) => ({ ...current, spec: {}, status: { phase: 'Running' } }) as JsonObject;
    const { object } = registry.change(pod, 'default', 'p', 'status', change, { fieldManager: 'kubelet' });
    const entryOf = (name: string) => object.metadata.managedFields?.find(({ manager }) => manager === name);
    const [main, status] = [entryOf('owner'), entryOf('kubelet')];
    expect(Object.keys(main?.fieldsV1 ?? {})).toEqual(['f:spec']);
    expect(status).toMatchObject({
      manager: 'kubelet',
      subresource: 'status',
      fieldsV1: { 'f:status': { 'f:phase': {} } },
    });
  });

  it('says which fields conflict, with the causes one by one', () => {
    apply({ a: '1', b: '1' }, 'one');
    let error: ApiError | undefined;
    try {
      apply({ a: '2', b: '2' }, 'two');
    } catch (thrown) {
      error = thrown as ApiError;
    }
    expect(error).toMatchObject({
      code: 409,
      reason: 'Conflict',
      message: 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b',
      details: { causes: [{ reason: 'FieldManagerConflict', field: '.data.a' }, { field: '.data.b' }] },
    });
  });
});
