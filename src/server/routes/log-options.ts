import type { LogOptions } from '../../providers/contract.ts';
import { Refusal } from '../refusal.ts';

/** `v1.PodLogOptions` of a request: which instance, and what of its log. */
export interface LogQuery {
  readonly previous: boolean;
  readonly options: LogOptions;
}

const rfc3339Time =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:[.,]\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Decodes and checks the query of `/containerLogs` (`getContainerLogs` in `pkg/kubelet/server/server.go`, the
 * conversions of `apimachinery/pkg/runtime/converter.go`, `ValidatePodLogOptions`). Throws 400 for what cannot be
 * decoded and 422 for what is not valid.
 */
export function parseLogQuery(query: URLSearchParams, nowMs: number): LogQuery {
  const sinceSeconds = integer(query, 'sinceSeconds');
  const sinceTimeMs = time(query, 'sinceTime');
  const tailLines = tail(query);
  const limitBytes = integer(query, 'limitBytes');
  const stream = query.get('stream') ?? 'All';
  const follow = boolean(query, 'follow');
  const previous = boolean(query, 'previous');
  const timestamps = boolean(query, 'timestamps');

  if (tailLines !== undefined && tailLines < 0) throw invalid();
  if (limitBytes !== undefined && limitBytes < 1) throw invalid();
  if (sinceSeconds !== undefined && (sinceSeconds < 1 || sinceTimeMs !== undefined)) throw invalid();
  if (stream !== 'All' && stream !== 'Stdout' && stream !== 'Stderr') throw invalid();
  if (stream !== 'All' && tailLines !== undefined) throw invalid();

  const sinceMs = sinceSeconds === undefined ? sinceTimeMs : nowMs - sinceSeconds * 1000;
  return {
    previous,
    options: {
      follow,
      timestamps,
      stream,
      ...(tailLines === undefined ? {} : { tailLines }),
      ...(limitBytes === undefined ? {} : { limitBytes }),
      ...(sinceMs === undefined ? {} : { sinceMs }),
    },
  };
}

/** Absent, `false` in any case and `0` are false; everything else is true, the empty value too. */
function boolean(query: URLSearchParams, name: string): boolean {
  const value = query.get(name);
  return value !== null && value !== '0' && value.toLowerCase() !== 'false';
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  return value === null ? undefined : int64(value);
}

/** The older name `tail` wins; its value `all` means no limit. */
function tail(query: URLSearchParams): number | undefined {
  const legacy = query.get('tail') ?? '';
  if (legacy === 'all') return undefined;
  return legacy === '' ? integer(query, 'tailLines') : int64(legacy);
}

function int64(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) throw undecodable();
  const value = BigInt(text.replace('+', ''));
  if (BigInt.asIntN(64, value) !== value) throw undecodable();
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, Number(value)));
}

function time(query: URLSearchParams, name: string): number | undefined {
  const value = query.get(name);
  // Older clients send JSON's null for no time.
  if (value === null || value === '' || value === 'null') return undefined;
  const date = rfc3339Time.exec(value)?.[1];
  if (date === undefined || !isDate(date)) throw undecodable();
  return Date.parse(value.replace(',', '.'));
}

/** Whether the calendar has that day: the parser of Date takes 30 February for 1 March. */
function isDate(date: string): boolean {
  const midnight = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(date);
}

function undecodable(): Refusal {
  return new Refusal(400, '{"message": "Unable to decode query."}');
}

function invalid(): Refusal {
  return new Refusal(422, '{"message": "Invalid request."}');
}
