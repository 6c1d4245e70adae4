import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../../src/config/index.ts';
import type { ConfigSources, Machine } from '../../../src/config/index.ts';
import { codeOf, messageOf } from '../../../src/core/errors.ts';

const machine: Machine = { hostname: 'Laptop', interfaces: {}, isRoot: false, homeDir: '/home/ann' };

function sources(given: Partial<ConfigSources> & { disk?: Record<string, string> } = {}): ConfigSources {
  const disk: Record<string, string> = { '/work/k': '', ...given.disk };
  return {
    flags: { kubeconfig: 'k' },
    env: {},
    cwd: '/work',
    machine,
    files: {
      read(path) {
        const text = disk[path];
        if (text === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
        return text;
      },
    },
    ...given,
  };
}

async function problems(given: Parameters<typeof sources>[0]): Promise<string[]> {
  const error: unknown = await loadConfig(sources(given)).catch((err: unknown) => err);
  expect(codeOf(error)).toBe('InvalidInput');
  const [first = '', ...rest] = messageOf(error).split('\n');
  return rest.length === 0 ? [first.replace('configuration: ', '')] : rest.map((line) => line.trim());
}

describe('loadConfig', () => {
  it('needs no more than a kubeconfig', async () => {
    const { config } = await loadConfig(sources());
    expect(config).toEqual({
      kubeconfig: '/work/k',
      stateDir: '/home/ann/.local/state/anylet',
      takeover: false,
      node: { name: 'laptop', ips: ['127.0.0.1'], labels: {}, capacity: {}, recreate: true },
      provider: { name: 'process', config: {} },
      kubelet: { listenAddress: '0.0.0.0', listenPort: 10250, healthzAddress: '127.0.0.1', healthzPort: 0 },
      pods: { max: 110, clusterDNS: [], clusterDomain: 'cluster.local' },
      logs: { directory: '/home/ann/.local/state/anylet/logs/pods', maxSizeBytes: 10 * 2 ** 20, maxFiles: 5 },
      shutdown: { pods: 'leave' },
      log: { level: 'info', format: 'auto' },
    });
  });

  it('lets a flag win over a variable, a variable over the file, the file over a default', async () => {
    const disk = {
      '/etc/anylet/c.yaml': 'node: {name: from-file}\npods: {max: 1, clusterDomain: file.local}\nlog: {level: warn}',
    };
    const flags = { kubeconfig: 'k', config: '/etc/anylet/c.yaml', 'node-name': 'from-flag' };
    const env = { ANYLET_NODE_NAME: 'from-variable', ANYLET_PODS_MAX: '2' };
    const { config } = await loadConfig(sources({ disk: { '/work/k': '', ...disk }, flags, env }));
    expect([config.node.name, config.pods.max, config.log.level, config.kubelet.listenPort]).toEqual([
      'from-flag',
      2,
      'warn',
      10250,
    ]);
    expect(config.pods.clusterDomain).toBe('file.local');
  });

  it('reads lists, maps, taints, sizes and booleans out of text, plain or JSON', async () => {
    const { config } = await loadConfig(
      sources({
        flags: { kubeconfig: 'k', 'node-recreate': false, 'node-capacity': 'cpu=4,memory=8Gi', 'logs-max-size': '2M' },
        env: {
          ANYLET_NODE_IP: '10.0.0.1, fd00::1',
          ANYLET_NODE_LABELS: '{"zone": "a"}',
          ANYLET_NODE_TAINTS: 'dedicated=gpu:NoSchedule,quiet:NoExecute',
          ANYLET_TAKEOVER: '1',
          ANYLET_PROVIDER_CONFIG: '{"startDelay": "5s"}',
        },
      }),
    );
    expect(config.node).toEqual({
      name: 'laptop',
      ips: ['10.0.0.1', 'fd00::1'],
      labels: { zone: 'a' },
      taints: [
        { key: 'dedicated', value: 'gpu', effect: 'NoSchedule' },
        { key: 'quiet', effect: 'NoExecute' },
      ],
      capacity: { cpu: '4', memory: '8Gi' },
      recreate: false,
    });
    expect(config.takeover).toBe(true);
    expect(config.logs.maxSizeBytes).toBe(2_000_000);
    expect(config.provider.config).toEqual({ startDelay: '5s' });
  });

  it('lists all that is wrong at once, each under the name that it was given by', async () => {
    const file = 'nod: {}\npods: {max: many}\nnode: {labels: {a: _b}, taints: [{key: a, effect: Never}]}\nlog: 3';
    const said = await problems({
      disk: { '/work/c.yaml': file },
      flags: { kubeconfig: 'nowhere', config: 'c.yaml', 'listen-port': '70000', 'node-name': 'Ann_1' },
      env: { ANYLET_LOG_LEVLE: 'warn', ANYLET_SHUTDOWN_PODS: 'stopp' },
    });
    expect(said.toSorted()).toEqual(
      [
        '--listen-port: 70000 is too large: at most 65535',
        "--kubeconfig: cannot be read: ENOENT: no such file or directory, open '/work/nowhere'",
        '--node-name: "Ann_1" is not a lower-case DNS-1123 subdomain',
        '/work/c.yaml: log: 3 is not a map',
        '/work/c.yaml: nod: no such setting; did you mean node?',
        '/work/c.yaml: node.labels.a: "_b" is not a label value',
        '/work/c.yaml: node.taints.0.effect: "Never" is none of NoSchedule, PreferNoSchedule, NoExecute',
        '/work/c.yaml: pods.max: "many" is not a number',
        'ANYLET_LOG_LEVLE: no such setting; did you mean ANYLET_LOG_LEVEL?',
        'ANYLET_SHUTDOWN_PODS: "stopp" is none of leave, stop; did you mean stop?',
      ].toSorted(),
    );
  });

  it('names the nearest setting for a misspelt one inside a section', async () => {
    const said = await problems({
      disk: { '/work/k': '', '/work/c.yaml': 'node: {nmae: a}' },
      flags: { kubeconfig: 'k', config: 'c.yaml' },
    });
    expect(said).toEqual(['/work/c.yaml: node.nmae: no such setting; did you mean name?']);
  });

  it('refuses a certificate without its key', async () => {
    const said = await problems({
      disk: { '/work/k': '', '/work/c.pem': '' },
      flags: { kubeconfig: 'k', 'tls-cert-file': 'c.pem' },
    });
    expect(said).toEqual(['kubelet.tlsCertFile: is of no use without kubelet.tlsPrivateKeyFile']);
  });

  it('refuses a file that is missing, that is no YAML, or that holds no settings', async () => {
    const flags = { kubeconfig: 'k', config: 'c.yaml' };
    expect((await problems({ flags }))[0]).toMatch(/^\/work\/c.yaml: cannot be read: ENOENT/);
    expect((await problems({ flags, disk: { '/work/k': '', '/work/c.yaml': 'a: [' } }))[0]).toMatch(
      /^\/work\/c.yaml: .* line 1/,
    );
    expect(await problems({ flags, disk: { '/work/k': '', '/work/c.yaml': '- a' } })).toEqual([
      '/work/c.yaml: holds no map of settings',
    ]);
  });

  it('asks for a kubeconfig outside a cluster only, and takes the one of kubectl', async () => {
    expect((await problems({ flags: {} }))[0]).toMatch(/give --kubeconfig/);
    const inCluster = await loadConfig(sources({ flags: {}, env: { KUBERNETES_SERVICE_HOST: '10.96.0.1' } }));
    expect(inCluster.config.kubeconfig).toBeUndefined();
    const kubectls = await loadConfig(sources({ flags: {}, env: { KUBECONFIG: '/home/ann/k:/other' } }));
    expect(kubectls.config.kubeconfig).toBe('/home/ann/k');
  });

  it('lets the variables be that Kubernetes makes for a Service named anylet', async () => {
    const env = {
      ANYLET_SERVICE_HOST: '10.0.0.1',
      ANYLET_PORT_10250_TCP: 'tcp://10.0.0.1:10250',
      ANYLET_E2E_KUBECONFIG: 'k',
    };
    await expect(loadConfig(sources({ env }))).resolves.toBeDefined();
  });

  it('starts relative paths of the file in its folder, and those of flags where the command was given', async () => {
    const { config } = await loadConfig(
      sources({
        disk: {
          '/work/k': '',
          '/etc/anylet/c.yaml': 'stateDir: state\nprovider: {name: ./mine.ts}\nlogs: {links: /var/log/containers}',
        },
        flags: { kubeconfig: 'k', config: '/etc/anylet/c.yaml', 'logs-directory': 'logs' },
      }),
    );
    expect([config.stateDir, config.provider.name, config.logs.directory, config.logs.links]).toEqual([
      '/etc/anylet/state',
      '/etc/anylet/mine.ts',
      '/work/logs',
      '/var/log/containers',
    ]);
  });

  it('takes the first address that others can reach, and warns when there is none', async () => {
    const address = (family: 'IPv4' | 'IPv6', at: string, internal = false) =>
      ({ family, address: at, internal, netmask: '', mac: '', cidr: null, scopeid: 0 }) as never;
    const interfaces = {
      lo: [address('IPv4', '127.0.0.1', true)],
      eth0: [address('IPv6', 'fe80::1'), address('IPv6', '2001:db8::7'), address('IPv4', '192.0.2.7')],
    };
    const reachable = await loadConfig(sources({ machine: { ...machine, interfaces } }));
    expect([reachable.config.node.ips, reachable.warnings]).toEqual([['192.0.2.7'], []]);
    const alone = await loadConfig(sources());
    expect(alone.warnings).toEqual([expect.stringContaining('Services will have no endpoints')]);
  });

  it('refuses two addresses of one family', async () => {
    expect(await problems({ flags: { kubeconfig: 'k', 'node-ip': '10.0.0.1,10.0.0.2' } })).toEqual([
      'node.ip: 10.0.0.1, 10.0.0.2 are more than one address of a family',
    ]);
  });

  it('keeps state where root keeps it, or where the user says', async () => {
    const asRoot = await loadConfig(sources({ machine: { ...machine, isRoot: true } }));
    expect(asRoot.config.stateDir).toBe('/var/lib/anylet');
    const elsewhere = await loadConfig(sources({ env: { XDG_STATE_HOME: '/data/state' } }));
    expect(elsewhere.config.stateDir).toBe('/data/state/anylet');
  });

  it('gives an object that cannot be changed', async () => {
    const { config } = await loadConfig(sources());
    expect(() => Object.assign(config.node, { name: 'other' })).toThrow(TypeError);
  });
});
