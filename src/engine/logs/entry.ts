import { isTimestamp } from './timestamp.ts';

/** One entry of a log file, as ranges of bytes, so that reading millions of them creates nothing. Reused. */
export interface LogEntry {
  stream: 'Stdout' | 'Stderr';
  time: Buffer;
  timeStart: number;
  timeEnd: number;
  /** What the container wrote, with its newline when the entry ends a line. */
  text: Buffer;
  textStart: number;
  textEnd: number;
}

/** Reads the entry in `bytes` from `start` to `end`, its newline included, into `entry`; false when it is none. */
export type EntryParser = (bytes: Buffer, start: number, end: number, entry: LogEntry) => boolean;

const newline = 0x0a;
const space = 0x20;
const colon = 0x3a;
const letterF = 0x46;
const letterP = 0x50;
const nothing = Buffer.alloc(0);

export function emptyEntry(): LogEntry {
  return { stream: 'Stdout', time: nothing, timeStart: 0, timeEnd: 0, text: nothing, textStart: 0, textEnd: 0 };
}

/**
 * The CRI format: `<RFC 3339 time> stdout|stderr F|P[:more tags] <text>`. An entry tagged P is part of a line that
 * goes on in the next one of its stream. Follows cri-client/pkg/logs/logs.go.
 */
export const parseCriEntry: EntryParser = (bytes, start, end, entry) => {
  const timeEnd = bytes.indexOf(space, start);
  if (timeEnd < 0 || timeEnd >= end || !isTimestamp(bytes, start, timeEnd)) return false;
  const stream = timeEnd + 1;
  const tag = stream + 7;
  if (tag >= end || bytes[tag - 1] !== space || !startsStream(bytes, stream)) return false;
  const letter = bytes[tag] as number;
  let textStart = tag + 1;
  while (textStart < end && bytes[textStart] !== space) textStart++;
  if (textStart >= end || (letter !== letterF && letter !== letterP)) return false;
  if (textStart > tag + 1 && bytes[tag + 1] !== colon) return false;
  textStart++;
  entry.stream = bytes[stream + 3] === 0x6f ? 'Stdout' : 'Stderr';
  entry.time = bytes;
  entry.timeStart = start;
  entry.timeEnd = timeEnd;
  entry.text = bytes;
  entry.textStart = textStart;
  entry.textEnd = letter === letterP && end > textStart && bytes[end - 1] === newline ? end - 1 : end;
  return true;
};

/** `std` and then `out` or `err`. */
function startsStream(bytes: Buffer, at: number): boolean {
  if (bytes[at] !== 0x73 || bytes[at + 1] !== 0x74 || bytes[at + 2] !== 0x64) return false;
  const [a, b, c] = [bytes[at + 3], bytes[at + 4], bytes[at + 5]];
  return (a === 0x6f && b === 0x75 && c === 0x74) || (a === 0x65 && b === 0x72 && c === 0x72);
}

/** Docker's json-file format: `{"log":"text\n","stream":"stdout","time":"<RFC 3339 time>"}`. */
export const parseDockerEntry: EntryParser = (bytes, start, end, entry) => {
  let line: { log?: unknown; stream?: unknown; time?: unknown };
  try {
    line = JSON.parse(bytes.toString('utf8', start, end)) as typeof line;
  } catch {
    return false;
  }
  const { log = '', stream, time } = line ?? {};
  if (typeof log !== 'string' || typeof time !== 'string' || (stream !== 'stdout' && stream !== 'stderr')) return false;
  const timeBytes = Buffer.from(time, 'latin1');
  if (!isTimestamp(timeBytes, 0, timeBytes.length)) return false;
  entry.stream = stream === 'stdout' ? 'Stdout' : 'Stderr';
  entry.time = timeBytes;
  entry.timeStart = 0;
  entry.timeEnd = timeBytes.length;
  entry.text = Buffer.from(log, 'utf8');
  entry.textStart = 0;
  entry.textEnd = entry.text.length;
  return true;
};
