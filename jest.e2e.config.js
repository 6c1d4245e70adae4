import common from './jest.config.js';

/** @type {import('jest').Config} */
export default {
  ...common,
  testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
  globalSetup: '<rootDir>/test/e2e/global-setup.mts',
  globalTeardown: '<rootDir>/test/e2e/global-teardown.mts',
  // One test drives a real cluster through several states.
  testTimeout: 90_000,
};
