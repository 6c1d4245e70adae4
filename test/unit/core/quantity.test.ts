import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { codeOf } from '../../../src/core/errors.ts';
import { Quantity } from '../../../src/core/quantity.ts';

const arbitraryText = fc
  .tuple(
    fc.constantFrom('', '+', '-'),
    fc.nat({ max: 999_999 }),
    fc.option(fc.nat({ max: 9_999 }), { nil: undefined }),
    fc.constantFrom(
      '',
      'n',
      'u',
      'm',
      'k',
      'M',
      'G',
      'T',
      'P',
      'E',
      'Ki',
      'Mi',
      'Gi',
      'Ti',
      'Pi',
      'e3',
      'E-3',
      'e+6',
      'e1',
    ),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${suffix}`);

describe('Quantity.parse', () => {
  it.each([
    ['0', 0n],
    ['1', 1_000_000_000n],
    ['+1', 1_000_000_000n],
    ['-1', -1_000_000_000n],
    ['100m', 100_000_000n],
    ['0.1', 100_000_000n],
    ['.5', 500_000_000n],
    ['5.', 5_000_000_000n],
    ['1u', 1_000n],
    ['1n', 1n],
    ['0.1n', 1n],
    ['-0.1n', -1n],
    ['1k', 1_000_000_000_000n],
    ['1E', 10n ** 27n],
    ['1e3', 1_000_000_000_000n],
    ['1E3', 1_000_000_000_000n],
    ['1e-3', 1_000_000n],
    ['1e+3', 1_000_000_000_000n],
    ['1Ki', 1024n * 10n ** 9n],
    ['1.5Gi', 1536n * 1024n * 1024n * 10n ** 9n],
    ['1Ei', 2n ** 60n * 10n ** 9n],
    ['9Ei', (2n ** 63n - 1n) * 10n ** 9n],
    ['00012', 12_000_000_000n],
  ])('reads %s', (text, nanos) => {
    expect(Quantity.parse(text).nanos).toBe(nanos);
  });

  it('reads a JSON number', () => {
    expect(Quantity.parse(1.5).toString()).toBe('1500m');
  });

  it.each([
    '',
    ' ',
    '1 ',
    'x',
    '.',
    '-',
    '+-1',
    '1K',
    '1ki',
    '1kI',
    '1mi',
    '1e',
    '1e3m',
    '1.2.3',
    '0x10',
    '1,5',
    '1Mi2',
    '1e9999999',
    'Infinity',
    '1toString',
  ])('refuses %p', (text) => {
    expect(() => Quantity.parse(text)).toThrow(expect.objectContaining({ code: 'InvalidInput' }));
  });

  it('never throws anything but InvalidInput', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), (text) => {
        try {
          Quantity.parse(text);
        } catch (err) {
          expect(codeOf(err)).toBe('InvalidInput');
        }
      }),
    );
  });
});

describe('Quantity.toString', () => {
  it.each([
    ['0', '0'],
    ['0Gi', '0'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['0.5', '500m'],
    ['1024Ki', '1Mi'],
    ['1000Ki', '1000Ki'],
    ['512Mi', '512Mi'],
    ['1.5Gi', '1536Mi'],
    ['1.1Ki', '1126400m'],
    ['0.5Ki', '512'],
    ['0.5Mi', '512Ki'],
    ['0.0001Ki', '102400u'],
    ['1000', '1k'],
    ['1234567', '1234567'],
    ['1000000', '1M'],
    ['12e6', '12e6'],
    ['1e3', '1e3'],
    ['1e2', '100'],
    ['100e3', '100e3'],
    ['1000e3', '1e6'],
    ['1500E-3', '1500e-3'],
    ['-1Gi', '-1Gi'],
    ['-1000m', '-1'],
    ['0.1n', '1n'],
    ['2000E', '2000E'],
  ])('%s is %s', (text, canonical) => {
    expect(Quantity.parse(text).toString()).toBe(canonical);
  });

  it('is a fixed point that means the same amount', () => {
    fc.assert(
      fc.property(arbitraryText, (text) => {
        const quantity = Quantity.parse(text);
        const canonical = Quantity.parse(quantity.toString());
        expect(canonical.nanos).toBe(quantity.nanos);
        expect(canonical.toString()).toBe(quantity.toString());
      }),
    );
  });

  it('is what JSON gets', () => {
    expect(JSON.stringify({ cpu: Quantity.parse('2000m') })).toBe('{"cpu":"2"}');
  });
});

describe('Quantity arithmetic', () => {
  it('adds in the format of the first that is not zero', () => {
    expect(Quantity.zero.add(Quantity.parse('1Gi')).add(Quantity.parse('1G')).toString()).toBe('2073741824');
    expect(Quantity.zero.add(Quantity.parse('1Gi')).add(Quantity.parse('1Mi')).toString()).toBe('1025Mi');
    expect(Quantity.parse('100m').add(Quantity.parse('0.9')).toString()).toBe('1');
  });

  it.each([
    ['1n', 1n, 1n],
    ['0.5', 1n, 500n],
    ['-0.5', -1n, -500n],
    ['1.0001', 2n, 1001n],
    ['3', 3n, 3000n],
    ['1Ki', 1024n, 1_024_000n],
  ])('%s holds %d units and %d thousandths, rounded up', (text, value, milliValue) => {
    const quantity = Quantity.parse(text);
    expect([quantity.value(), quantity.milliValue()]).toEqual([value, milliValue]);
  });

  it.each([
    ['500m', '1', 1n],
    ['500m', '1m', 500n],
    ['1Gi', '1Mi', 1024n],
    ['1Gi', '1', 1_073_741_824n],
    ['1025Ki', '1Mi', 2n],
    ['0', '1', 0n],
  ])('%s divided by %s is %d', (text, divisor, result) => {
    expect(Quantity.parse(text).dividedBy(Quantity.parse(divisor))).toBe(result);
  });

  it('refuses to divide by zero', () => {
    expect(() => Quantity.of(1).dividedBy(Quantity.zero)).toThrow(expect.objectContaining({ code: 'InvalidInput' }));
  });

  it('keeps the laws of addition and order', () => {
    fc.assert(
      fc.property(arbitraryText, arbitraryText, (a, b) => {
        const [x, y] = [Quantity.parse(a), Quantity.parse(b)];
        expect(x.add(y).nanos).toBe(y.add(x).nanos);
        expect(x.add(y).subtract(y).equals(x)).toBe(true);
        expect(x.compare(y)).toBe(-y.compare(x) || 0);
        expect(x.compare(y) === 0).toBe(x.equals(y));
        expect(x.compare(y) < 0).toBe(x.subtract(y).compare(Quantity.zero) < 0);
      }),
    );
  });

  it('rounds up by less than one', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 80n }), (nanos) => {
        const quantity = new Quantity(nanos);
        const excess = quantity.value() * 1_000_000_000n - nanos;
        expect(excess >= 0n && excess < 1_000_000_000n).toBe(true);
      }),
    );
  });

  it('gives floating point where it is asked for', () => {
    expect(Quantity.parse('1500m').toNumber()).toBe(1.5);
    expect(Quantity.parse('-250m').toNumber()).toBe(-0.25);
    expect(Quantity.ofMilli(250).toString()).toBe('250m');
  });
});
