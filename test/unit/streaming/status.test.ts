import { describe, expect, it } from '@jest/globals';

import { exitedStatus, failedStatus, statusJson, statusText } from '../../../src/streaming/status.ts';

describe('the status that ends a remote command', () => {
  it('is Success for exit code 0 and for an attach that ended', () => {
    expect(statusJson(exitedStatus({ exitCode: 0 }))).toBe('{"metadata":{},"status":"Success"}');
    expect(statusJson(exitedStatus(undefined))).toBe('{"metadata":{},"status":"Success"}');
  });

  it('carries another exit code as a cause', () => {
    expect(statusJson(exitedStatus({ exitCode: 3 }))).toBe(
      '{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: command terminated with exit code 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}',
    );
  });

  it.each([-1, 256, 3221225786])('never carries an exit code that clients cannot read: %d', (exitCode) => {
    expect(exitedStatus({ exitCode }).details?.causes).toEqual([{ reason: 'ExitCode', message: '255' }]);
  });

  it('says what failed, as an internal error', () => {
    expect(statusJson(failedStatus('executing command in container', new Error('no such <file> & more')))).toBe(
      '{"metadata":{},"status":"Failure","message":"Internal error occurred: error executing command in container: no such \\u003cfile\\u003e \\u0026 more","reason":"InternalError","details":{"causes":[{"message":"error executing command in container: no such \\u003cfile\\u003e \\u0026 more"}]},"code":500}',
    );
    expect(statusText(failedStatus('attaching to container', new Error('gone')))).toBe(
      'Internal error occurred: error attaching to container: gone',
    );
  });

  it('is plain text before v4, and nothing for success', () => {
    expect(statusText(exitedStatus({ exitCode: 0 }))).toBe('');
    expect(statusText(exitedStatus({ exitCode: 137 }))).toBe(
      'command terminated with non-zero exit code: command terminated with exit code 137',
    );
  });
});
