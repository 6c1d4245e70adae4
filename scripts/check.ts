// `npm run check`: format, lint, rooms, types, unused code. Runs all of them and says which failed.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const checks = {
  format: ['node_modules/prettier/bin/prettier.cjs', '--check', '--log-level=warn', '.'],
  lint: ['node_modules/oxlint/bin/oxlint', '--deny-warnings', '--quiet'],
  rooms: ['scripts/check-rooms.ts'],
  types: ['node_modules/typescript/bin/tsc', '--noEmit', '-p', '.'],
  unused: ['node_modules/knip/bin/knip.js', '--no-progress'],
};

const failed: string[] = [];
for (const [name, args] of Object.entries(checks)) {
  const startedAt = performance.now();
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    stdio: 'inherit',
  });
  if (status !== 0) failed.push(name);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
}
console.log(`${Object.keys(checks).length - failed.length} passed, ${failed.length} failed`);
if (failed.length > 0) process.exitCode = 1;
