import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

export interface KubectlOptions {
  /** Its whole standard input; none means an empty one. */
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly kubeconfig?: string;
  /** Kills it after this long. Default one minute. */
  readonly timeoutMs?: number;
}

export interface KubectlResult {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Starts the real kubectl; its streams are the caller's. It never asks the person's own configuration. */
export function spawnKubectl(args: readonly string[], options: KubectlOptions = {}): ChildProcessWithoutNullStreams {
  return spawn(kubectlProgram(), [...args], { env: kubectlEnvironment(options), stdio: 'pipe' });
}

/** The program, for tests that start it by another one. */
export function kubectlProgram(): string {
  return process.env['ANYLET_E2E_KUBECTL'] || 'kubectl';
}

/** What {@link spawnKubectl} gives it. */
export function kubectlEnvironment({ env = {}, kubeconfig }: KubectlOptions = {}): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    KUBECONFIG: kubeconfig ?? process.env['ANYLET_E2E_KUBECONFIG'],
    ...env,
  };
}

/** Runs kubectl to its end, however it ends. */
export async function tryKubectl(args: readonly string[], options: KubectlOptions = {}): Promise<KubectlResult> {
  const child = spawnKubectl(args, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
  child.stdin.on('error', () => {}); // It may end before it has read all.
  child.stdin.end(options.input);
  const [stdout, stderr, [code]] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ]);
  clearTimeout(timer);
  return { code, stdout, stderr: stderr.toString() };
}

/** Runs kubectl and resolves with what it printed. @throws Error with its words when it fails. */
export async function kubectl(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await tryKubectl(args, options);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr}${stdout.toString()}`);
  return stdout.toString();
}

async function collect(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
