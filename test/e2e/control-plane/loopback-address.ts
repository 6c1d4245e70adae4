import { execFile } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** An address for a node on this machine that the API server does not take for loopback. */
export const NODE_ADDRESS = '10.99.0.1';

/**
 * Gives this machine a non-loopback address that only it can reach, by adding
 * `ip` to `lo`. Does nothing when the address is there already. Needs root.
 *
 * The API server refuses `nodes/<name>/proxy` and `pods/<name>/proxy` to
 * loopback addresses (`isProxyableHostname` in pkg/registry/core/node/strategy.go
 * allows global unicast only), and EndpointSlices may not hold them. logs, exec,
 * attach and port-forward have no such check: they work with 127.0.0.1 too.
 */
export async function addLoopbackAddress(ip: string = NODE_ADDRESS): Promise<void> {
  if (!hasAddress(ip)) await changeLoopback('add', ip);
}

/**
 * Takes the address away again; does nothing when it is not there. To be called
 * when nothing is connected over it any more: a connection that loses its
 * address hangs, and holds its process.
 */
export async function removeLoopbackAddress(ip: string = NODE_ADDRESS): Promise<void> {
  if (hasAddress(ip)) await changeLoopback('del', ip);
}

function hasAddress(ip: string): boolean {
  return Object.values(networkInterfaces()).some((addresses) => addresses?.some(({ address }) => address === ip));
}

async function changeLoopback(change: 'add' | 'del', ip: string): Promise<void> {
  const args = ['address', change, `${ip}/32`, 'dev', 'lo'];
  try {
    await run('ip', args);
  } catch (cause) {
    // Another process may have done the same in between.
    if (hasAddress(ip) === (change === 'add')) return;
    throw new Error(`'ip ${args.join(' ')}' failed: it needs Linux, iproute2 and root (or CAP_NET_ADMIN)`, { cause });
  }
}
