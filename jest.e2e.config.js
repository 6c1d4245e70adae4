import common from './jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...common,
  testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
  // One test drives a real cluster through several states; the first one may build it.
  testTimeout: 120_000,
};
