import type { Taint } from '../core/objects.ts';

/** Everything the daemon was told, with all defaults filled in. Frozen. Paths are absolute. */
export interface Config {
  /** Absent: the ServiceAccount of the pod that the daemon runs in. */
  readonly kubeconfig?: string;
  readonly stateDir: string;
  readonly takeover: boolean;
  readonly node: {
    readonly name: string;
    /** One or two, at most one per family, the primary first. */
    readonly ips: readonly string[];
    readonly labels: Readonly<Record<string, string>>;
    /** Absent: the default taint, which names the provider. */
    readonly taints?: readonly Taint[];
    /** Quantities by resource name; they win over the provider's and the machine's. */
    readonly capacity: Readonly<Record<string, string>>;
    readonly recreate: boolean;
  };
  readonly provider: {
    /** The name of a built-in provider or a package, or an absolute path. */
    readonly name: string;
    readonly config: Readonly<Record<string, unknown>>;
  };
  readonly kubelet: {
    readonly listenAddress: string;
    /** 0: any free port. */
    readonly listenPort: number;
    readonly healthzAddress: string;
    /** 0: no health server. */
    readonly healthzPort: number;
    /** Both or none. */
    readonly tlsCertFile?: string;
    readonly tlsPrivateKeyFile?: string;
    readonly clientCAFile?: string;
  };
  readonly pods: { readonly max: number; readonly clusterDNS: readonly string[]; readonly clusterDomain: string };
  readonly logs: {
    readonly directory: string;
    readonly maxSizeBytes: number;
    readonly maxFiles: number;
    /** Folder for links to the current logs; absent: none are made. */
    readonly links?: string;
  };
  readonly shutdown: { readonly pods: 'leave' | 'stop' };
  readonly log: { readonly level: 'error' | 'warn' | 'info' | 'debug'; readonly format: 'auto' | 'json' | 'text' };
}
