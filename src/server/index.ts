export type { Attributes } from './auth/attributes.ts';
export { createAuthenticator, type Authenticator, type AuthenticatorOptions } from './auth/authenticator.ts';
export { createAuthorizer, type Authorizer, type AuthorizerOptions, type ReviewAccess } from './auth/authorizer.ts';
export { bearerTokens, type BearerTokenOptions, type ReviewToken } from './auth/bearer-token.ts';
export { clientCertificates } from './auth/client-certificate.ts';
export type { User } from './auth/user.ts';
export { createHealthServer, type HealthServer, type HealthServerOptions } from './health-server.ts';
export {
  createKubeletServer,
  type KubeletServer,
  type KubeletServerLimits,
  type KubeletServerOptions,
} from './kubelet-server.ts';
export type { PodSource, RunningPod } from './pod-source.ts';
export type { HealthCheck } from './routes/healthz.ts';
export {
  readServingCertificate,
  selfSignedServingCertificate,
  type SelfSignedOptions,
  type ServingCertificate,
} from './serving-certificate.ts';
export type { MachineLabels } from './stats/cadvisor-metrics.ts';
export type { TlsSettings } from './tls-settings.ts';
