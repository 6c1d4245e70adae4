import { systemClock, type Clock } from '../core/clock.ts';
import { silentLogger, type Logger } from '../core/logger.ts';
import { Authenticator } from './auth/authenticator.ts';
import { anyOf, grantsAuthorizer, type Authorizer, type Grant } from './auth/authorizer.ts';
import { createCertificateAuthority, type CertificateAuthority, type KeyPair } from './auth/certificate-authority.ts';
import { nodeAuthorizer } from './auth/node-authorizer.ts';
import { ServiceAccountTokens } from './auth/service-account-tokens.ts';
import type { User } from './auth/user.ts';
import { ApiServer } from './http/api-server.ts';
import { KubeletClient } from './http/kubelet-client.ts';
import { Listener } from './http/listener.ts';
import { Traffic } from './http/traffic.ts';
import { kindNamed } from './kinds/table.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { LocalClient } from './local-client.ts';
import { NamespaceController } from './namespace-controller.ts';
import { NodeController } from './node-controller.ts';
import { Registry } from './registry.ts';
import { Scheduler } from './scheduler.ts';
import { ResourceStore } from './store.ts';

/** Everything may be left out: then it is a cluster with TLS on a free port of 127.0.0.1 that schedules pods. */
export interface DevClusterOptions {
  /** Port of the HTTPS listener; 0 picks a free one. */
  readonly port?: number;
  /** Also listen without TLS, for bearer tokens only. */
  readonly http?: boolean;
  /** Bind pods to nodes (default true). */
  readonly scheduler?: boolean;
  /** Static bearer tokens and who they stand for. */
  readonly tokens?: Readonly<Record<string, User>>;
  /** Rights beyond the bootstrap policy and the Node authorizer, in RBAC's terms. */
  readonly grants?: readonly Grant[];
  /** Decides instead of the bootstrap policy, the Node authorizer and `grants`. */
  readonly authorizer?: Authorizer;
  /** PEM of the CA that kubelets' serving certificates must come from; without it they are not verified. */
  readonly kubeletCA?: string;
  /** How many changes of a resource a watch may be behind before it gets 410 Gone (default 10,000). */
  readonly historySize?: number;
  readonly clock?: Clock;
  readonly log?: Logger;
}

/** A Kubernetes API server with what surrounds it, in this process and in memory only. For development and tests. */
export class DevCluster {
  /** `https://127.0.0.1:<port>`. */
  readonly url: string;
  /** `http://127.0.0.1:<port>` when asked for. */
  readonly httpUrl: string | undefined;
  /** The CA of the server's certificate and of all client certificates. */
  readonly caPem: string;
  /** The objects, without HTTP, authentication or authorization: how tests arrange and look. */
  readonly objects: LocalClient;
  /** The requests that came, and faults for those that come. */
  readonly traffic: Traffic;
  /** The certificate with which kubelets are called, as `kube-apiserver-kubelet-client`. */
  readonly kubeletClientCertificate: KeyPair;
  readonly #parts: Parts;

  /** @internal Use {@link startDevCluster}. */
  constructor(parts: Parts) {
    this.#parts = parts;
    this.url = `https://127.0.0.1:${parts.port}`;
    this.httpUrl = parts.httpPort === undefined ? undefined : `http://127.0.0.1:${parts.httpPort}`;
    this.caPem = parts.ca.certPem;
    this.objects = new LocalClient(parts.registry);
    this.traffic = parts.traffic;
    this.kubeletClientCertificate = parts.kubeletClientCertificate;
  }

  /** A client certificate for a user: `clientCertificate('system:node:a', ['system:nodes'])`. */
  clientCertificate(user: string, groups: readonly string[] = []): Promise<KeyPair> {
    return this.#parts.ca.issueClient({ commonName: user, organizations: groups });
  }

  /** A kubeconfig with everything inline, by client certificate; an administrator's when no user is named. */
  async kubeconfig(user = 'kubernetes-admin', groups: readonly string[] = ['system:masters']): Promise<string> {
    return kubeconfigText({
      server: this.url,
      caPem: this.caPem,
      user,
      ...(await this.clientCertificate(user, groups)),
    });
  }

  /** A static bearer token for a user. */
  issueToken(user: string, groups: readonly string[] = []): string {
    return this.#parts.authenticator.issueToken({ name: user, groups });
  }

  revokeToken(token: string): void {
    this.#parts.authenticator.revokeToken(token);
  }

  /** A token of a service account, as its pods hold one. */
  serviceAccountToken(namespace: string, name: string, expirationSeconds = 3600): string {
    const request = this.#parts.serviceAccounts.request(namespace, name, { spec: { expirationSeconds } });
    return (request['status'] as { token: string }).token;
  }

  /** How many watches are open. */
  get openWatches(): number {
    return this.#parts.server.watches.size;
  }

  /** Cuts every open watch in the middle, as a dying connection does. */
  dropWatches(): void {
    for (const watch of this.#parts.server.watches) watch.drop();
  }

  /** Ends every open watch properly, as its timeout does. */
  endWatches(): void {
    for (const watch of this.#parts.server.watches) watch.end();
  }

  /** Sends every open watch that takes bookmarks one. */
  sendBookmarks(): void {
    for (const watch of this.#parts.server.watches) watch.bookmark();
  }

  /** Forgets the history: a watch that resumes from an earlier version gets 410 Gone. */
  compact(): void {
    this.#parts.registry.store.compact();
  }

  /** Forgets the history and tells the open watches so: each gets its 410 now. */
  expireWatches(): void {
    this.compact();
    for (const watch of this.#parts.server.watches) watch.expire();
  }

  /** Ends every connection and stops every loop. Idempotent. */
  async stop(): Promise<void> {
    this.#parts.scheduler?.stop();
    this.#parts.namespaces.stop();
    this.#parts.nodes.stop();
    this.#parts.kubelet.close();
    await this.#parts.listener.close();
  }
}

interface Parts {
  readonly port: number;
  readonly httpPort: number | undefined;
  readonly ca: CertificateAuthority;
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly serviceAccounts: ServiceAccountTokens;
  readonly server: ApiServer;
  readonly listener: Listener;
  readonly kubelet: KubeletClient;
  readonly kubeletClientCertificate: KeyPair;
  readonly traffic: Traffic;
  readonly namespaces: NamespaceController;
  readonly nodes: NodeController;
  readonly scheduler: Scheduler | undefined;
}

const serverNames = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
const kubernetesServiceIP = '10.96.0.1';

/** Starts a cluster; resolves when it answers. */
export async function startDevCluster(options: DevClusterOptions = {}): Promise<DevCluster> {
  const { clock = systemClock, log = silentLogger } = options;
  const ca = await createCertificateAuthority('kubernetes');
  const [serving, kubeletClientCertificate] = await Promise.all([
    ca.issueServer({ commonName: 'kube-apiserver' }, serverNames, ['127.0.0.1', '::1', kubernetesServiceIP]),
    ca.issueClient({ commonName: 'kube-apiserver-kubelet-client', organizations: ['kubeadm:cluster-admins'] }),
  ]);
  const registry = new Registry(new ResourceStore(options.historySize ?? 10_000), clock);
  const serviceAccounts = new ServiceAccountTokens(registry, clock);
  const authenticator = new Authenticator(serviceAccounts, options.tokens ?? {});
  const authorizer =
    options.authorizer ?? anyOf(nodeAuthorizer(registry.store), grantsAuthorizer(options.grants ?? []));
  const kubelet = new KubeletClient(registry, kubeletClientCertificate, options.kubeletCA);
  const traffic = new Traffic();
  const server = new ApiServer({ registry, authenticator, authorizer, serviceAccounts, kubelet, traffic, clock, log });
  const namespaces = new NamespaceController(registry, ca.certPem);
  const scheduler = options.scheduler === false ? undefined : new Scheduler(registry, clock, log);
  const nodes = new NodeController(registry);
  namespaces.start();
  nodes.start();
  scheduler?.start();
  const listener = new Listener((request, response, upgrade) => server.handle(request, response, upgrade));
  const port = await listener.listenTls(options.port ?? 0, serving, ca.certPem);
  const httpPort = options.http === true ? await listener.listenPlain(0) : undefined;
  furnish(registry, ca.certPem, port);
  return new DevCluster({
    port,
    httpPort,
    ca,
    registry,
    authenticator,
    serviceAccounts,
    server,
    listener,
    kubelet,
    kubeletClientCertificate,
    traffic,
    namespaces,
    nodes,
    scheduler,
  });
}

/** What every cluster has from the beginning. */
function furnish(registry: Registry, caPem: string, port: number): void {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
    registry.create(kindNamed('Namespace'), undefined, { metadata: { name } });
  registry.create(kindNamed('ConfigMap'), 'kube-system', {
    metadata: { name: 'extension-apiserver-authentication' },
    data: { 'client-ca-file': caPem },
  });
  registry.create(kindNamed('Service'), 'default', {
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: kubernetesServiceIP,
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }],
    },
  });
}
