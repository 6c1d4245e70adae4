import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from '@jest/globals';
import type { ContainerRuntime } from '../../src/providers/contract.ts';
import { createProvider, loadPlugin } from '../../src/providers/registry.ts';
import { containerRuntimeConformance, providerContext } from '../../src/testing/index.ts';
import { eventually } from '../integration/process/fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'anylet-conformance-'));
const logDirectory = join(folder, 'logs');
let machines = 0;

afterAll(async () => {
  // Shims end by themselves when nothing is left to do.
  await eventually(() => processesOf(folder).length === 0, 'that all shims have ended');
  await rm(folder, { recursive: true });
});

/** The processes whose command line names a folder. */
function processesOf(path: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(path);
    } catch {
      return false;
    }
  });
}

async function create(): Promise<ContainerRuntime> {
  const stateDir = join(folder, `${++machines}`);
  await mkdir(stateDir, { mode: 0o700 });
  const logs = { directory: logDirectory, maxSizeBytes: 10 * 2 ** 20, maxFiles: 5 };
  const created = await createProvider(await loadPlugin('process'), 'process', {}, providerContext({ stateDir, logs }));
  if (created.kind !== 'ContainerRuntime') throw new Error(`the process provider is a ${created.kind}`);
  return created.runtime;
}

// The end of the shims is read from /proc.
const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('the process runtime keeps the contract: it', () => {
  for (const { name, run } of containerRuntimeConformance({ create, logDirectory })) it(name, run);
});
