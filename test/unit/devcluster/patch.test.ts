import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import type { Json, JsonObject } from '../../../src/devcluster/json.ts';
import { applyJsonPatch } from '../../../src/devcluster/patch/json-patch.ts';
import { applyMergePatch } from '../../../src/devcluster/patch/merge-patch.ts';
import { applyStrategicMergePatch } from '../../../src/devcluster/patch/strategic-merge-patch.ts';
import { codeOfApiError } from './test-registry.ts';

const podPatch = (document: JsonObject, patch: JsonObject) => applyStrategicMergePatch('Pod', document, patch);
const containers = (...names: string[]) => ({ spec: { containers: names.map((name) => ({ name, image: 'x' })) } });
const namesOf = (pod: JsonObject) => ((pod['spec'] as JsonObject)['containers'] as JsonObject[]).map((c) => c['name']);

describe('a strategic-merge patch', () => {
  it('merges lists by their key and leaves what it does not name', () => {
    expect(podPatch(containers('a', 'b'), { spec: { containers: [{ name: 'b', image: 'y' }] } })).toEqual({
      spec: {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'y' },
        ],
      },
    });
  });

  it.each([
    [
      'conditions by type',
      { status: { conditions: [{ type: 'A', status: '1' }] } },
      { status: { conditions: [{ type: 'A', status: '2' }] } },
      { status: { conditions: [{ type: 'A', status: '2' }] } },
    ],
    [
      'env by name',
      { spec: { containers: [{ name: 'c', env: [{ name: 'E', value: '1' }] }] } },
      { spec: { containers: [{ name: 'c', env: [{ name: 'F', value: '2' }] }] } },
      {
        spec: {
          containers: [
            {
              name: 'c',
              env: [
                { name: 'F', value: '2' },
                { name: 'E', value: '1' },
              ],
            },
          ],
        },
      },
    ],
    [
      'ports by containerPort',
      { spec: { containers: [{ name: 'c', ports: [{ containerPort: 1 }] }] } },
      { spec: { containers: [{ name: 'c', ports: [{ containerPort: 1, name: 'p' }] }] } },
      { spec: { containers: [{ name: 'c', ports: [{ containerPort: 1, name: 'p' }] }] } },
    ],
    [
      'volumeMounts by mountPath',
      { spec: { containers: [{ name: 'c', volumeMounts: [{ mountPath: '/a', name: 'v' }] }] } },
      { spec: { containers: [{ name: 'c', volumeMounts: [{ mountPath: '/a', name: 'w' }] }] } },
      { spec: { containers: [{ name: 'c', volumeMounts: [{ mountPath: '/a', name: 'w' }] }] } },
    ],
    [
      'ownerReferences by uid',
      { metadata: { ownerReferences: [{ uid: 'u', name: 'a' }] } },
      { metadata: { ownerReferences: [{ uid: 'u', name: 'b' }] } },
      { metadata: { ownerReferences: [{ uid: 'u', name: 'b' }] } },
    ],
    [
      'podIPs by ip, never shrinking',
      { status: { podIPs: [{ ip: '1' }] } },
      { status: { podIPs: [{ ip: '2' }] } },
      { status: { podIPs: [{ ip: '2' }, { ip: '1' }] } },
    ],
    [
      'tolerations not at all',
      { spec: { tolerations: [{ key: 'a' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
      { spec: { tolerations: [{ key: 'b' }] } },
    ],
    [
      'containerStatuses not at all',
      { status: { containerStatuses: [{ name: 'a' }] } },
      { status: { containerStatuses: [{ name: 'b' }] } },
      { status: { containerStatuses: [{ name: 'b' }] } },
    ],
  ] as [string, JsonObject, JsonObject, JsonObject][])('merges %s', (_what, document, patch, expected) => {
    expect(podPatch(document, patch)).toEqual(expected);
  });

  it('merges a node’s taints not at all, its addresses and conditions by type', () => {
    const node = {
      spec: { taints: [{ key: 'a', effect: 'E' }] },
      status: { addresses: [{ type: 'Hostname', address: 'h' }] },
    };
    expect(
      applyStrategicMergePatch('Node', node, { status: { addresses: [{ type: 'Hostname', address: 'i' }] } }),
    ).toMatchObject({ status: { addresses: [{ type: 'Hostname', address: 'i' }] } });
    expect(applyStrategicMergePatch('Node', node, { spec: { taints: [{ key: 'b', effect: 'E' }] } })).toMatchObject({
      spec: { taints: [{ key: 'b', effect: 'E' }] },
    });
  });

  it('deletes, replaces and keeps by directive', () => {
    expect(
      namesOf(podPatch(containers('a', 'b'), { spec: { containers: [{ name: 'a', $patch: 'delete' }] } })),
    ).toEqual(['b']);
    expect(
      namesOf(podPatch(containers('a', 'b'), { spec: { containers: [{ $patch: 'replace' }, { name: 'z' }] } })),
    ).toEqual(['z']);
    expect(
      podPatch({ metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'replace', b: '2' } } }),
    ).toEqual({ metadata: { labels: { b: '2' } } });
    expect(
      podPatch({ spec: { securityContext: { runAsUser: 1 } } }, { spec: { securityContext: { $patch: 'delete' } } }),
    ).toEqual({ spec: { securityContext: {} } });
    const volume = { spec: { volumes: [{ name: 'v', emptyDir: {} }] } };
    expect(
      podPatch(volume, {
        spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'secret'], secret: { secretName: 's' } }] },
      }),
    ).toEqual({ spec: { volumes: [{ name: 'v', secret: { secretName: 's' } }] } });
  });

  it('merges lists of scalars, and deletes from them', () => {
    const object = { metadata: { finalizers: ['a', 'b'] } };
    expect(podPatch(object, { metadata: { finalizers: ['c', 'b'] } })).toEqual({
      metadata: { finalizers: ['c', 'a', 'b'] },
    });
    expect(podPatch(object, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } })).toEqual({
      metadata: { finalizers: ['b'] },
    });
  });

  it('orders what it names, and keeps the others where they were', () => {
    const order = (...names: string[]) => ({ '$setElementOrder/containers': names.map((name) => ({ name })) });
    expect(namesOf(podPatch(containers('a', 'b', 'c'), { spec: { ...order('c', 'a') } }))).toEqual(['b', 'c', 'a']);
    expect(
      namesOf(podPatch(containers('a', 'b'), { spec: { ...order('a', 'n', 'b'), containers: [{ name: 'n' }] } })),
    ).toEqual(['a', 'n', 'b']);
    expect(
      codeOfApiError(() => podPatch(containers('a'), { spec: { ...order('a'), containers: [{ name: 'n' }] } })),
    ).toBe(400);
  });

  it('removes fields by null, and takes none over', () => {
    expect(
      podPatch(
        { metadata: { labels: { a: '1' } } },
        { metadata: { labels: { a: null }, annotations: { n: null, m: '1' } } },
      ),
    ).toEqual({ metadata: { labels: {}, annotations: { m: '1' } } });
  });

  it('names an item without its key', () => {
    expect(() => podPatch(containers('a'), { spec: { containers: [{ image: 'x' }] } })).toThrow(
      'map: map[image:x] does not contain declared merge key: name',
    );
  });

  it('leaves the document alone', () => {
    const document = containers('a', 'b');
    const before = structuredClone(document);
    podPatch(document, { spec: { containers: [{ name: 'a', image: 'z', env: [{ name: 'E' }] }], nodeName: 'n' } });
    expect(document).toEqual(before);
  });
});

describe('a merge patch', () => {
  it('follows the examples of RFC 7386', () => {
    const cases: [JsonObject, JsonObject, JsonObject][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [document, patch, expected] of cases) expect(applyMergePatch(document, patch)).toEqual(expected);
  });

  it('applied twice is as applied once', () => {
    const json = fc.object({ maxDepth: 3, values: [fc.string(), fc.integer(), fc.boolean(), fc.constant(null)] });
    fc.assert(
      fc.property(json, json, (document, patch) => {
        const once = applyMergePatch(document as JsonObject, patch as JsonObject);
        expect(applyMergePatch(once, patch as JsonObject)).toEqual(once);
      }),
    );
  });
});

describe('a JSON patch', () => {
  const apply = (patch: Json) => applyJsonPatch({ a: [1, 2], b: { 'c/d': 3 } }, patch);

  it.each([
    [[{ op: 'add', path: '/a/1', value: 9 }], { a: [1, 9, 2], b: { 'c/d': 3 } }],
    [[{ op: 'add', path: '/a/-', value: 9 }], { a: [1, 2, 9], b: { 'c/d': 3 } }],
    [[{ op: 'remove', path: '/b/c~1d' }], { a: [1, 2], b: {} }],
    [[{ op: 'replace', path: '/a/0', value: { x: 1 } }], { a: [{ x: 1 }, 2], b: { 'c/d': 3 } }],
    [[{ op: 'move', from: '/a/0', path: '/b/e' }], { a: [2], b: { 'c/d': 3, e: 1 } }],
    [
      [
        { op: 'copy', from: '/b', path: '/f' },
        { op: 'test', path: '/f/c~1d', value: 3 },
      ],
      { a: [1, 2], b: { 'c/d': 3 }, f: { 'c/d': 3 } },
    ],
  ] as [Json, JsonObject][])('%j', (patch, expected) => {
    expect(apply(patch)).toEqual(expected);
  });

  it.each([
    [[{ op: 'remove', path: '/nope' }]],
    [[{ op: 'replace', path: '/nope', value: 1 }]],
    [[{ op: 'add', path: '/a/7', value: 1 }]],
    [[{ op: 'add', path: '/a/01', value: 1 }]],
    [[{ op: 'add', path: '/x' }]],
    [[{ op: 'test', path: '/a/0', value: 2 }]],
    [[{ op: 'frob', path: '/a' }]],
  ] as [Json][])('%j is unprocessable', (patch) => {
    expect(codeOfApiError(() => apply(patch))).toBe(422);
  });
});
