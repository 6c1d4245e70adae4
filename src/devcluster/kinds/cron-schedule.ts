/** What is wrong with a cron schedule, in the words of the parser that Kubernetes uses (robfig/cron). */
import { fieldInvalid, fieldRequired, type FieldError } from '../api-error.ts';

interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: ['', ...months] },
  { min: 0, max: 6, names: days },
];
const macros = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

export function validateCron(schedule: string, timeZone: string | undefined): FieldError[] {
  const errors: FieldError[] = [];
  if (schedule === '') errors.push(fieldRequired('spec.schedule'));
  else if (schedule.includes('TZ'))
    errors.push(
      fieldInvalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'),
    );
  else {
    const wrong = scheduleError(schedule);
    if (wrong !== undefined) errors.push(fieldInvalid('spec.schedule', schedule, wrong));
  }
  if (timeZone !== undefined && !isTimeZone(timeZone))
    errors.push(
      fieldInvalid(
        'spec.timeZone',
        timeZone,
        timeZone === '' ? 'timeZone must be nil or non-empty string' : `unknown time zone ${timeZone}`,
      ),
    );
  return errors;
}

function isTimeZone(name: string): boolean {
  if (name === '' || name.toLowerCase() === 'local') return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

function scheduleError(schedule: string): string | undefined {
  if (schedule.startsWith('@')) {
    if (macros.includes(schedule) || /^@every ([\d.]+(ns|us|ms|s|m|h))+$/.test(schedule)) return undefined;
    return `unrecognized descriptor: ${schedule}`;
  }
  const parts = schedule.split(/\s+/).filter((part) => part !== '');
  if (parts.length !== 5) return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  for (const [i, part] of parts.entries()) {
    for (const range of part.split(',')) {
      const wrong = rangeError(range, fields[i] as Bounds);
      if (wrong !== undefined) return wrong;
    }
  }
  return undefined;
}

/** `*`, `3`, `1-5`, each with or without a step. */
function rangeError(text: string, { min, max, names }: Bounds): string | undefined {
  const [range = '', step, ...more] = text.split('/');
  const [low = '', high, ...rest] = range.split('-');
  if (rest.length > 0) return `too many hyphens: ${text}`;
  if (more.length > 0) return `too many slashes: ${text}`;
  const numberOf = (value: string) => {
    const named = names?.indexOf(value.toLowerCase()) ?? -1;
    return named > 0 || (named === 0 && value !== '') ? named : /^\d+$/.test(value) ? Number(value) : undefined;
  };
  const notNumber = (value: string) =>
    `failed to parse int from ${value}: strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`;
  let start = min;
  let end = max;
  if (range !== '*' && range !== '?') {
    const from = numberOf(low);
    if (from === undefined) return notNumber(low);
    const to = high === undefined ? from : numberOf(high);
    if (to === undefined) return notNumber(high ?? '');
    start = from;
    end = high === undefined && step !== undefined ? max : to;
  }
  if (step !== undefined && !/^\d+$/.test(step)) return notNumber(step);
  if (start < min) return `beginning of range (${start}) below minimum (${min}): ${text}`;
  if (end > max) return `end of range (${end}) above maximum (${max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return step === '0' ? `step of range should be a positive number: ${text}` : undefined;
}
