import { systemClock, type Clock } from '../core/clock.ts';
import { invalidInput, messageOf } from '../core/errors.ts';
import { silentLogger, type Logger } from '../core/logger.ts';
import { Authenticator } from './auth/authenticator.ts';
import { certificateApproval } from './admission/certificate-approval.ts';
import { limitRangeBounds } from './admission/limit-ranges.ts';
import { nodeRestriction } from './admission/node-restriction.ts';
import { privilegeEscalation } from './admission/privilege-escalation.ts';
import { resourceQuotas } from './admission/quotas.ts';
import { anyOf, grantsAuthorizer, type Authorizer, type Grant } from './auth/authorizer.ts';
import { bootstrapPolicy } from './auth/bootstrap-policy.ts';
import { createCertificateAuthority, type CertificateAuthority, type KeyPair } from './auth/certificate-authority.ts';
import { CertificateSigner } from './auth/certificate-signer.ts';
import { nodeAuthorizer } from './auth/node-authorizer.ts';
import { RbacAuthorizer, mastersAuthorizer } from './auth/rbac-authorizer.ts';
import { RoleAggregation } from './auth/role-aggregation.ts';
import { ServiceAccountTokens } from './auth/service-account-tokens.ts';
import type { User } from './auth/user.ts';
import { startControllers } from './controllers/index.ts';
import { ApiServer } from './http/api-server.ts';
import { KubeletClient } from './http/kubelet-client.ts';
import { Listener } from './http/listener.ts';
import { Traffic } from './http/traffic.ts';
import type { JsonObject } from './json.ts';
import { systemPriorities } from './kinds/policy.ts';
import { kindNamed } from './kinds/table.ts';
import { kubeconfigText } from './kubeconfig.ts';
import { LocalClient } from './local-client.ts';
import { NamespaceController } from './namespace-controller.ts';
import { NodeController } from './node-controller.ts';
import { Registry } from './registry.ts';
import { Scheduler } from './scheduler.ts';
import { readSnapshot, writeSnapshot } from './snapshot.ts';
import { ResourceStore } from './store.ts';

/** Everything may be left out: then it is a cluster with TLS on a free port of 127.0.0.1 that schedules pods. */
export interface DevClusterOptions {
  /** Port of the HTTPS listener; 0 picks a free one. */
  readonly port?: number;
  /** Also listen without TLS, for bearer tokens only. */
  readonly http?: boolean;
  /** Bind pods to nodes (default true). */
  readonly scheduler?: boolean;
  /**
   * Run the controllers of kube-controller-manager (default false): Deployments and the other workloads, endpoints,
   * garbage collection, node lifecycle and so on. Without them only namespaces and the not-ready taint are cared for.
   */
  readonly controllers?: boolean;
  /** Static bearer tokens and who they stand for. */
  readonly tokens?: Readonly<Record<string, User>>;
  /** Rights beyond the bootstrap policy and the Node authorizer, in RBAC's terms. */
  readonly grants?: readonly Grant[];
  /** Decides instead of the bootstrap policy, the Node authorizer and `grants`. */
  readonly authorizer?: Authorizer;
  /** PEM of the CA that kubelets' serving certificates must come from; without it they are not verified. */
  readonly kubeletCA?: string;
  /**
   * File to take the objects and keys from when it is there, and to leave them in: every {@link snapshotEveryMs} when
   * something changed, and at {@link DevCluster.stop}.
   */
  readonly snapshot?: string;
  /** How many changes of a resource a watch may be behind before it gets 410 Gone (default 1,000). */
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
  #savedVersion = 0;
  #cancelSave: (() => void) | undefined;
  #stopped = false;

  /** @internal Use {@link startDevCluster}. */
  constructor(parts: Parts) {
    this.#parts = parts;
    this.url = `https://127.0.0.1:${parts.port}`;
    this.httpUrl = parts.httpPort === undefined ? undefined : `http://127.0.0.1:${parts.httpPort}`;
    this.caPem = parts.ca.certPem;
    this.objects = new LocalClient(parts.registry);
    this.traffic = parts.traffic;
    if (parts.snapshot !== undefined) this.#saveLater();
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

  /** Writes the snapshot file now; to the one that the options name unless told otherwise. */
  async save(path: string | undefined = this.#parts.snapshot): Promise<void> {
    if (path === undefined) throw invalidInput('the development cluster has no snapshot file to write');
    const { ca, serviceAccounts, registry } = this.#parts;
    const authority = await ca.keys();
    const { version } = registry.store;
    writeSnapshot(path, { version, authority, tokenKeyPem: serviceAccounts.keyPem, objects: registry.store.dump() });
    this.#savedVersion = version;
  }

  /** Ends every connection and stops every loop, and leaves the snapshot if one is kept. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#parts.signer.stop();
    this.#cancelSave?.();
    this.#parts.roles.stop();
    this.#parts.scheduler?.stop();
    this.#parts.namespaces.stop();
    this.#parts.stopControllers();
    this.#parts.kubelet.close();
    await this.#parts.listener.close();
    if (this.#parts.snapshot !== undefined) await this.save();
  }

  #saveLater(): void {
    const { clock, log, registry } = this.#parts;
    this.#cancelSave = clock.after(snapshotEveryMs, () => {
      this.#saveLater();
      if (registry.store.version === this.#savedVersion) return;
      this.save().catch((err: unknown) => log.error('snapshot not written', { err: messageOf(err) }));
    });
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
  readonly stopControllers: () => void;
  readonly scheduler: Scheduler | undefined;
  readonly signer: CertificateSigner;
  readonly roles: RoleAggregation;
  readonly snapshot: string | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often the snapshot is brought up to date. */
export const snapshotEveryMs = 30_000;

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
  const kept = options.snapshot === undefined ? undefined : readSnapshot(options.snapshot);
  const ca = await createCertificateAuthority('kubernetes', kept?.authority);
  const [serving, kubeletClientCertificate] = await Promise.all([
    ca.issueServer({ commonName: 'kube-apiserver' }, serverNames, ['127.0.0.1', '::1', kubernetesServiceIP]),
    ca.issueClient({ commonName: 'kube-apiserver-kubelet-client', organizations: ['kubeadm:cluster-admins'] }),
  ]);
  const store = new ResourceStore(options.historySize ?? 1_000);
  if (kept !== undefined) store.load(kept.objects, kept.version);
  const rbac = new RbacAuthorizer(store);
  const authorizer =
    options.authorizer ??
    anyOf(mastersAuthorizer, nodeAuthorizer(store), rbac.authorize, grantsAuthorizer(options.grants ?? []));
  const registry = new Registry(store, clock, [
    nodeRestriction,
    privilegeEscalation(rbac, authorizer),
    certificateApproval(authorizer),
    limitRangeBounds(store),
    resourceQuotas(store),
  ]);
  const serviceAccounts = new ServiceAccountTokens(registry, clock, kept?.tokenKeyPem);
  const authenticator = new Authenticator(serviceAccounts, options.tokens ?? {});
  const kubelet = new KubeletClient(registry, kubeletClientCertificate, options.kubeletCA);
  const traffic = new Traffic();
  const server = new ApiServer({
    registry,
    authenticator,
    authorizer,
    rbac,
    serviceAccounts,
    kubelet,
    traffic,
    clock,
    log,
  });
  const namespaces = new NamespaceController(registry, ca.certPem);
  const scheduler = options.scheduler === false ? undefined : new Scheduler(registry, clock, log);
  const signer = new CertificateSigner({ registry, authority: ca, authorizer, clock, log });
  const roles = new RoleAggregation(registry);
  namespaces.start();
  const stopControllers =
    options.controllers === true ? startControllers(registry, clock, log) : startNodeTaints(registry);
  scheduler?.start();
  signer.start();
  const listener = new Listener((request, response, upgrade) => server.handle(request, response, upgrade));
  const port = await listener.listenTls(options.port ?? 0, serving, ca.certPem);
  const httpPort = options.http === true ? await listener.listenPlain(0) : undefined;
  furnish(registry, ca.certPem, port);
  if (options.controllers === true) roles.start();
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
    stopControllers,
    scheduler,
    signer,
    roles,
    snapshot: options.snapshot,
    clock,
    log,
  });
}

/** Of the controllers only what keeps pods off nodes that are not ready. */
function startNodeTaints(registry: Registry): () => void {
  const nodes = new NodeController(registry);
  nodes.start();
  return () => nodes.stop();
}

/** What every cluster has from the beginning; what a snapshot has brought along stays. */
function furnish(registry: Registry, caPem: string, port: number): void {
  const create = (kindName: string, namespace: string | undefined, body: JsonObject) => {
    const kind = kindNamed(kindName);
    const { name } = body['metadata'] as { name: string };
    if (registry.store.get(kind, namespace, name) === undefined) registry.create(kind, namespace, body);
  };
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
    create('Namespace', undefined, { metadata: { name } });
  for (const { kind, namespace, body } of bootstrapPolicy()) create(kind, namespace, body);
  for (const [name, { value, description }] of Object.entries(systemPriorities))
    create('PriorityClass', undefined, { metadata: { name }, value, description });
  create('ConfigMap', 'kube-system', {
    metadata: { name: 'extension-apiserver-authentication' },
    data: { 'client-ca-file': caPem },
  });
  const ports = [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }];
  create('Service', 'default', {
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: { type: 'ClusterIP', clusterIP: kubernetesServiceIP, ports },
  });
  // The port may be another than that of the snapshot.
  registry.change(kindNamed('Service'), 'default', 'kubernetes', undefined, (current) => ({
    ...current,
    spec: { ...(current['spec'] as JsonObject), ports },
  }));
}
