import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { parseAllDocuments } from 'yaml';

import { toolchain } from './control-plane/index.ts';

export const chart = fileURLToPath(new URL('../../charts/anylet', import.meta.url));

/** Any object of a chart, as far as tests look at it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

export interface HelmResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real helm to its end, however it ends; `home` takes what it would keep in the person's own. */
export async function tryHelm(args: readonly string[], { home, kubeconfig }: HelmOptions): Promise<HelmResult> {
  const helm = await toolchain().then((tools) => tools.helm());
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    HELM_CACHE_HOME: home,
    HELM_CONFIG_HOME: home,
    HELM_DATA_HOME: home,
    ...(kubeconfig === undefined ? {} : { KUBECONFIG: kubeconfig }),
  };
  return await new Promise((resolve) => {
    execFile(helm, [...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

export interface HelmOptions {
  readonly home: string;
  readonly kubeconfig?: string;
}

/** Resolves with what helm printed. @throws Error with its words when it fails. */
export async function helm(args: readonly string[], options: HelmOptions): Promise<string> {
  const { code, stdout, stderr } = await tryHelm(args, options);
  if (code !== 0) throw new Error(`helm ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
  return stdout;
}

/** The objects of a rendered chart. */
export function manifests(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).map((document) => document.toJS() as Manifest);
}

/** The one object of its kind. */
export function only<T = Manifest>(objects: readonly Manifest[], kind: string): T {
  const found = objects.filter((object) => object.kind === kind);
  if (found.length !== 1) throw new Error(`there are ${found.length} objects of kind ${kind}`);
  return found[0] as T;
}
