import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { emptyEntry, parseCriEntry, parseDockerEntry, type EntryParser } from '../../../../src/engine/logs/entry.ts';
import { LogFilter } from '../../../../src/engine/logs/log-filter.ts';
import { Output } from '../../../../src/engine/logs/output.ts';
import { fixedWidthTimestamp, isTimestamp, timestampMs } from '../../../../src/engine/logs/timestamp.ts';
import type { LogOptions } from '../../../../src/providers/contract.ts';

const time = '2016-10-06T00:17:09.669794202Z';
const all: LogOptions = { follow: false, timestamps: false, stream: 'All' };

function parsed(parser: EntryParser, line: string): [string, string, string] | undefined {
  const padding = 'before\n';
  const bytes = Buffer.from(`${padding}${line}after 2 x\n`);
  const entry = emptyEntry();
  const end = Buffer.byteLength(padding + line);
  if (!parser(bytes, padding.length, end, entry)) return undefined;
  return [
    entry.time.toString('latin1', entry.timeStart, entry.timeEnd),
    entry.stream,
    entry.text.toString('utf8', entry.textStart, entry.textEnd),
  ];
}

describe('parseCriEntry', () => {
  it.each<[string, [string, string, string]]>([
    [`${time} stdout F message\n`, [time, 'Stdout', 'message\n']],
    [`${time} stderr F \n`, [time, 'Stderr', '\n']],
    [`${time} stdout P part\n`, [time, 'Stdout', 'part']],
    [`${time} stdout P \n`, [time, 'Stdout', '']],
    [`${time} stdout F:x:y message\n`, [time, 'Stdout', 'message\n']],
    [`${time} stdout F  two  spaces \n`, [time, 'Stdout', ' two  spaces \n']],
    [`${time} stdout F torn`, [time, 'Stdout', 'torn']],
    [`2016-10-06T00:17:09Z stdout F é世\n`, ['2016-10-06T00:17:09Z', 'Stdout', 'é世\n']],
    [`2016-10-06T00:17:09.1+02:00 stdout F m\n`, ['2016-10-06T00:17:09.1+02:00', 'Stdout', 'm\n']],
  ])('reads %j', (line, expected) => {
    expect(parsed(parseCriEntry, line)).toEqual(expected);
  });

  it.each([
    '\n',
    'message\n',
    `${time}\n`,
    `${time} \n`,
    `${time} stdout\n`,
    `${time} stdout F\n`,
    `${time} stdin F message\n`,
    `${time} stdoutF message\n`,
    `${time} stdout X message\n`,
    `${time} stdout Full message\n`,
    `x${time} stdout F message\n`,
    `2016-10-06 00:17:09Z stdout F message\n`,
    `2016-10-06T00:17:09 stdout F message\n`,
    `2016-10-06T00:17:09.669794202 stdout F message\n`,
    `2016-10-06T00:17:09Zx stdout F message\n`,
  ])('refuses %j', (line) => {
    expect(parsed(parseCriEntry, line)).toBeUndefined();
  });

  it('reads back any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.boolean(), fc.boolean(), (text, isFull, isError) => {
        const line = `${time} ${isError ? 'stderr' : 'stdout'} ${isFull ? 'F' : 'P'} ${text.replaceAll('\n', ' ')}\n`;
        const message = Buffer.from(text.replaceAll('\n', ' ') + (isFull ? '\n' : '')).toString();
        expect(parsed(parseCriEntry, line)).toEqual([time, isError ? 'Stderr' : 'Stdout', message]);
      }),
    );
  });
});

describe('parseDockerEntry', () => {
  it('reads a line', () => {
    expect(parsed(parseDockerEntry, `{"log":"é \\"x\\"\\n","stream":"stderr","time":"${time}"}\n`)).toEqual([
      time,
      'Stderr',
      'é "x"\n',
    ]);
  });

  it.each([
    '{}\n',
    'null\n',
    '[]\n',
    `{"log":"x","stream":"x","time":"${time}"}\n`,
    '{"log":"x","stream":"stdout","time":"now"}\n',
    '{"log":\n',
  ])('refuses %j', (line) => {
    expect(parsed(parseDockerEntry, line)).toBeUndefined();
  });
});

describe('timestamps', () => {
  it.each([
    ['2016-10-06T00:17:09Z', '2016-10-06T00:17:09.000000000Z'],
    ['2016-10-06T00:17:09.1Z', '2016-10-06T00:17:09.100000000Z'],
    ['2016-10-06T00:17:09.669794202Z', '2016-10-06T00:17:09.669794202Z'],
    ['2016-10-06T00:17:09.6697942021Z', '2016-10-06T00:17:09.669794202Z'],
    ['2016-10-06T00:17:09.5+00:00', '2016-10-06T00:17:09.500000000Z'],
    ['2016-10-06T00:17:09.5-07:30', '2016-10-06T00:17:09.500000000-07:30'],
  ])('%s is printed as %s, and is the same moment', (text, printed) => {
    const bytes = Buffer.from(`xx${text}yy`);
    expect(isTimestamp(bytes, 2, 2 + text.length)).toBe(true);
    expect(fixedWidthTimestamp(bytes, 2, 2 + text.length).toString()).toBe(printed);
    expect(timestampMs(bytes, 2, 2 + text.length)).toBe(Date.parse(`${printed.slice(0, 23)}${printed.slice(29)}`));
  });

  it('know any moment', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0100-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true }),
        (date) => {
          const bytes = Buffer.from(date.toISOString());
          expect(timestampMs(bytes, 0, bytes.length)).toBe(date.getTime());
        },
      ),
    );
  });
});

describe('LogFilter', () => {
  const entries = [
    '2016-10-06T00:17:00.000000000Z stdout F one\n',
    '2016-10-06T00:17:01.000000000Z stdout P tw\n',
    '2016-10-06T00:17:01.500000000Z stdout F o\n',
    '2016-10-06T00:17:02.000000000Z stderr F err\n',
    '2016-10-06T00:17:03.000000000Z stdout F \n',
    '2016-10-06T00:17:04.000000000Z stdout F last\n',
  ];

  function filtered(options: Partial<LogOptions>): string {
    const filter = new LogFilter({ ...all, ...options });
    const output = new Output();
    const entry = emptyEntry();
    for (const line of entries) {
      if (filter.isDone) break;
      const bytes = Buffer.from(line);
      parseCriEntry(bytes, 0, bytes.length, entry);
      filter.write(entry, output);
    }
    return Buffer.from(output.take() ?? []).toString();
  }

  it.each<[string, Partial<LogOptions>, string]>([
    ['joins partial entries', {}, 'one\ntwo\nerr\n\nlast\n'],
    [
      'prefixes each line once',
      { timestamps: true },
      '2016-10-06T00:17:00.000000000Z one\n2016-10-06T00:17:01.000000000Z two\n2016-10-06T00:17:02.000000000Z err\n2016-10-06T00:17:03.000000000Z \n2016-10-06T00:17:04.000000000Z last\n',
    ],
    ['keeps one stream', { stream: 'Stderr' }, 'err\n'],
    ['keeps the other', { stream: 'Stdout' }, 'one\ntwo\n\nlast\n'],
    ['skips what is older than since', { sinceMs: Date.UTC(2016, 9, 6, 0, 17, 2) }, 'err\n\nlast\n'],
    ['ends at the limit', { limitBytes: 6 }, 'one\ntw'],
    ['counts the timestamps', { limitBytes: 33, timestamps: true }, '2016-10-06T00:17:00.000000000Z on'],
    ['does not count what is not asked for', { limitBytes: 4, stream: 'Stderr' }, 'err\n'],
    ['counts the entries before it skips them', { tailLines: 3, sinceMs: Date.UTC(2016, 9, 6, 0, 17, 1) }, 'two\n'],
    ['does not count a follower’s', { tailLines: 3, follow: true }, 'one\ntwo\nerr\n\nlast\n'],
    ['gives nothing for a tail of 0', { tailLines: 0 }, ''],
  ])('%s', (_, options, expected) => {
    expect(filtered(options)).toBe(expected);
  });
});
