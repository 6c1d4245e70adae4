import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, symlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { withBuildLock } from './build-lock.ts';

const SOURCES = dirname(fileURLToPath(import.meta.url));
const PROGRESS_EVERY_MS = 15_000;

/** Takes one line of progress. */
export type ProgressLog = (line: string) => void;

/** Paths of the programs that the end-to-end tests need, built from their published sources. */
export interface Toolchain {
  /** The Kubernetes version of all of it, as `v1.36.3`. */
  kubernetesVersion: string;
  /** One binary; its first argument says what to be (see main.go). */
  controlPlane: string;
  /** A kubectl of the same version; the file is named `kubectl`. */
  kubectl: string;
  /** Builds helm 3 at its first call, since few tests need it. */
  helm(): Promise<string>;
  /** Builds metrics-server at its first call, likewise. */
  metricsServer(): Promise<string>;
}

/**
 * Builds the control plane and kubectl, once per version and machine: some
 * minutes the first time, nothing later. They are kept outside the checkout, in
 * `$XDG_CACHE_HOME/anylet/toolchain` (or `~/.cache/…`), by a hash of their
 * sources. Processes that ask at the same time wait for one build.
 */
export async function toolchain(log: ProgressLog = logToStderr): Promise<Toolchain> {
  const goMod = await readFile(join(SOURCES, 'go.mod'), 'utf8');
  const [version, major, minor] = findVersion(goMod, 'k8s.io/kubernetes');
  const controlPlane = await build(
    {
      tool: 'control-plane',
      module: SOURCES,
      target: '.',
      variables: ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((at) => [
        `${at}.gitVersion=${version}`,
        `${at}.gitMajor=${major}`,
        `${at}.gitMinor=${minor}`,
        `${at}.gitTreeState=clean`,
      ]),
    },
    log,
  );
  const kubectl = join(dirname(controlPlane), 'kubectl');
  await symlink('control-plane', kubectl).catch((error: unknown) => {
    if (!existsSync(kubectl)) throw error;
  });
  return {
    kubernetesVersion: version,
    controlPlane,
    kubectl,
    helm: () => buildHelm(major, minor, log),
    metricsServer: () => buildMetricsServer(log),
  };
}

async function buildMetricsServer(log: ProgressLog): Promise<string> {
  const module = join(SOURCES, 'metrics-server');
  const name = 'sigs.k8s.io/metrics-server';
  const [version] = findVersion(await readFile(join(module, 'go.mod'), 'utf8'), name);
  const variables = [`k8s.io/client-go/pkg/version.gitVersion=${version}`];
  return build({ tool: 'metrics-server', module, target: `${name}/cmd/metrics-server`, variables }, log);
}

async function buildHelm(kubernetesMajor: string, kubernetesMinor: string, log: ProgressLog): Promise<string> {
  const module = join(SOURCES, 'helm');
  const [version] = findVersion(await readFile(join(module, 'go.mod'), 'utf8'), 'helm.sh/helm/v3');
  const target = 'helm.sh/helm/v3/cmd/helm';
  // What `helm template` and `helm lint` take for the cluster's version: helm's own default is 1.20.
  const clusterVersion = ['pkg/chartutil', 'pkg/lint/rules'].flatMap((at) => [
    `helm.sh/helm/v3/${at}.k8sVersionMajor=${kubernetesMajor}`,
    `helm.sh/helm/v3/${at}.k8sVersionMinor=${kubernetesMinor}`,
  ]);
  const variables = [`helm.sh/helm/v3/internal/version.version=${version}`, ...clusterVersion];
  return build({ tool: 'helm', module, target, variables }, log);
}

interface Build {
  tool: string;
  /** The directory of go.mod. */
  module: string;
  target: string;
  /** For the linker's -X. */
  variables: readonly string[];
}

async function build({ tool, module, target, variables }: Build, log: ProgressLog): Promise<string> {
  const ldflags = ['-s', '-w', ...variables.map((variable) => `-X ${variable}`)].join(' ');
  const directory = join(cacheDirectory(), await hash(module, `${process.platform} ${process.arch} ${ldflags}`));
  const binary = join(directory, tool);
  if (existsSync(binary)) return binary;
  await mkdir(directory, { recursive: true });
  const onWait = (): void => log(`${tool}: another process is building it`);
  await withBuildLock(`${binary}.lock`, onWait, async () => {
    if (existsSync(binary)) return;
    const unfinished = `${binary}.unfinished`;
    await goBuild(tool, ['-trimpath', '-v', '-ldflags', ldflags, '-o', unfinished, target], module, log);
    await rename(unfinished, binary);
  });
  return binary;
}

async function goBuild(tool: string, args: readonly string[], cwd: string, log: ProgressLog): Promise<void> {
  log(`${tool}: building from source, once; this takes minutes`);
  const startedAt = Date.now();
  const seconds = (): number => Math.round((Date.now() - startedAt) / 1000);
  const go = spawn('go', ['build', ...args], {
    cwd,
    env: { ...process.env, CGO_ENABLED: '0', GOWORK: 'off' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // -v prints each package when it is built and each module when it is fetched; errors come in between.
  const output: string[] = [];
  createInterface(go.stderr).on('line', (line) => output.push(line));
  const progress = setInterval(() => log(`${tool}: ${output.length} packages after ${seconds()} s`), PROGRESS_EVERY_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      go.once('error', (cause) => reject(new Error(goIsMissing(tool), { cause })));
      go.once('close', resolve);
    });
    if (code !== 0) {
      throw new Error([`go build of ${tool} failed (exit code ${code}):`, ...output.slice(-20)].join('\n'));
    }
  } finally {
    clearInterval(progress);
  }
  log(`${tool}: built in ${seconds()} s`);
}

function goIsMissing(tool: string): string {
  return (
    `cannot run 'go', which is needed to build ${tool} from source: ` +
    'install Go 1.26 or newer (https://go.dev/dl), or name a cluster of your own in ANYLET_E2E_KUBECONFIG'
  );
}

function cacheDirectory(): string {
  const caches = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(caches, 'anylet', 'toolchain');
}

async function hash(module: string, rest: string): Promise<string> {
  const sum = createHash('sha256').update(rest);
  const names = (await readdir(module)).filter((name) => name.endsWith('.go') || /^go\.(mod|sum)$/.test(name));
  for (const name of names.toSorted()) sum.update(`\0${name}\0`).update(await readFile(join(module, name)));
  return sum.digest('hex').slice(0, 16);
}

function findVersion(goMod: string, module: string): [version: string, major: string, minor: string] {
  const line = goMod.split('\n').find((text) => text.includes(`${module} v`)) ?? '';
  const [, version, major, minor] = /\s(v(\d+)\.(\d+)\.\S+)/.exec(line) ?? [];
  if (!version || !major || !minor) throw new Error(`go.mod does not require ${module}`);
  return [version, major, minor];
}

function logToStderr(line: string): void {
  process.stderr.write(`${line}\n`);
}
