/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/test/{unit,integration,conformance}/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }],
  },
  workerIdleMemoryLimit: '512MB',
  testTimeout: 20_000,
};
