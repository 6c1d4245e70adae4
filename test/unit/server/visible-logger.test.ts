import { expect, it, jest } from '@jest/globals';

import { silentLogger } from '../../../src/core/logger.ts';
import { visible, visibleLogger } from '../../../src/server/visible-logger.ts';

it('a client cannot forge a line, colour a terminal or turn text around', () => {
  expect(visible('a\nlevel=error \u001b[31m\u202etxt\u2028')).toBe('a\\u000alevel=error \\u001b[31m\\u202etxt\\u2028');
});

it('a client cannot write an endless line', () => {
  expect(visible('x'.repeat(5000))).toHaveLength(1025);
});

it('is applied to the fields of every level', () => {
  const warn = jest.fn();
  visibleLogger({ ...silentLogger, warn }).warn('message', { path: '/a\tb', status: 404 });
  expect(warn).toHaveBeenCalledWith('message', { path: '/a\\u0009b', status: 404 });
});
