import {
  addLoopbackAddress,
  type ControlPlane,
  NODE_ADDRESS,
  removeLoopbackAddress,
  startControlPlane,
} from './control-plane/index.ts';
import { networkInterfaces } from 'node:os';

/** What a run has made, for its teardown. */
const made: { controlPlane?: ControlPlane; address?: string } = {};

/** One cluster for all suites, told to them by environment variables: the one that a person named, else our own. */
export async function setUp(): Promise<void> {
  process.env['ANYLET_E2E_NODE_IP'] = await nodeAddress();
  if (process.env['ANYLET_E2E_KUBECONFIG']) return;
  made.controlPlane = await startControlPlane();
  process.env['ANYLET_E2E_KUBECONFIG'] = made.controlPlane.kubeconfigPath;
  process.env['ANYLET_E2E_KUBECTL'] = made.controlPlane.kubectl;
  process.env['ANYLET_E2E_OWN_CLUSTER'] = '1';
}

/** Undoes it all. An address that was there before stays: connections of others may use it. */
export async function tearDown(): Promise<void> {
  await made.controlPlane?.stop();
  if (made.address !== undefined) await removeLoopbackAddress(made.address);
}

/** An address that API servers let themselves be sent to, where one can be had; see `addLoopbackAddress`. */
async function nodeAddress(): Promise<string> {
  const named = process.env['ANYLET_E2E_NODE_IP'];
  if (named) return named;
  const isThere = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === NODE_ADDRESS),
  );
  if (isThere) return NODE_ADDRESS;
  try {
    await addLoopbackAddress();
    made.address = NODE_ADDRESS;
    return NODE_ADDRESS;
  } catch {
    return '127.0.0.1';
  }
}
