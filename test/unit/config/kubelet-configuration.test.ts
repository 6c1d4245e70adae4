import { describe, expect, it } from '@jest/globals';

import { flagValues, kubeletConfiguration, loadConfig, settings } from '../../../src/config/index.ts';

const flags = {
  kubeconfig: '/k',
  'node-name': 'n1',
  'node-ip': '192.0.2.1',
  'node-taints': 'a=b:NoSchedule',
  'pods-max': '7',
  'listen-port': '10251',
};

async function config() {
  const loaded = await loadConfig({
    flags: { ...flags, config: '/c.yaml' },
    env: {},
    cwd: '/',
    machine: { hostname: 'h', interfaces: {}, isRoot: true, homeDir: '/root' },
    files: { read: (path) => (path === '/c.yaml' ? 'provider: {name: ./p.ts, config: {token: s3cret}}' : '') },
  });
  return loaded.config;
}

describe('/configz', () => {
  it('has the settings under the names of a KubeletConfiguration', async () => {
    expect(kubeletConfiguration(await config())).toMatchObject({
      kind: 'KubeletConfiguration',
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      port: 10251,
      maxPods: 7,
      registerWithTaints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }],
      authentication: { anonymous: { enabled: false }, webhook: { enabled: true } },
      enableSystemLogHandler: false,
    });
  });

  it('tells no secret of a provider', async () => {
    expect(JSON.stringify(kubeletConfiguration(await config()))).not.toContain('s3cret');
  });
});

describe('/flagz', () => {
  it('has every flag with its value', async () => {
    const values = flagValues(await config());
    expect(Object.keys(values)).toEqual(settings.map(({ flag }) => flag));
    expect(values).toMatchObject({
      'node-name': 'n1',
      'node-ip': '[192.0.2.1]',
      'node-taints': '[a=b:NoSchedule]',
      'pods-max': '7',
      'listen-port': '10251',
      takeover: 'false',
      'tls-cert-file': '',
      'logs-max-size': String(10 * 2 ** 20),
    });
  });

  it('tells no secret of a provider', async () => {
    const values = flagValues(await config());
    expect(values['provider-config']).toBe('CLASSIFIED');
    expect(JSON.stringify(values)).not.toContain('s3cret');
  });
});
