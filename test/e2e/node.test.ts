import { describe, expect, it } from '@jest/globals';
import { arch, cpus, release, totalmem } from 'node:os';

import type { KubeNode, Lease } from '../../src/core/objects.ts';
import { packageVersion } from '../../src/core/version.ts';
import { cluster, kubeconfigFor } from './cluster.ts';
import { DaemonProcess } from './daemon-process.ts';
import { kubectl } from './kubectl.ts';
import { ObjectWatch } from './object-watch.ts';
import { isReady, sh, testNode } from './test-node.ts';

const node = testNode('node', { stopped: true, args: ['--node-labels', 'example.com/rack=r1', '--pods-max', '42'] });

const current = () => node.nodes.get(node.name);
const ready = (uidIsNot = '') =>
  node.nodes.until(() => {
    const found = current();
    return found !== undefined && found.metadata?.uid !== uidIsNot && isReady(found) ? found : undefined;
  }, 'the node is Ready');
const lease = async () =>
  JSON.parse(await kubectl(['get', 'lease', '-n', 'kube-node-lease', node.name, '-o', 'json'])) as Lease;
const uidOf = (object: KubeNode | undefined) => object?.metadata?.uid;

describe('a node', () => {
  let firstRenewal: string | undefined;

  it('is Ready within 3 s of the start', async () => {
    const daemon = node.start();
    await ready();
    expect(Date.now() - daemon.startedAt).toBeLessThan(3_000);
    firstRenewal = (await lease()).spec?.renewTime;
  });

  it('shows what it is and what it has', async () => {
    const port = await node.daemon.ready();
    const { metadata, spec, status } = (await ready()) as Required<KubeNode>;
    expect(metadata.labels).toMatchObject({
      'kubernetes.io/hostname': node.name,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': { x64: 'amd64' }[arch() as string] ?? arch(),
      type: 'virtual-kubelet',
      'node.kubernetes.io/exclude-from-external-load-balancers': 'true',
      'example.com/rack': 'r1',
    });
    expect(spec.taints).toContainEqual({ key: 'virtual-kubelet.io/provider', value: 'process', effect: 'NoSchedule' });
    expect(status.addresses).toEqual([
      { type: 'InternalIP', address: cluster.nodeIP },
      { type: 'Hostname', address: node.name },
    ]);
    expect(status.capacity).toMatchObject({ cpu: String(cpus().length), pods: '42' });
    expect(Number.parseInt(status.capacity!['memory']!, 10)).toBeLessThanOrEqual(totalmem() / 1024);
    expect(Object.keys(status.allocatable!).sort()).toEqual(['cpu', 'ephemeral-storage', 'memory', 'pods']);
    expect(port).toBeGreaterThan(0);
    expect(status.daemonEndpoints).toEqual({ kubeletEndpoint: { Port: port } });
    expect(status.nodeInfo).toMatchObject({
      operatingSystem: 'linux',
      kernelVersion: release(),
      containerRuntimeVersion: `process://${packageVersion}`,
      kubeletVersion: expect.stringMatching(/^v1\.36\.\d+\+anylet\./),
    });
    expect(status.nodeInfo?.osImage).not.toBe('');
    expect(status.nodeInfo?.machineID).not.toBe('');
    expect(status.nodeInfo?.bootID).not.toBe('');
    const conditions = Object.fromEntries(
      status.conditions!.map(({ type, status: is, reason }) => [type, [is, reason]]),
    );
    expect(conditions).toMatchObject({
      Ready: ['True', 'KubeletReady'],
      MemoryPressure: ['False', 'KubeletHasSufficientMemory'],
      DiskPressure: ['False', 'KubeletHasNoDiskPressure'],
      PIDPressure: ['False', 'KubeletHasSufficientPID'],
    });
  });

  it('is shown by kubectl as a node', async () => {
    const row = (await kubectl(['get', 'node', node.name, '--no-headers'])).split(/\s+/);
    expect(row.slice(0, 3)).toEqual([node.name, 'Ready', '<none>']);
    expect(await kubectl(['describe', 'node', node.name])).toMatch(/virtual-kubelet\.io\/provider=process:NoSchedule/);
  });

  it('answers through the proxy of the API server', async () => {
    if (!cluster.canProxyToNodes) return;
    const proxy = `/api/v1/nodes/${node.name}/proxy`;
    expect(await kubectl(['get', '--raw', `${proxy}/healthz`])).toBe('ok');
    expect(JSON.parse(await kubectl(['get', '--raw', `${proxy}/pods`]))).toMatchObject({ kind: 'PodList' });
  });

  it('keeps what others set on it over a restart, and is the same Node', async () => {
    await kubectl(['cordon', node.name]);
    await kubectl(['label', 'node', node.name, 'example.com/theirs=1']);
    await kubectl(['taint', 'node', node.name, 'virtual-kubelet.io/provider:NoSchedule-']);
    const before = await node.nodes.untilObject(
      node.name,
      ({ spec }) => (spec?.taints ?? []).length === 1,
      'has one taint',
    );
    expect(await node.daemon.stop()).toEqual({ code: 0, signal: null });

    const daemon = node.start();
    await daemon.ready();
    expect(daemon.said(/another live instance/)).toBeUndefined();
    const after = await ready();
    expect(uidOf(after)).toBe(uidOf(before));
    expect(after.spec?.unschedulable).toBe(true);
    expect(after.spec?.taints).toEqual(before.spec?.taints);
    expect(after.metadata?.labels).toMatchObject({ 'example.com/theirs': '1', 'example.com/rack': 'r1' });
    await kubectl(['uncordon', node.name]);
  });

  it('is created anew when somebody deletes it, with a lease of its own', async () => {
    const before = await ready();
    await kubectl(['delete', 'node', node.name]);
    const after = await ready(uidOf(before));
    expect(after.spec?.taints).toContainEqual({
      key: 'virtual-kubelet.io/provider',
      value: 'process',
      effect: 'NoSchedule',
    });
    const leases = new ObjectWatch<Lease>(
      `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases?fieldSelector=metadata.name=${node.name}`,
    );
    try {
      const owner = ({ metadata }: Lease) => metadata?.ownerReferences?.[0]?.uid === uidOf(after);
      await leases.untilObject(node.name, owner, 'belongs to the new Node');
    } finally {
      leases.close();
    }
  });

  it('makes a stranger of the same name wait, which says so once and takes over when the lease has expired', async () => {
    const before = await ready();
    const stranger = new DaemonProcess({
      args: node.arguments('--state-dir', node.scratch.file('stranger')).filter(first('--state-dir')),
    });
    try {
      const warning = await stranger.untilSaid(/another live instance holds this node name/);
      expect(warning.level).toBe('warn');
      expect(uidOf(current())).toBe(uidOf(before));
      expect(stranger.said('node is ready')).toBeUndefined();

      await node.daemon.stop('SIGKILL');
      // An API server's clock, not ours, decides when: as if the rest of the 40 s had passed.
      const expired = { spec: { renewTime: new Date(Date.now() - 60_000).toISOString().replace('Z', '000Z') } };
      await kubectl([
        'patch',
        'lease',
        '-n',
        'kube-node-lease',
        node.name,
        '--type=merge',
        '-p',
        JSON.stringify(expired),
      ]);
      await stranger.ready();
      expect(stranger.log.filter(({ msg }) => msg.startsWith('another live instance'))).toHaveLength(1);
      expect(uidOf(current())).toBe(uidOf(before));
    } finally {
      await stranger.stop('SIGKILL');
    }
  });

  it('is taken over at once with --takeover', async () => {
    const daemon = node.start({ args: ['--takeover'] });
    await daemon.ready();
    expect(daemon.said(/another live instance/)).toBeUndefined();
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  });

  it('renews its lease', async () => {
    const { spec } = await lease();
    expect(spec).toMatchObject({ holderIdentity: node.name, leaseDurationSeconds: 40 });
    expect(Date.parse(spec?.renewTime ?? '')).toBeGreaterThan(Date.parse(firstRenewal ?? ''));
  });

  it('can be run as the node that it is, confined to its own pods', async () => {
    const identity = await kubeconfigFor(node.scratch.path, `system:node:${node.name}`, ['system:nodes']);
    await kubectl(['delete', 'node', node.name]);
    const daemon = new DaemonProcess({
      args: [...node.arguments().filter(first('--kubeconfig')), '--kubeconfig', identity],
    });
    try {
      await daemon.ready();
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'ours' }, stringData: { word: 'sesame' } };
      const env = [{ name: 'WORD', valueFrom: { secretKeyRef: { name: 'ours', key: 'word' } } }];
      await node.apply(
        secret,
        node.pod('confined', { env, command: sh('echo the word is $WORD') }, { restartPolicy: 'Never' }),
      );
      await node.podPhase('confined', 'Succeeded');
      expect(await node.logs('confined')).toBe('the word is sesame\n');
      // The API server, not the daemon, is what refuses the secrets of others.
      const refused = await node.tryKubectl(['get', 'secret', '-n', 'kube-system', 'any'], { kubeconfig: identity });
      expect(refused.stderr).toMatch(/Forbidden/);
      await node.kubectl(['delete', 'pod', 'confined']);
      expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    } finally {
      expect(await daemon.stop()).toEqual({ code: 0, signal: null });
    }
  });
});

/** Leaves out the first such flag and its value. */
function first(flag: string): (argument: string, at: number, all: readonly string[]) => boolean {
  return (_argument, at, all) => {
    const found = all.indexOf(flag);
    return at !== found && at !== found + 1;
  };
}
