import { describe, expect, it } from '@jest/globals';

import { codeOf } from '../../../../src/core/errors.ts';
import { lastDue } from '../../../../src/devcluster/controllers/cron-job.ts';
import { cronTimes } from '../../../../src/devcluster/controllers/cron-times.ts';

const after = (schedule: string, time: string, zone?: string) => {
  const next = cronTimes(schedule, zone)(Date.parse(time));
  return next === undefined ? undefined : new Date(next).toISOString().replace('.000', '');
};

describe('a cron schedule', () => {
  it.each([
    ['* * * * *', '2026-03-01T10:00:30Z', '2026-03-01T10:01:00Z'],
    ['* * * * *', '2026-03-01T10:00:00Z', '2026-03-01T10:01:00Z'],
    ['*/15 * * * *', '2026-03-01T10:46:00Z', '2026-03-01T11:00:00Z'],
    ['30 6-16/4 * * 1-5', '2026-02-27T14:30:00Z', '2026-03-02T06:30:00Z'],
    ['0 0 1 jan *', '2026-03-01T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['0 0 29 2 *', '2026-03-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['@hourly', '2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z'],
    ['@weekly', '2026-03-02T00:00:00Z', '2026-03-08T00:00:00Z'],
    ['@every 90m', '2026-03-01T10:00:10.5Z', '2026-03-01T11:30:10Z'],
    // Either day will do when both are given; a star leaves it to the other.
    ['0 0 13 * fri', '2026-03-07T00:00:00Z', '2026-03-13T00:00:00Z'],
    ['0 0 1 * fri', '2026-03-02T00:00:00Z', '2026-03-06T00:00:00Z'],
  ])('%s after %s is due at %s', (schedule, time, due) => {
    expect(after(schedule, time)).toBe(due);
  });

  it('is never due on a day that does not exist', () => {
    expect(after('59 23 31 2 *', '2026-03-01T00:00:00Z')).toBeUndefined();
  });

  it('goes by the clocks of its zone, skips the hour that they skip and repeats the one that they repeat', () => {
    expect(after('30 9 * * *', '2026-01-10T12:00:00Z', 'America/New_York')).toBe('2026-01-10T14:30:00Z');
    expect(after('30 9 * * *', '2026-07-10T12:00:00Z', 'America/New_York')).toBe('2026-07-10T13:30:00Z');
    expect(after('30 2 * * *', '2026-03-08T06:00:00Z', 'America/New_York')).toBe('2026-03-09T06:30:00Z');
    expect(after('30 1 * * *', '2026-11-01T05:30:00Z', 'America/New_York')).toBe('2026-11-01T06:30:00Z');
    expect(after('0 0 * * *', '2026-03-08T12:00:00Z', 'America/New_York')).toBe('2026-03-09T04:00:00Z');
    expect(after('0 0 1 * *', '2026-10-30T12:00:00Z', 'Asia/Kathmandu')).toBe('2026-10-31T18:15:00Z');
  });

  it.each(['* * * *', '60 * * * *', '5-1 * * * *', '*/0 * * * *', 'x * * * *'])('%s is refused', (schedule) => {
    expect(refusal(() => cronTimes(schedule))).toBe('InvalidInput');
  });

  it('is refused with an unknown zone', () => {
    expect(refusal(() => cronTimes('* * * * *', 'Middle/Earth'))).toBe('InvalidInput');
  });
});

describe('the last due time', () => {
  const times = cronTimes('*/10 * * * *');
  const at = (time: string) => Date.parse(`2026-03-01T${time}Z`);

  it.each([
    ['10:00:00', '10:05:00', undefined, 0],
    ['10:00:00', '10:10:00', '10:10:00', 0],
    ['10:00:00', '10:35:00', '10:30:00', 3],
  ])('after %s and until %s is %s', (from, until, due, missed) => {
    expect(lastDue(times, at(from), at(until))).toEqual({ due: due && at(due), missed });
  });

  it('is found at once after a long sleep', () => {
    const { due, missed } = lastDue(cronTimes('* * * * *'), Date.parse('2020-01-01T00:00:00Z'), at('10:00:30'));
    expect(due).toBe(at('10:00:00'));
    expect(missed).toBeGreaterThan(100);
  });
});

function refusal(fn: () => unknown): string | undefined {
  try {
    fn();
  } catch (error) {
    return codeOf(error);
  }
  return undefined;
}
