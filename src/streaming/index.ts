/** The streaming room: SPDY/3.1 and WebSocket, remote command and port forward. Bytes only; it knows no pod. */
export { serveRemoteCommand } from './remote-command.ts';
export type { RemoteCommandOptions, RunRemoteCommand } from './remote-command.ts';
export type { WantedStreams } from './remote-command-session.ts';
export { servePortForward } from './port-forward.ts';
export type { PortForwardOptions } from './port-forward.ts';
export type { DialPort } from './forwarded-port.ts';
export type { StreamingOptions } from './streaming-options.ts';
export { UpgradeRefused, writeRefusal } from './upgrade.ts';
export type { Upgrade } from './upgrade.ts';
export { openRemoteCommand } from './client/remote-command.ts';
export type { RemoteCommandClient, RemoteCommandTarget } from './client/remote-command.ts';
export { openPortForward } from './client/port-forward.ts';
export type { ForwardedConnection, PortForwardClient, PortForwardTarget } from './client/port-forward.ts';
export type { StreamingTarget } from './client/upgrade-request.ts';
