import { describe, expect, it } from '@jest/globals';

import { matchPattern } from '../../../src/server/mux.ts';

const patterns = new Set(['/healthz', '/pods', '/pods/', '/stats/', '/debug/flags/v']);

describe('paths that are known before authentication', () => {
  it.each([
    ['/healthz', 'known'],
    ['/healthz/', 'unknown'],
    ['/healthz/x', 'unknown'],
    ['/pods', 'known'],
    ['/pods/', 'known'],
    ['/pods/a/b', 'known'],
    ['/podsa', 'unknown'],
    ['/stats', 'redirect'],
    ['/stats/summary', 'known'],
    ['/debug/flags/v', 'known'],
    ['/debug/flags', 'unknown'],
    ['/', 'unknown'],
    ['', 'unknown'],
    ['/PODS', 'unknown'],
    ['//pods', 'unknown'],
  ])('%s is %s', (path, match) => {
    expect(matchPattern(patterns, path)).toBe(match);
  });
});
