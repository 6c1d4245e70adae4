import { describe, expect, it } from '@jest/globals';

import { exposition, goNumber } from '../../../src/metrics/exposition.ts';

describe('numbers', () => {
  it.each([
    [0, '0'],
    [1, '1'],
    [-1, '-1'],
    [0.25, '0.25'],
    [357.35491, '357.35491'],
    [999_999, '999999'],
    [1_000_000, '1e+06'],
    [86_204_416, '8.6204416e+07'],
    [1_234_567.25, '1.23456725e+06'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [Infinity, '+Inf'],
    [-Infinity, '-Inf'],
    [Number.NaN, 'NaN'],
  ])('%d is written as Go writes it', (value, text) => {
    expect(goNumber(value)).toBe(text);
  });
});

describe('the text format', () => {
  it('has families by name, each with its help and type, and the time of a measurement', () => {
    const text = exposition([
      {
        name: 'b',
        type: 'counter',
        help: 'B.',
        samples: [{ name: 'b', labels: [['x', '1']], value: 2, at: 1733132000123 }],
      },
      { name: 'a', type: 'gauge', help: 'A.', samples: [{ name: 'a', labels: [], value: 1.5 }] },
    ]);
    expect(text).toBe('# HELP a A.\n# TYPE a gauge\na 1.5\n# HELP b B.\n# TYPE b counter\nb{x="1"} 2 1733132000123\n');
  });

  it('escapes what would end a label or a line', () => {
    const labels = [['x', 'a"b\\c\nd']] as const;
    const text = exposition([
      { name: 'a', type: 'gauge', help: 'one\ntwo\\', samples: [{ name: 'a', labels, value: 1 }] },
    ]);
    expect(text).toBe('# HELP a one\\ntwo\\\\\n# TYPE a gauge\na{x="a\\"b\\\\c\\nd"} 1\n');
  });

  it('leaves out a family of which there is nothing', () => {
    expect(exposition([{ name: 'a', type: 'gauge', help: '', samples: [] }])).toBe('');
  });
});
