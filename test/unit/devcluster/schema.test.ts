import { describe, expect, it } from '@jest/globals';

import type { JsonObject } from '../../../src/devcluster/json.ts';
import { kinds } from '../../../src/devcluster/kinds/table.ts';
import { decode } from '../../../src/devcluster/schema/decode.ts';
import { schemaOf, type FieldType } from '../../../src/devcluster/schema/field-types.ts';

const scalars = [
  'any',
  'boolean',
  'bytes',
  'double',
  'int32',
  'int64',
  'intOrString',
  'microTime',
  'quantity',
  'string',
  'time',
];
const value = (type: string, object: JsonObject) => decode(type, object).value;

describe('decoding an object', () => {
  it('drops nulls, empty optional lists and zero values that mean nothing', () => {
    const spec = {
      containers: [{ name: 'c', command: [], env: [{ name: 'E', value: '' }], stdin: false }],
      hostNetwork: false,
      enableServiceLinks: false,
      nodeName: '',
      nodeSelector: {},
      priority: 0,
    };
    expect(value('PodSpec', spec as unknown as JsonObject)).toEqual({
      containers: [{ name: 'c', env: [{ name: 'E' }], resources: {} }],
      enableServiceLinks: false,
      priority: 0,
    });
  });

  it('brings quantities and times to their canonical form', () => {
    expect(
      value('ResourceRequirements', {
        limits: { cpu: '1000m', memory: '1024Mi', 'x.io/y': 2 },
        requests: { cpu: 0.5 },
      }),
    ).toEqual({ limits: { cpu: '1', memory: '1Gi', 'x.io/y': '2' }, requests: { cpu: '500m' } });
    expect(value('ContainerStateRunning', { startedAt: '2026-01-01T02:00:00.5+02:00' })).toEqual({
      startedAt: '2026-01-01T00:00:00Z',
    });
    expect(value('LeaseSpec', { renewTime: '2026-01-01T02:00:00.123456+02:00' })).toEqual({
      renewTime: '2026-01-01T00:00:00.123456Z',
    });
  });

  it('reports unknown fields with their paths and drops them', () => {
    const { value, unknownFields } = decode('Pod', { spec: { containers: [{ name: 'c', immage: 'x' }], foo: 1 } });
    expect(unknownFields).toEqual(['unknown field "spec.containers[0].immage"', 'unknown field "spec.foo"']);
    expect(value).toEqual({
      metadata: {},
      spec: { containers: [{ name: 'c', resources: {} }] },
      status: {},
    });
  });

  it.each([
    [
      'Pod',
      { spec: { nodeName: 5 } },
      'json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName of type string',
    ],
    [
      'Pod',
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      'Pod',
      { spec: { priority: 1.5 } },
      'json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32',
    ],
    [
      'Lease',
      { spec: { renewTime: '2026-01-01T00:00:00Z' } },
      'parsing time "2026-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    ],
    ['Secret', { data: { a: '!!' } }, 'illegal base64 data at input byte 0'],
    [
      'ResourceRequirements',
      { limits: { cpu: 'lots' } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
  ] as [string, JsonObject, string][])('refuses a wrong type in %s', (type, object, message) => {
    expect(() => decode(type, object)).toThrow(message);
  });

  it('knows the type of every kind in the table, and of every field in it', () => {
    const seen = new Set<string>();
    const visit = (type: FieldType): void => {
      switch (type.kind) {
        case 'list':
        case 'map':
          visit(type.of);
          break;
        case 'scalar':
          expect(scalars).toContain(type.name);
          break;
        case 'struct':
          if (seen.has(type.name)) return;
          seen.add(type.name);
          for (const field of schemaOf(type.name).values()) visit(field.type);
      }
    };
    for (const { kind } of kinds) visit({ kind: 'struct', atomic: false, name: kind });
    expect(seen.size).toBeGreaterThan(100);
  });
});
