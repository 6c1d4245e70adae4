import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { ScratchDirectory } from './daemon-process.ts';
import { containerProcesses, shimProcesses } from './leftovers.ts';
import { sh, testNode, untilTerminated } from './test-node.ts';

const run = promisify(execFile);
const checkout = fileURLToPath(new URL('../..', import.meta.url));

describe('the built package', () => {
  const installed = new ScratchDirectory();
  const node = testNode('package', { stopped: true });

  beforeAll(async () => {
    const tsc = join(checkout, 'node_modules', 'typescript', 'bin', 'tsc');
    const build = ['-p', join(checkout, 'tsconfig.build.json'), '--outDir', installed.file('dist')];
    await run(process.execPath, [tsc, ...build]).catch((error: { stdout: string }) => {
      throw new Error(`the build failed: ${error.stdout}`, { cause: error });
    });
    copyFileSync(join(checkout, 'package.json'), installed.file('package.json'));
    cpSync(join(checkout, 'bin'), installed.file('bin'), { recursive: true });
    symlinkSync(join(checkout, 'node_modules'), installed.file('node_modules'));
  });
  afterAll(() => installed.remove());

  it('runs a node as the checkout does', async () => {
    await node.start({ program: installed.file('bin', 'anylet.js') }).ready();
    await node.runPod('pod', { command: sh(`echo from dist; ${untilTerminated()}`) });
    const [shim] = shimProcesses(node.stateDir);
    expect(shim?.command).toContain(installed.file('dist'));
    expect(await node.logged('pod', /dist/)).toBe('from dist\n');
    expect(await node.kubectl(['exec', 'pod', '--', 'echo', 'reached'])).toBe('reached\n');
    await node.kubectl(['delete', 'pod', 'pod']);
    expect(containerProcesses(node.stateDir)).toEqual([]);
  });
});
