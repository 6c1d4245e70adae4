const zero = 0x30;
const fixedWidth = 30;

/** Digits are 0 here, the separators of `2006-01-02T15:04:05` themselves. */
const seconds = Buffer.from('0000-00-00T00:00:00');
const secondsWidth = seconds.length;
const dot = 0x2e;
const zulu = 0x5a;
const plus = 0x2b;
const minus = 0x2d;

/** True when the bytes from `start` to `end` are an RFC 3339 time, with any fraction and zone. */
export function isTimestamp(bytes: Buffer, start: number, end: number): boolean {
  if (end - start < secondsWidth + 1) return false;
  for (let i = 0; i < secondsWidth; i++) {
    const byte = bytes[start + i] as number;
    const expected = seconds[i] as number;
    if (expected === zero ? !isDigit(byte) : byte !== expected) return false;
  }
  const zone = zoneStart(bytes, start, end);
  if (bytes[zone] === zulu) return zone === end - 1;
  if (bytes[zone] !== plus && bytes[zone] !== minus) return false;
  return (
    end - zone === 6 &&
    bytes[zone + 3] === 0x3a &&
    isDigit(bytes[zone + 1] as number) &&
    isDigit(bytes[zone + 2] as number) &&
    isDigit(bytes[zone + 4] as number) &&
    isDigit(bytes[zone + 5] as number)
  );
}

/** Milliseconds since the epoch of a time that {@link isTimestamp}, rounded down. */
export function timestampMs(bytes: Buffer, start: number, end: number): number {
  const zone = zoneStart(bytes, start, end);
  let millis = 0;
  for (let i = 0; i < 3; i++) millis = millis * 10 + (start + 20 + i < zone ? digits(bytes, start + 20 + i, 1) : 0);
  const year = digits(bytes, start, 4);
  const month = digits(bytes, start + 5, 2);
  const day = digits(bytes, start + 8, 2);
  const hour = digits(bytes, start + 11, 2);
  const utc = Date.UTC(year, month - 1, day, hour, digits(bytes, start + 14, 2), digits(bytes, start + 17, 2), millis);
  if (bytes[zone] === zulu) return utc;
  const minutes = digits(bytes, zone + 1, 2) * 60 + digits(bytes, zone + 4, 2);
  return utc - (bytes[zone] === minus ? -minutes : minutes) * 60_000;
}

/**
 * A time with exactly nine digits of fraction, as the kubelet prefixes log lines: `2006-01-02T15:04:05.000000000Z07:00`.
 * The same bytes when they are that already, as nearly all are.
 */
export function fixedWidthTimestamp(bytes: Buffer, start: number, end: number): Buffer {
  if (end - start === fixedWidth && bytes[start + fixedWidth - 1] === zulu) return bytes.subarray(start, end);
  const zone = zoneStart(bytes, start, end);
  const fraction = bytes
    .toString('latin1', Math.min(start + 20, zone), zone)
    .slice(0, 9)
    .padEnd(9, '0');
  const offset = bytes.toString('latin1', zone, end);
  const whole = bytes.toString('latin1', start, start + secondsWidth);
  return Buffer.from(`${whole}.${fraction}${/^[+-]00:00$/.test(offset) ? 'Z' : offset}`, 'latin1');
}

function zoneStart(bytes: Buffer, start: number, end: number): number {
  let at = start + secondsWidth;
  if (bytes[at] !== dot) return at;
  at++;
  while (at < end && isDigit(bytes[at] as number)) at++;
  return at;
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= zero + 9;
}

function digits(bytes: Buffer, at: number, width: number): number {
  let value = 0;
  for (let i = at; i < at + width; i++) value = value * 10 + (bytes[i] as number) - zero;
  return value;
}
