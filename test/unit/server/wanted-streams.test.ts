import { describe, expect, it } from '@jest/globals';

import { wantedStreams } from '../../../src/server/routes/remote-command.ts';

const wanted = (query: string) => wantedStreams(new URLSearchParams(query));

describe('streams of a remote command', () => {
  it.each([
    ['output=1', { stdin: false, stdout: true, stderr: false, tty: false }],
    ['input=1&output=1&error=1', { stdin: true, stdout: true, stderr: true, tty: false }],
    ['input=1&output=1&error=1&tty=1', { stdin: true, stdout: true, stderr: false, tty: true }],
    ['input=true&output=1', { stdin: false, stdout: true, stderr: false, tty: false }],
  ])('%s', (query, streams) => {
    expect(wanted(query)).toEqual(streams);
  });

  it.each(['', 'tty=1', 'error=1&tty=1', 'input=true', 'output=0'])('%p asks for nothing', (query) => {
    expect(() => wanted(query)).toThrow('you must specify at least 1 of stdin, stdout, stderr');
  });
});
