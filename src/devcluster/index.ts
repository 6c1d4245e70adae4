/** The embedded development control plane: a Kubernetes API server in memory, in this process. */
export type { ApiObject } from './api-object.ts';
export type { Attributes, Authorizer, Decision, Grant } from './auth/authorizer.ts';
export type { KeyPair } from './auth/certificate-authority.ts';
export type { User } from './auth/user.ts';
export type { ControlPlane } from './control-plane.ts';
export { openDevFolder, type DevFolder } from './dev-folder.ts';
export { DevCluster, startDevCluster, type DevClusterOptions } from './dev-cluster.ts';
export type { Fault, RecordedRequest, RequestMatch, Traffic } from './http/traffic.ts';
export type { LocalClient, ObjectKey, Selectors, WatchEvent } from './local-client.ts';
