import { describe, expect, it } from '@jest/globals';
import { nodeIsSupported } from '../../../bin/supported-node.js';

describe('the launcher', () => {
  it.each([
    ['20.20.2', false],
    ['22.18.9', false],
    ['22.19.0', true],
    ['23.0.0', true],
    ['24.21.0', true],
    ['100.0.0', true],
  ])('takes Node.js %s: %s', (version, supported) => {
    expect(nodeIsSupported(version)).toBe(supported);
  });
});
