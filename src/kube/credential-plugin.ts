import type { User } from '@kubernetes/client-node';

import type { Clock } from '../core/clock.ts';
import { forbidden, messageOf } from '../core/errors.ts';

/** A kubeconfig user whose credentials come from a program (`exec`) or a cloud's login (`auth-provider`). */
export interface PluginConfig {
  /** The user as the client library spells it: `exec` or `authProvider`, nothing else. */
  readonly user: Pick<User, 'name' | 'exec' | 'authProvider'>;
  readonly server: string;
}

export interface PluginCredentials {
  readonly authorization: string | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

/** The library caches tokens to their expiry; asking it more often than this would only cost. */
export const pluginAskMs = 10_000;

/**
 * Credentials of exec, OIDC, Azure and Google plugins, by the client library. It is loaded here and nowhere else,
 * and only when a kubeconfig needs it: the import costs 0.4 s and 55 MB.
 */
export class CredentialPlugin {
  readonly #config: PluginConfig;
  readonly #clock: Clock;
  #ask: (() => Promise<PluginCredentials>) | undefined;
  #answer: Promise<PluginCredentials> | undefined;
  #askedAt = 0;

  constructor(config: PluginConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** @throws `Forbidden` when the plugin fails */
  current(): Promise<PluginCredentials> {
    if (this.#answer === undefined || this.#clock.now() - this.#askedAt >= pluginAskMs) {
      this.#askedAt = this.#clock.now();
      const answer = this.#query();
      this.#answer = answer;
      answer.catch(() => {
        if (this.#answer === answer) this.#answer = undefined;
      });
    }
    return this.#answer;
  }

  /** Forget what the plugin said, and what the library remembers of it. */
  reset(): void {
    this.#ask = this.#answer = undefined;
  }

  async #query(): Promise<PluginCredentials> {
    try {
      this.#ask ??= await connect(this.#config);
      return await this.#ask();
    } catch (err) {
      const plugin = this.#config.user.exec === undefined ? 'auth-provider' : 'exec';
      throw forbidden(
        `the ${plugin} plugin of kubeconfig user ${this.#config.user.name} failed: ${messageOf(err).trim().slice(0, 500)}`,
        err,
      );
    }
  }
}

async function connect({ user, server }: PluginConfig): Promise<() => Promise<PluginCredentials>> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromClusterAndUser({ name: 'cluster', server, skipTLSVerify: server.startsWith('http:') }, user);
  return async () => {
    const options: Parameters<typeof config.applyToHTTPSOptions>[0] = {};
    await config.applyToHTTPSOptions(options);
    const headers = options.headers as Record<string, string> | undefined;
    return { authorization: headers?.['Authorization'], cert: pem(options.cert), key: pem(options.key) };
  };
}

function pem(value: unknown): Buffer | undefined {
  return typeof value === 'string' || Buffer.isBuffer(value) ? Buffer.from(value) : undefined;
}
