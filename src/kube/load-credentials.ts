import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { delimiter, join, resolve } from 'node:path';

import type { Clock } from '../core/clock.ts';
import { invalidInput, messageOf } from '../core/errors.ts';
import type { Access, Credentials } from './credentials.ts';
import { AccessCredentials } from './credentials.ts';
import { parseKubeconfig } from './kubeconfig.ts';

export interface LoadOptions {
  /** Path of a kubeconfig; must exist. */
  readonly kubeconfig?: string | undefined;
  /** Another context than the current one. */
  readonly context?: string | undefined;
  /** `KUBECONFIG`, `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT` are looked at. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Where a pod finds its service account's token and CA. */
  readonly serviceAccountDirectory?: string;
}

/**
 * Credentials from the given kubeconfig; else from `$KUBECONFIG` (several paths merge, missing ones are skipped);
 * else from the pod that this process runs in. A home directory is not searched: a daemon must not join the cluster
 * of whoever happened to start it. Files named by the configuration are read once, so that what is wrong shows now.
 *
 * @throws InvalidInput saying what is wrong where
 */
export async function loadCredentials(options: LoadOptions): Promise<Credentials> {
  const credentials = new AccessCredentials(await findAccess(options), options.clock);
  if (!credentials.usesPlugin) await Promise.all([credentials.tls(), credentials.authorization()]);
  return credentials;
}

async function findAccess({ kubeconfig, context, env, serviceAccountDirectory }: LoadOptions): Promise<Access> {
  if (kubeconfig !== undefined) return parseKubeconfig([await readConfig(kubeconfig)], context);
  const paths = (env['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  if (paths.length > 0) {
    const files = await Promise.all(
      paths.map((path) => readConfig(path).catch((err: unknown) => (isMissing(err) ? undefined : Promise.reject(err)))),
    );
    const found = files.filter((file) => file !== undefined);
    if (found.length === 0)
      throw invalidInput(`kubeconfig: none of the files in KUBECONFIG exists: ${paths.join(', ')}`);
    return parseKubeconfig(found, context);
  }
  const access = inClusterAccess(env, serviceAccountDirectory);
  if (access !== undefined) return access;
  throw invalidInput('no API server: name a kubeconfig, set KUBECONFIG, or run in a pod with a service account');
}

/** The access of a pod's own service account (`rest.InClusterConfig`), when `env` is a pod's. */
export function inClusterAccess(
  env: LoadOptions['env'],
  directory = '/var/run/secrets/kubernetes.io/serviceaccount',
): Access | undefined {
  const [host, port] = [env['KUBERNETES_SERVICE_HOST'], env['KUBERNETES_SERVICE_PORT']];
  if (!host || !port) return undefined;
  return {
    description: "the pod's service account",
    server: new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`),
    insecure: false,
    ca: { file: join(directory, 'ca.crt') },
    identity: { kind: 'tokenFile', file: join(directory, 'token') },
  };
}

async function readConfig(path: string) {
  const full = resolve(path);
  try {
    return { path: full, text: await readFile(full, 'utf8') };
  } catch (err) {
    throw invalidInput(`cannot read kubeconfig ${full}: ${messageOf(err)}`, err);
  }
}

function isMissing(error: unknown): boolean {
  return ((error as Error).cause as { code?: unknown } | undefined)?.code === 'ENOENT';
}
