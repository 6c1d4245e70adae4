export { startControlPlane } from './control-plane.ts';
export type { ControlPlane, ControlPlaneOptions } from './control-plane.ts';
export { addLoopbackAddress, NODE_ADDRESS, removeLoopbackAddress } from './loopback-address.ts';
export { toolchain } from './toolchain.ts';
export type { Toolchain } from './toolchain.ts';
