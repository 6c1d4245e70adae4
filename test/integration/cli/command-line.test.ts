import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anylet-cli-'));
  await writeFile(join(folder, 'kubeconfig'), '');
});
afterAll(() => rm(folder, { recursive: true }));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the launcher as a user would, with nothing of this process's environment but the PATH. */
function anylet(
  args: readonly string[],
  { cwd = folder, env = {} }: { cwd?: string; env?: object } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env: { PATH: process.env['PATH'], ...env } };
    execFile(process.execPath, [join(checkout, 'bin/anylet.js'), ...args], options, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

const check = (...args: string[]) => anylet(['run', '--check', '--kubeconfig', 'kubeconfig', ...args]);

describe('anylet', () => {
  it('says its version', async () => {
    expect(await anylet(['version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^anylet \d+\.\d+\.\d+ /),
    });
  });

  it('prints the JSON Schema of its configuration', async () => {
    const { stdout } = await anylet(['config', 'schema']);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', properties: { kubelet: { type: 'object' } } });
  });

  it.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['run', '--nod-name', 'a'], "unknown option '--nod-name'"],
    [['run', '--node-name', 'a', '--node-name', 'b'], '--node-name is given twice'],
  ])('ends with 2 after one line about a wrong command line: %j', async (args, says) => {
    const { code, stderr } = await anylet(args);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('checks all of the configuration without starting anything', async () => {
    expect(await check('--provider', 'simulated')).toEqual({ code: 0, stdout: 'configuration OK\n', stderr: '' });
    const wrong = await check('--provider', 'simulated', '--provider-config', '{"startDelay": "soon"}');
    expect(wrong).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('provider simulated has a wrong configuration'),
    });
  });

  it('lists all that is wrong and ends with 2', async () => {
    await writeFile(join(folder, 'wrong.yaml'), 'node: {nmae: x}\nlog: {level: loud}\n');
    const { code, stderr } = await check('--config', 'wrong.yaml', '--listen-port', 'many');
    expect(code).toBe(2);
    expect(stderr.split('\n')).toEqual([
      'anylet: configuration: 3 problems',
      `  ${join(folder, 'wrong.yaml')}: node.nmae: no such setting; did you mean name?`,
      '  --listen-port: "many" is not a number',
      `  ${join(folder, 'wrong.yaml')}: log.level: "loud" is none of error, warn, info, debug`,
      '',
    ]);
  });

  it('accepts the example configuration', async () => {
    const args = ['run', '--check', '--config', join(checkout, 'examples/anylet.yaml'), '--kubeconfig', 'kubeconfig'];
    expect(await anylet([...args, '--provider', 'simulated'])).toMatchObject({ code: 0, stderr: '' });
  });

  it('loads the example plugin, and says what is wrong with its configuration', async () => {
    const hello = join(checkout, 'examples/provider-hello/index.ts');
    expect(await check('--provider', hello)).toMatchObject({ code: 0 });
    const wrong = await check('--provider', hello, '--provider-config', 'greeting=hi,tone=warm');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('Unrecognized key: "tone"') });
  });

  it('loads a package that is installed where it was started, which shares this copy of anylet', async () => {
    const plugin = join(folder, 'node_modules', 'anylet-provider-test');
    await mkdir(plugin, { recursive: true });
    await writeFile(
      join(plugin, 'package.json'),
      JSON.stringify({ name: 'anylet-provider-test', type: 'module', exports: { import: './index.js' } }),
    );
    await writeFile(
      join(plugin, 'index.js'),
      `import { invalidInput } from 'anylet';
export const provider = {
  apiVersion: 'anylet/v1alpha1',
  kind: 'PodProvider',
  configSchema: { parse() { throw invalidInput('it never is right'); } },
  async create() {},
};`,
    );
    expect(await check('--provider', 'anylet-provider-test')).toMatchObject({
      code: 2,
      stderr: 'anylet: provider anylet-provider-test has a wrong configuration: it never is right\n',
    });
    expect(await check('--provider', 'anylet-provider-absent')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no package installed in'),
    });
  });

  it('warns about a loopback address on standard output, as JSON when it is no terminal', async () => {
    const { stdout } = await check('--provider', 'simulated', '--node-ip', '127.0.0.1');
    expect(JSON.parse(stdout.split('\n')[0] ?? '')).toMatchObject({
      level: 'warn',
      msg: expect.stringContaining('loopback'),
    });
  });
});
