import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import {
  difference,
  intersection,
  isMember,
  noFields,
  pathsOf,
  stepsOf,
  union,
  type FieldSet,
} from '../../../src/devcluster/managed-fields/field-set.ts';

/** The set of these paths, the plain way. */
function setOf(paths: readonly string[][]): FieldSet {
  interface Node {
    member: boolean;
    below: Map<string, Node>;
  }
  const root: Node = { member: false, below: new Map() };
  for (const path of paths) {
    let at = root;
    for (const step of path) {
      const next = at.below.get(step) ?? { member: false, below: new Map<string, Node>() };
      at.below.set(step, next);
      at = next;
    }
    at.member = true;
  }
  const built = ({ member, below }: Node): FieldSet => ({
    ...(member && below.size > 0 && { '.': noFields }),
    ...Object.fromEntries([...below].sort(([a], [b]) => (a < b ? -1 : 1)).map(([step, node]) => [step, built(node)])),
  });
  return built(root);
}

function listed(set: FieldSet, prefix: string[] = []): string[] {
  return stepsOf(set).flatMap(([step, node]) => {
    const path = [...prefix, step];
    return [...(isMember(node) ? [path.join('/')] : []), ...listed(node, path)];
  });
}

const paths = fc.array(fc.array(fc.constantFrom('f:a', 'f:b', 'f:c'), { minLength: 1, maxLength: 3 }), {
  maxLength: 6,
});
const keys = (list: readonly string[][]) => new Set(list.map((path) => path.join('/')));

describe('sets of fields', () => {
  it('add, subtract and intersect as sets of paths do', () => {
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const [a, b] = [setOf(left), setOf(right)];
        const [inA, inB] = [keys(left), keys(right)];
        expect(new Set(listed(union(a, b)))).toEqual(new Set([...inA, ...inB]));
        expect(new Set(listed(difference(a, b)))).toEqual(new Set([...inA].filter((path) => !inB.has(path))));
        expect(new Set(listed(intersection(a, b)))).toEqual(new Set([...inA].filter((path) => inB.has(path))));
      }),
    );
  });

  it('are written in one way only', () => {
    fc.assert(
      fc.property(paths, paths, (left, right) => {
        const all = union(setOf(left), setOf(right));
        expect(JSON.stringify(all)).toBe(JSON.stringify(setOf([...left, ...right])));
        expect(union(all, setOf(left))).toBe(all);
      }),
    );
  });

  it('name their paths as messages do', () => {
    const set = {
      'f:spec': {
        'f:ports': { 'k:{"port":80,"protocol":"TCP"}': { '.': {}, 'f:port': {} } },
        'f:finalizers': { 'v:"x"': {} },
      },
    };
    expect(pathsOf(set)).toEqual([
      '.spec.ports[port=80,protocol="TCP"]',
      '.spec.ports[port=80,protocol="TCP"].port',
      '.spec.finalizers[="x"]',
    ]);
  });
});
