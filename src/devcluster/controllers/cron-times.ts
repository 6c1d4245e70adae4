/**
 * When a cron schedule is due. Times are found as github.com/robfig/cron/v3 (spec.go) finds them, which Kubernetes
 * uses: hours that a change of the clocks skips are not made up for, hours that it repeats count twice.
 */
import { invalidInput } from '../../core/errors.ts';

interface Field {
  readonly values: ReadonlySet<number>;
  /** It was `*`: of day of month and day of week the other decides alone. */
  readonly any: boolean;
}

/** The next due time after a moment, in milliseconds; undefined when there is none for years. */
export type CronTimes = (afterMs: number) => number | undefined;

const minuteMs = 60_000;
const hourMs = 3_600_000;
const searchedYears = 5;
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};
const unitMs: Readonly<Record<string, number>> = { h: hourMs, m: minuteMs, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 };

/** Reads a schedule of five fields, a macro or `@every 1h30m`; a wrong one is `InvalidInput`, as is an unknown zone. */
export function cronTimes(schedule: string, timeZone = 'UTC'): CronTimes {
  const every = /^@every ((?:[\d.]+(?:ns|us|ms|s|m|h))+)$/.exec(schedule)?.[1];
  if (every !== undefined) {
    const parts = [...every.matchAll(/([\d.]+)(ns|us|ms|s|m|h)/g)];
    const total = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? 0), 0);
    const delayMs = Math.max(1000, Math.floor(total / 1000) * 1000);
    return (afterMs) => Math.floor(afterMs / 1000) * 1000 + delayMs;
  }
  const parts = (macros[schedule] ?? schedule).trim().split(/\s+/);
  if (parts.length !== 5) throw invalidInput(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  const [minute, hour, day, month, weekday] = [
    readField(parts[0] as string, 0, 59),
    readField(parts[1] as string, 0, 23),
    readField(parts[2] as string, 1, 31),
    readField(parts[3] as string, 1, 12, months, 1),
    readField(parts[4] as string, 0, 6, weekdays),
  ] as const;
  const wallClock = wallClockOf(timeZone);
  const onDay = (at: Date) => {
    const ofMonth = day.values.has(at.getUTCDate());
    const ofWeek = weekday.values.has(at.getUTCDay());
    return month.values.has(at.getUTCMonth() + 1) && (day.any || weekday.any ? ofMonth && ofWeek : ofMonth || ofWeek);
  };
  return (afterMs) => {
    const last = afterMs + searchedYears * 366 * 24 * hourMs;
    let time = Math.floor(afterMs / minuteMs) * minuteMs + minuteMs;
    while (time <= last) {
      const at = wallClock(time);
      if (!onDay(at)) time = nextMidnight(time, at, wallClock);
      else if (!hour.values.has(at.getUTCHours())) time += (60 - at.getUTCMinutes()) * minuteMs;
      else if (!minute.values.has(at.getUTCMinutes())) time += minuteMs;
      else return time;
    }
    return undefined;
  };
}

/** The beginning of the next day, which may not be 24 hours after that of this one. */
function nextMidnight(time: number, at: Date, wallClock: (ms: number) => Date): number {
  const next = time + 24 * hourMs - (at.getUTCHours() * 60 + at.getUTCMinutes()) * minuteMs;
  const landed = wallClock(next);
  const early = (landed.getUTCHours() * 60 + landed.getUTCMinutes()) * minuteMs;
  // After a short day this lands behind midnight, unless there was no midnight at all.
  if (early === 0 || landed.getUTCHours() > 3) return next;
  return wallClock(next - early).getUTCDate() === landed.getUTCDate() ? next - early : next;
}

/** What clocks in a zone show, as the UTC fields of a Date. */
function wallClockOf(timeZone: string): (ms: number) => Date {
  if (timeZone === 'UTC') return (ms) => new Date(ms);
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
  } catch (error) {
    throw invalidInput(`unknown time zone ${timeZone}`, error);
  }
  return (ms) => {
    const parts = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    return new Date(
      Date.UTC(parts['year'] as number, (parts['month'] as number) - 1, parts['day'], parts['hour'], parts['minute']),
    );
  };
}

function readField(text: string, min: number, max: number, names: readonly string[] = [], firstName = 0): Field {
  const numberOf = (word: string) => {
    const named = names.indexOf(word.toLowerCase());
    const value = named >= 0 ? named + firstName : Number(word);
    if (word === '' || !Number.isInteger(value)) throw invalidInput(`failed to parse int from ${word}`);
    return value;
  };
  const values = new Set<number>();
  let any = false;
  for (const part of text.split(',')) {
    const [range = '', stepText] = part.split('/');
    const step = stepText === undefined ? 1 : numberOf(stepText);
    const [low = '', high] = range.split('-');
    const all = range === '*' || range === '?';
    const first = all ? min : numberOf(low);
    const last = all ? max : high !== undefined ? numberOf(high) : stepText !== undefined ? max : first;
    if (first < min || last > max || first > last || step < 1)
      throw invalidInput(`${part} is not within ${min}-${max}`);
    for (let value = first; value <= last; value += step) values.add(value);
    any ||= all && step === 1;
  }
  return { values, any };
}
