import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';

import { codeOf } from '../../../src/core/errors.ts';
import { parseKubeconfig } from '../../../src/kube/kubeconfig.ts';
import { inClusterAccess, loadCredentials } from '../../../src/kube/load-credentials.ts';
import { ManualClock } from './manual-clock.ts';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const base64 = (text: string) => Buffer.from(text).toString('base64');

function config(changes: { cluster?: object; user?: object | null; context?: string } = {}, path = '/etc/k/config') {
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': changes.context ?? 'main',
    preferences: {},
    clusters: [{ name: 'c', cluster: { server: 'https://api.example:6443', ...changes.cluster } }],
    users: [{ name: 'u', user: changes.user === undefined ? { token: 'secret-token' } : changes.user }],
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', namespace: 'x' } }],
  });
  return { path, text };
}

function refusalOf(run: () => unknown): string {
  try {
    run();
  } catch (err) {
    expect(codeOf(err)).toBe('InvalidInput');
    return (err as Error).message;
  }
  throw new Error('nothing was refused');
}

describe('a kubeconfig', () => {
  it('gives server, trust and token of its current context', () => {
    const access = parseKubeconfig([
      config({
        cluster: {
          'certificate-authority-data': base64(pem),
          'tls-server-name': 'inner',
          'proxy-url': 'http://proxy:3128',
        },
      }),
    ]);
    expect(access).toMatchObject({
      insecure: false,
      servername: 'inner',
      ca: { data: Buffer.from(pem) },
      identity: { kind: 'header', value: 'Bearer secret-token' },
    });
    expect(access.server.href).toBe('https://api.example:6443/');
    expect(access.proxy?.href).toBe('http://proxy:3128/');
  });

  it('has paths relative to itself', () => {
    const access = parseKubeconfig([
      config({
        cluster: { 'certificate-authority': 'ca.crt' },
        user: { 'client-certificate': '/abs/c.crt', 'client-key': 'keys/c.key', tokenFile: 'token' },
      }),
    ]);
    expect(access).toMatchObject({
      ca: { file: '/etc/k/ca.crt' },
      cert: { file: '/abs/c.crt' },
      key: { file: '/etc/k/keys/c.key' },
      identity: { kind: 'tokenFile', file: '/etc/k/token' },
    });
  });

  it('knows basic authentication, plugins and nobody', () => {
    expect(parseKubeconfig([config({ user: { username: 'a', password: 'b' } })]).identity).toEqual({
      kind: 'header',
      value: `Basic ${base64('a:b')}`,
    });
    expect(parseKubeconfig([config({ user: null })]).identity).toEqual({ kind: 'none' });
    expect(
      parseKubeconfig([config({ user: { 'auth-provider': { name: 'oidc', config: { 'idp-issuer-url': 'x' } } } })])
        .identity,
    ).toMatchObject({
      kind: 'plugin',
      config: { user: { authProvider: { name: 'oidc' } } },
    });
    const exec = parseKubeconfig([
      config({
        user: {
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: './login',
            args: ['x'],
            provideClusterInfo: true,
          },
        },
      }),
    ]).identity;
    expect(exec).toMatchObject({
      kind: 'plugin',
      config: { user: { exec: { command: '/etc/k/login', args: ['x'] } } },
    });
    const info =
      exec.kind === 'plugin'
        ? (exec.config.user.exec as { env: { name: string; value: string }[] }).env.find(
            ({ name }) => name === 'KUBERNETES_EXEC_INFO',
          )
        : undefined;
    expect(JSON.parse(info?.value ?? '')).toMatchObject({
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server: 'https://api.example:6443' } },
    });
  });

  it('merges several files, the first to name something winning', () => {
    const user = {
      path: '/a/one',
      text: stringify({ 'current-context': 'main', users: [{ name: 'u', user: { token: 'first' } }] }),
    };
    expect(parseKubeconfig([user, config()]).identity).toEqual({ kind: 'header', value: 'Bearer first' });
  });

  it('says everything that is wrong, at once', () => {
    const message = refusalOf(() =>
      parseKubeconfig([
        config({
          cluster: { server: 'ftp://x', 'certificate-authority-data': '%%%', 'proxy-url': 'socks5://p:1' },
          user: { 'client-certificate-data': base64('nothing'), as: 'admin' },
        }),
      ]),
    );
    expect(message).toContain('cluster "c": server must be http or https, not ftp');
    expect(message).toContain('certificate-authority-data is not base64');
    expect(message).toContain('proxy-url must be http or https, not socks5');
    expect(message).toContain('client-certificate-data is not base64 of PEM');
    expect(message).toContain('the key is missing');
    expect(message).toContain('impersonation');
  });

  it('says which name leads nowhere', () => {
    expect(refusalOf(() => parseKubeconfig([config({ context: 'other' })]))).toContain('there is no context "other"');
    expect(refusalOf(() => parseKubeconfig([config()], 'third'))).toContain('there is no context "third"');
    expect(refusalOf(() => parseKubeconfig([{ path: '/x', text: 'clusters: []' }]))).toContain('no current-context');
    const text = stringify({
      'current-context': 'a',
      contexts: [{ name: 'a', context: { cluster: 'no', user: 'none' } }],
    });
    const message = refusalOf(() => parseKubeconfig([{ path: '/x', text }]));
    expect(message).toContain('there is no cluster "no"');
    expect(message).toContain('there is no user "none"');
  });

  it('never quotes itself, for it holds secrets', () => {
    const message = refusalOf(() =>
      parseKubeconfig([{ path: '/x', text: 'users:\n- name: u\n  user: {token: secret-token\n  oops' }]),
    );
    expect(message).toMatch(/not valid YAML at line \d/);
    expect(message).not.toContain('secret');
    expect(
      refusalOf(() =>
        parseKubeconfig([{ path: '/x', text: stringify({ users: [{ name: 'u', user: 'secret-token' }] }) }]),
      ),
    ).not.toContain('secret');
  });

  it('does not trust a CA and nobody at once', () => {
    expect(
      refusalOf(() =>
        parseKubeconfig([
          config({ cluster: { 'insecure-skip-tls-verify': true, 'certificate-authority-data': base64(pem) } }),
        ]),
      ),
    ).toContain('does not go with');
  });
});

describe("a pod's service account", () => {
  it('is found by the environment, IPv6 too', () => {
    expect(inClusterAccess({})).toBeUndefined();
    const access = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, '/sa');
    expect(access).toMatchObject({ ca: { file: '/sa/ca.crt' }, identity: { kind: 'tokenFile', file: '/sa/token' } });
    expect(access?.server.href).toBe('https://[fd00::1]/');
  });

  it('is the last resort: without it there is a hint', async () => {
    await expect(loadCredentials({ env: {}, clock: new ManualClock() })).rejects.toMatchObject({
      code: 'InvalidInput',
      message: expect.stringContaining('KUBECONFIG'),
    });
  });
});
