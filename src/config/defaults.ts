import { isIP } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { join } from 'node:path';

import type { Config } from './config.ts';
import { subdomain } from './kubernetes-names.ts';
import type { Settings } from './schema.ts';

/** What defaults are made of. */
export interface Machine {
  readonly hostname: string;
  readonly interfaces: Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;
  readonly isRoot: boolean;
  readonly homeDir: string;
}

interface Completed {
  readonly config: Config;
  readonly warnings: readonly string[];
  /** Settings that contradict each other, and defaults that this machine cannot give. */
  readonly problems: readonly string[];
}

/** Fills in the defaults that depend on the machine, and checks what one setting alone cannot show. */
export function completed(
  settings: Settings,
  { machine, env }: { machine: Machine; env: Readonly<Record<string, string | undefined>> },
): Completed {
  const problems: string[] = [];
  const warnings: string[] = [];
  const { node, kubelet, logs } = settings;

  const name = node.name ?? machine.hostname.toLowerCase();
  if (node.name === undefined && !subdomain.test(name)) {
    problems.push(`node.name: the host name ${JSON.stringify(name)} is not a DNS-1123 subdomain; give --node-name`);
  }

  const ips = node.ip === undefined ? [nodeAddress(machine.interfaces)] : [node.ip].flat();
  if (new Set(ips.map((ip) => isIP(ip))).size < ips.length) {
    problems.push(`node.ip: ${ips.join(', ')} are more than one address of a family`);
  }
  if (ips.some(isLoopback)) {
    warnings.push(`node IP ${ips.join(', ')} is a loopback address: Services will have no endpoints on this node`);
  }

  if ((kubelet.tlsCertFile === undefined) !== (kubelet.tlsPrivateKeyFile === undefined)) {
    const [given, missing] =
      kubelet.tlsCertFile === undefined ? ['tlsPrivateKeyFile', 'tlsCertFile'] : ['tlsCertFile', 'tlsPrivateKeyFile'];
    problems.push(`kubelet.${given}: is of no use without kubelet.${missing}`);
  }

  const kubeconfig = settings.kubeconfig ?? env['KUBECONFIG']?.split(':')[0];
  if ((kubeconfig === undefined || kubeconfig === '') && env['KUBERNETES_SERVICE_HOST'] === undefined) {
    problems.push('kubeconfig: none is given, and this is no pod of a cluster; give --kubeconfig');
  }

  const stateDir = settings.stateDir ?? defaultStateDir(machine, env);
  return {
    problems,
    warnings,
    config: {
      ...(kubeconfig === undefined || kubeconfig === '' ? {} : { kubeconfig }),
      stateDir,
      takeover: settings.takeover,
      node: {
        name,
        ips,
        labels: node.labels,
        ...(node.taints === undefined ? {} : { taints: node.taints }),
        capacity: node.capacity,
        recreate: node.recreate,
      },
      provider: settings.provider,
      kubelet: {
        listenAddress: kubelet.listenAddress,
        listenPort: kubelet.listenPort,
        healthzAddress: kubelet.healthzAddress,
        healthzPort: kubelet.healthzPort,
        ...(kubelet.tlsCertFile === undefined ? {} : { tlsCertFile: kubelet.tlsCertFile }),
        ...(kubelet.tlsPrivateKeyFile === undefined ? {} : { tlsPrivateKeyFile: kubelet.tlsPrivateKeyFile }),
        ...(kubelet.clientCAFile === undefined ? {} : { clientCAFile: kubelet.clientCAFile }),
      },
      pods: settings.pods,
      logs: {
        // Not the kubelet's own folder: it may run on this machine too.
        directory: logs.directory ?? join(stateDir, 'logs', 'pods'),
        maxSizeBytes: bytes(logs.maxSize),
        maxFiles: logs.maxFiles,
        ...(logs.links === undefined ? {} : { links: logs.links }),
      },
      shutdown: settings.shutdown,
      log: settings.log,
    },
  };
}

/** The first address that is neither loopback nor link-local, IPv4 before IPv6; loopback when there is none. */
export function nodeAddress(interfaces: Machine['interfaces']): string {
  const addresses = Object.values(interfaces)
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !/^(169\.254\.|fe80:)/i.test(address));
  const first = addresses.find(({ family }) => family === 'IPv4') ?? addresses[0];
  return first?.address ?? '127.0.0.1';
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || ip.startsWith('127.');
}

/** Where the daemon of this user keeps its state. */
export function defaultStateDir(
  { isRoot, homeDir }: Machine,
  env: Readonly<Record<string, string | undefined>>,
): string {
  if (isRoot) return '/var/lib/anylet';
  const base = env['XDG_STATE_HOME'];
  return join(base === undefined || base === '' ? join(homeDir, '.local', 'state') : base, 'anylet');
}

/** A size in bytes: plain, or with a decimal or binary suffix. The schema has checked its form. */
function bytes(size: string | number): number {
  if (typeof size === 'number') return size;
  const [, digits = '', letter = '', binary] = /^([\d.]+)([kKMGT]?)(i?)$/.exec(size) ?? [];
  const power = ['', 'k', 'm', 'g', 't'].indexOf(letter.toLowerCase());
  return Math.floor(Number(digits) * (binary === 'i' ? 1024 : 1000) ** power);
}
