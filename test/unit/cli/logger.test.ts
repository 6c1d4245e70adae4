import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { createLogger } from '../../../src/cli/logger.ts';
import type { LoggerOptions } from '../../../src/cli/logger.ts';
import type { Logger } from '../../../src/core/logger.ts';

/** The lines that `write` makes a logger write. */
function lines(options: Partial<LoggerOptions>, write: (log: Logger) => void): string[] {
  const stream = new PassThrough();
  write(createLogger({ level: 'info', format: 'json', colour: false, ...options, stream }));
  return String((stream.read() as Buffer | null) ?? '')
    .trimEnd()
    .split('\n');
}

describe('the logger', () => {
  it('writes a JSON object per line, with the fields of all loggers that it was made from', () => {
    const [line = ''] = lines({}, (log) =>
      log.with({ room: 'pods' }).with({ pod: 'a' }).warn('pod create failed', { attempt: 2 }),
    );
    expect(JSON.parse(line)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: 'warn',
      msg: 'pod create failed',
      room: 'pods',
      pod: 'a',
      attempt: 2,
    });
  });

  it('lets no field pass for the time, the level or the message', () => {
    const [line = ''] = lines({}, (log) => log.info('truth', { level: 'error', msg: 'lie', time: 'never' }));
    expect(JSON.parse(line)).toMatchObject({ level: 'info', msg: 'truth' });
  });

  it('writes errors as their messages and leaves out what is undefined', () => {
    const [line = ''] = lines({}, (log) => log.error('bad', { err: new Error('why'), uid: undefined, size: 3n }));
    expect(JSON.parse(line)).toMatchObject({ err: 'why', size: '3' });
    expect(line).not.toContain('uid');
  });

  it('keeps silent below its level', () => {
    expect(lines({ level: 'warn' }, (log) => [log.info('a'), log.debug('b'), log.warn('c')])).toEqual([
      expect.stringContaining('"msg":"c"'),
    ]);
  });

  it('writes text for people, on one line, quoting where it must', () => {
    const [line = ''] = lines({ format: 'text' }, (log) =>
      log.info('node is ready', { node: 'laptop', note: 'two words' }),
    );
    expect(line).toMatch(/^\S+Z INFO {2}node is ready node=laptop note="two words"$/);
  });

  it('puts a stack under its line, and colours levels on a terminal only', () => {
    const said = lines({ format: 'text', colour: true }, (log) => log.error('broken', { stack: 'Error: x\n    at y' }));
    expect(said[0]).toContain('\u001B[31mERROR\u001B[0m broken');
    expect(said.slice(1)).toEqual(['Error: x', '    at y']);
  });
});
