import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';

import { systemClock, type Clock } from '../../../src/core/clock.ts';
import { silentLogger, type Logger } from '../../../src/core/logger.ts';
import { createKubeletMetrics, type KubeletMetrics } from '../../../src/metrics/kubelet-metrics.ts';
import type { Pod } from '../../../src/core/objects.ts';
import type { NodeUsage } from '../../../src/core/resource-usage.ts';
import {
  bearerTokens,
  clientCertificates,
  createAuthenticator,
  createAuthorizer,
  createKubeletServer,
  type HealthCheck,
  type KubeletServer,
  type KubeletServerOptions,
  type ReviewAccess,
  type RunningPod,
} from '../../../src/server/index.ts';
import { createAuthority, type Authority, type Issued } from './authority.ts';

const address = '127.0.0.1';

/** Certificates that are made once for all tests of a file. */
export interface Credentials {
  readonly authority: Authority;
  readonly server: Issued;
  /** Of the group `system:masters`, which may do everything. */
  readonly admin: Issued;
}

export async function createCredentials(): Promise<Credentials> {
  const authority = await createAuthority('cluster');
  const [server, admin] = await Promise.all([
    authority.issue({ commonName: 'system:node:node-1', usage: 'server', names: [address] }),
    authority.issue({ commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'] }),
  ]);
  return { authority, server, admin };
}

export interface KubeletUnderTestOptions {
  readonly provider?: KubeletServerOptions['provider'];
  readonly pods?: readonly Pod[];
  readonly running?: readonly RunningPod[];
  readonly healthChecks?: readonly HealthCheck[];
  readonly anonymous?: boolean;
  readonly clock?: Clock;
  readonly log?: Logger;
  readonly limits?: NonNullable<KubeletServerOptions['limits']>;
  readonly usage?: KubeletServerOptions['usage'];
  readonly configuration?: object;
  readonly flags?: KubeletServerOptions['flags'];
  /** Beside the masters, who may do everything. */
  readonly allowed?: ReviewAccess;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Credentials of one request; without any it is a stranger's. */
export interface As {
  readonly certificate?: Issued;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A machine of two CPUs that has used one of them for a minute. */
export const machineUsage: NodeUsage = {
  startedAt: Date.parse('2026-11-21T07:45:00Z'),
  cpuCount: 2,
  memoryBytes: 8 * 2 ** 30,
  cpu: { at: Date.parse('2026-11-21T09:08:54Z'), usageCoreNanoSeconds: 60e9, usageNanoCores: 5e8 },
  memory: { at: Date.parse('2026-11-21T09:08:54Z'), availableBytes: 7 * 2 ** 30, workingSetBytes: 2 ** 30 },
};

const passing = (name: string): HealthCheck => ({ name, check: () => Promise.resolve() });

/** A kubelet API on a free port, with real TLS, real authentication and a fake API server behind it. */
export class KubeletUnderTest {
  readonly credentials: Credentials;
  readonly server: KubeletServer;
  readonly metrics: KubeletMetrics = createKubeletMetrics();
  /** Pods by now; a test may change it. */
  pods: readonly Pod[];
  #port = 0;

  private constructor(credentials: Credentials, options: KubeletUnderTestOptions) {
    this.credentials = credentials;
    this.pods = options.pods ?? [];
    const { clock = systemClock, log = silentLogger } = options;
    this.server = createKubeletServer({
      nodeName: 'node-1',
      pods: {
        list: () => this.pods,
        byName: (namespace, name) =>
          this.pods.find(({ metadata }) => metadata.namespace === namespace && metadata.name === name),
      },
      running: () => Promise.resolve(options.running ?? []),
      provider: options.provider ?? { name: 'fake' },
      usage: options.usage ?? (() => Promise.resolve(machineUsage)),
      machine: { machineID: 'm', systemUUID: 's', bootID: 'b', kernelVersion: '6.1.0', osImage: 'Debian' },
      metrics: this.metrics,
      kubernetesVersion: '1.36.3',
      configuration: options.configuration ?? {},
      flags: options.flags ?? {},
      authenticator: createAuthenticator({
        methods: [
          clientCertificates(clock),
          bearerTokens({ clock, review: (token) => Promise.resolve(userOfToken(token)) }),
        ],
        anonymous: options.anonymous ?? false,
      }),
      authorizer: createAuthorizer({
        clock,
        allowed: (user, attributes, signal) => {
          if (user.groups.includes('system:masters')) return Promise.resolve(true);
          return options.allowed?.(user, attributes, signal) ?? Promise.resolve(false);
        },
      }),
      healthChecks: options.healthChecks ?? ['ping', 'log', 'syncloop'].map(passing),
      tls: { cert: credentials.server.cert, key: credentials.server.key, clientCA: credentials.authority.cert },
      clock,
      log,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
  }

  /** One that does not listen yet. */
  static create(credentials: Credentials, options: KubeletUnderTestOptions = {}): KubeletUnderTest {
    return new KubeletUnderTest(credentials, options);
  }

  static async start(credentials: Credentials, options: KubeletUnderTestOptions = {}): Promise<KubeletUnderTest> {
    const kubelet = new KubeletUnderTest(credentials, options);
    kubelet.#port = (await kubelet.server.listen(address, 0)).port;
    return kubelet;
  }

  get port(): number {
    return this.#port;
  }

  get admin(): As {
    return { certificate: this.credentials.admin };
  }

  url(path: string, scheme = 'https'): URL {
    return new URL(`${scheme}://${address}:${this.#port}${path}`);
  }

  /** TLS settings of a client. */
  tls({ certificate }: As): { ca: string; cert?: string; key?: string } {
    return { ca: this.credentials.authority.cert, ...certificate };
  }

  /** Sends a request exactly as written and resolves when the head of the answer is there. */
  open(method: string, path: string, as: As = {}, signal?: AbortSignal): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const authorization = as.token === undefined ? {} : { authorization: `Bearer ${as.token}` };
    const sent = request({
      host: address,
      port: this.#port,
      method,
      path,
      agent: false,
      headers: { ...authorization, ...as.headers },
      ...this.tls(as),
      ...(signal === undefined ? {} : { signal }),
    });
    sent.on('response', resolve).on('error', reject);
    sent.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response);
    });
    sent.end(as.body);
    return promise;
  }

  async ask(method: string, path: string, as: As = {}): Promise<Answer> {
    const response = await this.open(method, path, as);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
  }

  close(): Promise<void> {
    return this.server.close(1000);
  }
}

/** The tokens that the fake TokenReview knows. */
function userOfToken(token: string): { name: string; groups: string[] } | undefined {
  if (token === 'weak') return { name: 'system:serviceaccount:default:weak', groups: ['system:serviceaccounts'] };
  if (token === 'master') return { name: 'root', groups: ['system:masters'] };
  return undefined;
}
