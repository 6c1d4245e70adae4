import type { KeyPair } from './auth/certificate-authority.ts';

/** What people and nodes need of a Kubernetes API server: the embedded one and a real one are used alike. */
export interface ControlPlane {
  /** `https://127.0.0.1:<port>`. */
  readonly url: string;
  /** The CA of the server's certificate and of all client certificates. */
  readonly caPem: string;
  clientCertificate(user: string, groups?: readonly string[]): Promise<KeyPair>;
  /** A kubeconfig with everything inline; an administrator's when no user is named. */
  kubeconfig(user?: string, groups?: readonly string[]): Promise<string>;
  /** Idempotent. */
  stop(): Promise<void>;
}
