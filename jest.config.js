/** @type {import('jest').Config} */
export default {
  testMatch: ['<rootDir>/test/{unit,integration,conformance}/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  // What the package's own `exports` say once it is built.
  moduleNameMapper: { '^anylet$': '<rootDir>/src/index.ts', '^anylet/testing$': '<rootDir>/src/testing/index.ts' },
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  workerIdleMemoryLimit: '512MB',
  testTimeout: 20_000,
};
