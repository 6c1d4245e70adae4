import { invalidInput } from './errors.ts';

/** How a quantity was written, which is how it is printed. */
export type QuantityFormat = 'BinarySI' | 'DecimalSI' | 'DecimalExponent';

const nanosPerUnit = 1_000_000_000n;
const nanosPerMilli = 1_000_000n;
const largestInt64 = 2n ** 63n - 1n;

/** Powers of ten by decimal suffix. */
const decimalSuffixes = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 } as const;
const decimalSuffixOf = new Map<number, string>(
  Object.entries(decimalSuffixes).map(([suffix, power]) => [power, suffix]),
);
/** The n-th is 1024 to the n. */
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] as const;

const shape = /^([+-]?)(\d*)(?:\.(\d*))?([a-zA-Z]*(?:[+-]?\d+)?)$/;
const exponentSuffix = /^[eE]([+-]?\d+)$/;
/** An exponent beyond this is a mistake or an attack: its power of ten alone would fill memory. */
const largestExponent = 1_000;

/**
 * An exact amount of a resource, to the nano; immutable. Follows `resource.Quantity` of apimachinery
 * (pkg/api/resource/quantity.go): what is finer than a nano is rounded away from zero, a binary amount is capped at
 * 2^63 - 1, and `toString()` is the canonical form that the API server prints.
 */
export class Quantity {
  static readonly zero = new Quantity(0n, 'DecimalSI');

  /** The amount in billionths. */
  readonly nanos: bigint;
  readonly format: QuantityFormat;

  constructor(nanos: bigint, format: QuantityFormat = 'DecimalSI') {
    this.nanos = nanos;
    this.format = format;
  }

  /** Reads any wire form (`"1.5Gi"`, `"100m"`, `"12e6"`, a JSON number). Rejects anything else with `InvalidInput`. */
  static parse(input: string | number): Quantity {
    const text = String(input);
    const [, sign, whole = '', fraction = '', suffix = ''] =
      shape.exec(text) ?? refuse(text, 'it is not a number with a suffix');
    if (whole === '' && fraction === '') return refuse(text, 'its numeric part is missing');
    const { power, base, format } = suffixMeaning(text, suffix);
    const digits = BigInt(whole + fraction);
    const magnitude =
      base === 2
        ? scaleDecimal(digits << BigInt(power), 9 - fraction.length)
        : scaleDecimal(digits, power + 9 - fraction.length);
    const capped = base === 2 ? least(magnitude, largestInt64 * nanosPerUnit) : magnitude;
    // Less than one byte cannot be said in binary units.
    const fits = format !== 'BinarySI' || capped === 0n || capped >= nanosPerUnit;
    return new Quantity(sign === '-' ? -capped : capped, fits ? format : 'DecimalSI');
  }

  /** A whole number of units. */
  static of(units: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity {
    return new Quantity(BigInt(units) * nanosPerUnit, format);
  }

  /** A whole number of thousandths, as CPU is counted. */
  static ofMilli(millis: bigint | number): Quantity {
    return new Quantity(BigInt(millis) * nanosPerMilli);
  }

  /** The sum. It is printed in this quantity's format, or the other's when this one is zero. */
  add(other: Quantity): Quantity {
    return new Quantity(this.nanos + other.nanos, this.isZero ? other.format : this.format);
  }

  /** The difference, which may be negative. */
  subtract(other: Quantity): Quantity {
    return new Quantity(this.nanos - other.nanos, this.isZero ? other.format : this.format);
  }

  /** Negative when this is less than the other, 0 when they are equal, positive when it is more. */
  compare(other: Quantity): -1 | 0 | 1 {
    return this.nanos < other.nanos ? -1 : this.nanos > other.nanos ? 1 : 0;
  }

  equals(other: Quantity): boolean {
    return this.nanos === other.nanos;
  }

  get isZero(): boolean {
    return this.nanos === 0n;
  }

  get isPositive(): boolean {
    return this.nanos > 0n;
  }

  /** Whole units, rounded up (away from zero). */
  value(): bigint {
    return divideAwayFromZero(this.nanos, nanosPerUnit);
  }

  /** Whole thousandths, rounded up (away from zero). */
  milliValue(): bigint {
    return divideAwayFromZero(this.nanos, nanosPerMilli);
  }

  /** How many `divisor`s it takes to hold this amount, rounded up. Refuses a divisor of zero with `InvalidInput`. */
  dividedBy(divisor: Quantity): bigint {
    if (divisor.isZero) throw invalidInput('a quantity cannot be divided by 0');
    return divideAwayFromZero(this.nanos, divisor.nanos);
  }

  /** The nearest floating-point number of units: for metrics and shares, never for accounting. */
  toNumber(): number {
    const units = this.nanos / nanosPerUnit;
    return Number(units) + Number(this.nanos % nanosPerUnit) / 1e9;
  }

  /** The canonical form. */
  toString(): string {
    if (this.isZero) return '0';
    const units = this.nanos / nanosPerUnit;
    const binary =
      this.format === 'BinarySI' && this.nanos % nanosPerUnit === 0n && (units <= -1024n || units >= 1024n);
    return binary ? canonicalBinary(units) : canonicalDecimal(this.nanos, this.format === 'DecimalExponent');
  }

  toJSON(): string {
    return this.toString();
  }
}

function suffixMeaning(text: string, suffix: string): { power: number; base: 2 | 10; format: QuantityFormat } {
  if (Object.hasOwn(decimalSuffixes, suffix))
    return { power: decimalSuffixes[suffix as keyof typeof decimalSuffixes], base: 10, format: 'DecimalSI' };
  const binary = binarySuffixes.indexOf(suffix as (typeof binarySuffixes)[number]);
  if (binary > 0) return { power: binary * 10, base: 2, format: 'BinarySI' };
  const exponent = Number(exponentSuffix.exec(suffix)?.[1] ?? NaN);
  if (!(Math.abs(exponent) <= largestExponent)) return refuse(text, `its suffix "${suffix}" is not known`);
  return { power: exponent, base: 10, format: 'DecimalExponent' };
}

function refuse(text: string, why: string): never {
  throw invalidInput(`"${text.slice(0, 64)}" is not a quantity: ${why}`);
}

/** `amount` times ten to the `power`, rounded away from zero. */
function scaleDecimal(amount: bigint, power: number): bigint {
  return power >= 0 ? amount * 10n ** BigInt(power) : divideAwayFromZero(amount, 10n ** BigInt(-power));
}

function divideAwayFromZero(dividend: bigint, divisor: bigint): bigint {
  const quotient = dividend / divisor;
  if (dividend % divisor === 0n) return quotient;
  return dividend < 0n === divisor < 0n ? quotient + 1n : quotient - 1n;
}

function least(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function canonicalBinary(units: bigint): string {
  let mantissa = units;
  let power = 0;
  while (mantissa % 1024n === 0n && power < binarySuffixes.length - 1) {
    mantissa /= 1024n;
    power++;
  }
  return `${mantissa}${binarySuffixes[power]}`;
}

function canonicalDecimal(nanos: bigint, withExponent: boolean): string {
  let mantissa = nanos;
  let power = -9;
  const largestPower = withExponent ? Number.POSITIVE_INFINITY : decimalSuffixes.E;
  while (mantissa % 1000n === 0n && power < largestPower) {
    mantissa /= 1000n;
    power += 3;
  }
  return withExponent ? `${mantissa}${power === 0 ? '' : `e${power}`}` : `${mantissa}${decimalSuffixOf.get(power)}`;
}
