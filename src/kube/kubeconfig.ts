import { dirname, isAbsolute, join, sep } from 'node:path';

import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';

import { invalidInput } from '../core/errors.ts';
import type { Access, Identity, Source } from './credentials.ts';

/**
 * The parts of `clientcmd/api/v1.Config` (k8s.io/client-go/tools/clientcmd/api/v1/types.go) that say where a server
 * is and who asks. Unknown keys are left alone.
 */
const text = z.string().nullish();
const flag = z.boolean().nullish();
const clusterSchema = z.object({
  server: z.string({ error: 'is missing' }),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': flag,
  'tls-server-name': text,
  'proxy-url': text,
});
const execSchema = z.object({
  apiVersion: text,
  command: z.string({ error: 'is missing' }),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  provideClusterInfo: flag,
});
const userSchema = z.object({
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  token: text,
  tokenFile: text,
  username: text,
  password: text,
  as: text,
  exec: execSchema.nullish(),
  'auth-provider': z.object({ name: z.string(), config: z.record(z.string(), z.unknown()).nullish() }).nullish(),
});
const fileSchema = z.object({
  'current-context': text,
  clusters: z.array(z.object({ name: z.string(), cluster: clusterSchema })).nullish(),
  users: z.array(z.object({ name: z.string(), user: userSchema.nullish() })).nullish(),
  contexts: z.array(z.object({ name: z.string(), context: z.object({ cluster: text, user: text }) })).nullish(),
});

type Cluster = z.infer<typeof clusterSchema>;
type User = z.infer<typeof userSchema>;

/** One kubeconfig file's text; relative paths in it are relative to the file. */
export interface KubeconfigFile {
  readonly path: string;
  readonly text: string;
}

/**
 * The access that a kubeconfig's current context (or `context`) gives. Several files merge as client-go merges
 * `$KUBECONFIG`: what an earlier file names, a later one does not change.
 *
 * @throws InvalidInput with every problem found; never with a line of the file, which holds secrets
 */
export function parseKubeconfig(files: readonly KubeconfigFile[], context?: string): Access {
  const paths = files.map((file) => file.path).join(', ');
  const problems: string[] = [];
  const parsed = files.map((file) => ({ root: dirname(file.path), content: parseFile(file, problems) }));
  fail(paths, problems);

  const wanted = context ?? parsed.map(({ content }) => content?.['current-context']).find((name) => name);
  if (!wanted) throw invalidInput(`kubeconfig ${paths}: no current-context is set; set one or name a context`);

  const chosen = first(parsed, ({ contexts }) => contexts?.find(({ name }) => name === wanted)?.context);
  if (chosen === undefined) throw invalidInput(`kubeconfig ${paths}: there is no context ${quote(wanted)}`);
  const { cluster: clusterName, user: userName } = chosen.value;

  const cluster = first(parsed, ({ clusters }) => clusters?.find(({ name }) => name === clusterName)?.cluster);
  const user = first(parsed, ({ users }) => {
    const entry = users?.find(({ name }) => name === userName);
    return entry === undefined ? undefined : (entry.user ?? {});
  });
  if (!clusterName) problems.push(`context ${quote(wanted)} names no cluster`);
  else if (cluster === undefined)
    problems.push(`there is no cluster ${quote(clusterName)}, which context ${quote(wanted)} names`);
  if (userName && user === undefined)
    problems.push(`there is no user ${quote(userName)}, which context ${quote(wanted)} names`);

  const target = cluster && readCluster(cluster.value, cluster.root, `cluster ${quote(clusterName ?? '')}`, problems);
  const who = user && readUser(user.value, user.root, userName ?? '', cluster?.value, problems);
  fail(paths, problems);
  if (target === undefined) throw invalidInput(`kubeconfig ${paths}: context ${quote(wanted)} leads nowhere`);
  return {
    description: `context ${quote(wanted)} of kubeconfig ${paths}`,
    identity: { kind: 'none' },
    ...target,
    ...who,
  };
}

function parseFile(file: KubeconfigFile, problems: string[]): z.infer<typeof fileSchema> | undefined {
  const lines = new LineCounter();
  const document = parseDocument(file.text, { prettyErrors: false, lineCounter: lines });
  for (const error of document.errors)
    problems.push(`${file.path}: not valid YAML at line ${lines.linePos(error.pos[0]).line} (${error.code})`);
  if (document.errors.length > 0) return undefined;
  const result = fileSchema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  for (const issue of result.error.issues) problems.push(`${issue.path.join('.') || file.path} ${issue.message}`);
  return undefined;
}

type Target = Omit<Access, 'description' | 'identity' | 'cert' | 'key'>;

function readCluster(cluster: Cluster, root: string, where: string, problems: string[]): Target | undefined {
  const server = url(cluster.server, ['http:', 'https:'], `${where}: server`, problems);
  const proxy = cluster['proxy-url']
    ? url(cluster['proxy-url'], ['http:', 'https:'], `${where}: proxy-url`, problems)
    : undefined;
  const ca = source(cluster, 'certificate-authority', root, where, problems);
  const insecure = cluster['insecure-skip-tls-verify'] === true;
  if (insecure && ca !== undefined)
    problems.push(`${where}: a certificate-authority does not go with insecure-skip-tls-verify`);
  return (
    server && {
      server,
      insecure,
      ...(proxy && { proxy }),
      ...(ca && { ca }),
      ...(cluster['tls-server-name'] && { servername: cluster['tls-server-name'] }),
    }
  );
}

function readUser(
  user: User,
  root: string,
  name: string,
  cluster: Cluster | undefined,
  problems: string[],
): Pick<Access, 'cert' | 'key' | 'identity'> {
  const where = `user ${quote(name)}`;
  const cert = source(user, 'client-certificate', root, where, problems);
  const key = source(user, 'client-key', root, where, problems);
  if ((cert === undefined) !== (key === undefined)) {
    problems.push(
      `${where}: a client certificate and its key go together, and ${cert === undefined ? 'the certificate' : 'the key'} is missing`,
    );
  }
  if (user.as) problems.push(`${where}: impersonation (as) is not supported; use the identity itself`);
  return { ...(cert && { cert }), ...(key && { key }), identity: identity(user, root, name, cluster) };
}

/** A user may say several things at once; the order is client-go's. */
function identity(user: User, root: string, name: string, cluster: Cluster | undefined): Identity {
  if (user.tokenFile) return { kind: 'tokenFile', file: absolute(user.tokenFile, root) };
  if (user.token) return { kind: 'header', value: `Bearer ${user.token}` };
  if (user.username) {
    return {
      kind: 'header',
      value: `Basic ${Buffer.from(`${user.username}:${user.password ?? ''}`).toString('base64')}`,
    };
  }
  const server = cluster?.server ?? '';
  if (user.exec) return { kind: 'plugin', config: { server, user: { name, exec: execFor(user.exec, root, cluster) } } };
  const provider = user['auth-provider'];
  if (provider)
    return {
      kind: 'plugin',
      config: { server, user: { name, authProvider: { name: provider.name, config: provider.config ?? {} } } },
    };
  return { kind: 'none' };
}

/** The program, and what `client.authentication.k8s.io` says it finds in KUBERNETES_EXEC_INFO. */
function execFor(exec: z.infer<typeof execSchema>, root: string, cluster: Cluster | undefined) {
  const info = {
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo === true &&
        cluster && {
          cluster: {
            server: cluster.server,
            'certificate-authority-data': cluster['certificate-authority-data'] ?? undefined,
            'tls-server-name': cluster['tls-server-name'] ?? undefined,
            'insecure-skip-tls-verify': cluster['insecure-skip-tls-verify'] ?? undefined,
            'proxy-url': cluster['proxy-url'] ?? undefined,
          },
        }),
    },
  };
  return {
    // A bare name is looked up in PATH, a relative path beside the kubeconfig.
    command: exec.command.includes(sep) ? absolute(exec.command, root) : exec.command,
    args: exec.args ?? [],
    env: [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }],
  };
}

function source<K extends string>(
  holder: Partial<Record<K | `${K}-data`, string | null | undefined>>,
  key: K,
  root: string,
  where: string,
  problems: string[],
): Source | undefined {
  const encoded: string | null | undefined = holder[`${key}-data`];
  const file: string | null | undefined = holder[key];
  if (encoded) {
    const data = Buffer.from(encoded, 'base64');
    const compact = encoded.replaceAll(/\s/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact) || compact.length % 4 !== 0)
      problems.push(`${where}: ${key}-data is not base64`);
    else if (!data.includes('-----BEGIN ')) problems.push(`${where}: ${key}-data is not base64 of PEM`);
    return { data };
  }
  return file ? { file: absolute(file, root) } : undefined;
}

function url(value: string, protocols: readonly string[], where: string, problems: string[]): URL | undefined {
  const parsed = URL.parse(value);
  if (parsed !== null && protocols.includes(parsed.protocol)) return parsed;
  problems.push(
    parsed === null ? `${where} is not a URL` : `${where} must be http or https, not ${parsed.protocol.slice(0, -1)}`,
  );
  return undefined;
}

function first<C, T>(
  files: readonly { root: string; content: C | undefined }[],
  find: (content: C) => T | undefined,
): { root: string; value: T } | undefined {
  for (const { root, content } of files) {
    const value = content === undefined ? undefined : find(content);
    if (value !== undefined) return { root, value };
  }
  return undefined;
}

function fail(paths: string, problems: readonly string[]): void {
  if (problems.length > 0) throw invalidInput(`kubeconfig ${paths}: ${problems.join('; ')}`);
}

const absolute = (file: string, root: string) => (isAbsolute(file) ? file : join(root, file));
const quote = (name: string) => JSON.stringify(name);
