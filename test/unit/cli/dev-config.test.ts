import { describe, expect, it } from '@jest/globals';

import { devSettings, loadDevConfig, nodeConfig } from '../../../src/cli/dev-config.ts';

const machine = { hostname: 'laptop', interfaces: {}, isRoot: false, homeDir: '/home/me' };
const files = (texts: Readonly<Record<string, string>> = {}) => ({
  read(path: string) {
    const text = texts[path];
    if (text === undefined) throw new Error(`ENOENT: ${path}`);
    return text;
  },
});
const load = (flags: Readonly<Record<string, string>> = {}, texts = {}, env = {}) =>
  loadDevConfig({ flags, env, cwd: '/work', machine, files: files(texts) });

describe('the configuration of a development node', () => {
  it('is on loopback, takes plain pods and stops them with itself', async () => {
    expect(await load()).toMatchObject({
      stateDir: '/home/me/.local/state/anylet/dev',
      node: { name: 'dev', ips: ['127.0.0.1'], taints: [] },
      kubelet: { listenAddress: '127.0.0.1', listenPort: 0 },
      provider: { name: 'process' },
      shutdown: { pods: 'stop' },
      log: { level: 'warn' },
    });
  });

  it('takes flags, variables and a file as `run` does', async () => {
    const texts = { '/work/a.yaml': 'node: {name: of-file, taints: ["a=b:NoSchedule"]}\nstateDir: here\n' };
    const config = await load({ config: 'a.yaml', provider: './p.ts' }, texts, { ANYLET_NODE_NAME: 'of-variable' });
    expect(config).toMatchObject({
      stateDir: '/work/here',
      node: { name: 'of-variable', taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] },
      provider: { name: '/work/p.ts' },
    });
  });

  it('does not leave loopback or keep pods, whatever variables say', async () => {
    const env = { ANYLET_NODE_IP: '10.0.0.1', ANYLET_LISTEN_ADDRESS: '0.0.0.0', ANYLET_SHUTDOWN_PODS: 'leave' };
    expect(await load({}, {}, env)).toMatchObject({
      node: { ips: ['127.0.0.1'] },
      kubelet: { listenAddress: '127.0.0.1' },
      shutdown: { pods: 'stop' },
    });
    const flags = devSettings.map(({ flag }) => flag);
    expect(flags).toEqual(expect.arrayContaining(['provider', 'state-dir', 'node-name', 'listen-port']));
    for (const flag of ['kubeconfig', 'node-ip', 'listen-address', 'shutdown-pods']) expect(flags).not.toContain(flag);
  });

  it('gives the node a folder and a kubeconfig of its own', async () => {
    const folder = { node: '/dev/passing/node', nodeKubeconfig: '/dev/node.kubeconfig' };
    expect(nodeConfig(await load(), folder)).toMatchObject({
      kubeconfig: '/dev/node.kubeconfig',
      stateDir: '/dev/passing/node',
      logs: { directory: '/dev/passing/node/logs/pods' },
    });
    expect(nodeConfig(await load({ 'logs-directory': '/logs' }), folder).logs.directory).toBe('/logs');
  });
});
