import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import type { Clock } from '../core/clock.ts';
import { invalidInput, messageOf } from '../core/errors.ts';
import type { PluginConfig } from './credential-plugin.ts';
import { CredentialPlugin, pluginAskMs } from './credential-plugin.ts';

/** Where the API server is and how to be believed there. Files and plugins are read again as they change. */
export interface Credentials {
  /** Base URL; its path, if any, goes before every request's. */
  readonly server: URL;
  /** HTTP proxy that leads to it. */
  readonly proxy?: URL;
  /** For logs: which context of which file, or that it is the pod's own. */
  readonly description: string;
  /** The same object until something in it changed: then connections must be made anew. */
  tls(): Promise<TlsMaterial>;
  /** Value of the `Authorization` header. */
  authorization(): Promise<string | undefined>;
  /** The server answered 401: read everything again. True when there is something new to try. */
  refresh(): Promise<boolean>;
}

export interface TlsMaterial {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized: boolean;
}

/** Bytes given in place, or a file that may be replaced while we run. */
export type Source = { readonly data: Buffer } | { readonly file: string };

/** What a kubeconfig context or a pod's service account says, checked. */
export interface Access {
  readonly description: string;
  readonly server: URL;
  readonly proxy?: URL;
  readonly servername?: string;
  readonly insecure: boolean;
  readonly ca?: Source;
  readonly cert?: Source;
  readonly key?: Source;
  readonly identity: Identity;
}

export type Identity =
  | { readonly kind: 'none' }
  | { readonly kind: 'header'; readonly value: string }
  | { readonly kind: 'tokenFile'; readonly file: string }
  | { readonly kind: 'plugin'; readonly config: PluginConfig };

/** How often files are looked at, as client-go does (k8s.io/client-go/transport/token_source.go). */
const rereadMs = 60_000;

/** Credentials from `access`; reads nothing yet. */
export class AccessCredentials implements Credentials {
  readonly server: URL;
  readonly proxy?: URL;
  readonly description: string;
  readonly #access: Access;
  readonly #clock: Clock;
  readonly #plugin: CredentialPlugin | undefined;
  #tls: TlsMaterial | undefined;
  #token: string | undefined;
  #tlsReadAt = Number.NEGATIVE_INFINITY;
  #tokenReadAt = Number.NEGATIVE_INFINITY;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #refreshing: Promise<boolean> | undefined;

  constructor(access: Access, clock: Clock) {
    this.server = access.server;
    if (access.proxy !== undefined) this.proxy = access.proxy;
    this.description = access.description;
    this.#access = access;
    this.#clock = clock;
    if (access.identity.kind === 'plugin') this.#plugin = new CredentialPlugin(access.identity.config, clock);
  }

  /** A program or a login is asked, which may take its time or be out of reach. */
  get usesPlugin(): boolean {
    return this.#plugin !== undefined;
  }

  async tls(): Promise<TlsMaterial> {
    if (this.#tls !== undefined && !this.#due(this.#tlsReadAt)) return this.#tls;
    const read = await this.#readTls().catch((err: unknown) => {
      // A file half way through its replacement: what worked a minute ago serves until it is whole.
      if (this.#tls !== undefined) return this.#tls;
      throw err;
    });
    this.#tlsReadAt = this.#clock.now();
    if (this.#tls === undefined || !sameMaterial(this.#tls, read)) this.#tls = read;
    return this.#tls;
  }

  async authorization(): Promise<string | undefined> {
    const { identity } = this.#access;
    switch (identity.kind) {
      case 'none':
        return undefined;
      case 'header':
        return identity.value;
      case 'plugin':
        return (await this.#plugin?.current())?.authorization;
      case 'tokenFile':
        if (this.#token === undefined || this.#due(this.#tokenReadAt)) await this.#readToken(identity.file);
        return this.#token;
    }
  }

  refresh(): Promise<boolean> {
    this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  async #refresh(): Promise<boolean> {
    const now = this.#clock.now();
    // A program that hands out a token that is never believed is not run for every request.
    if (this.#plugin !== undefined && now - this.#refreshedAt < pluginAskMs) return false;
    this.#refreshedAt = now;
    const [token, tls] = [await this.authorization(), this.#tls];
    this.#tlsReadAt = this.#tokenReadAt = Number.NEGATIVE_INFINITY;
    this.#plugin?.reset();
    return token !== (await this.authorization()) || tls !== (await this.tls());
  }

  #due(readAt: number): boolean {
    return this.#clock.now() - readAt >= (this.#plugin === undefined ? rereadMs : pluginAskMs);
  }

  async #readToken(file: string): Promise<void> {
    try {
      const token = (await readFile(file, 'utf8')).trim();
      if (token === '') throw new Error('the file is empty');
      this.#token = `Bearer ${token}`;
    } catch (err) {
      if (this.#token === undefined) throw invalidInput(`cannot read the token file ${file}: ${messageOf(err)}`, err);
    }
    this.#tokenReadAt = this.#clock.now();
  }

  async #readTls(): Promise<TlsMaterial> {
    const { ca, cert, key, servername, insecure } = this.#access;
    const fromPlugin = await this.#plugin?.current();
    const [caPem, certPem, keyPem] = await Promise.all([
      bytes('certificate authority', ca),
      fromPlugin?.cert ?? bytes('client certificate', cert),
      fromPlugin?.key ?? bytes('client key', key),
    ]);
    if (certPem !== undefined && keyPem !== undefined) checkPair(certPem, keyPem);
    return {
      ...(caPem && { ca: caPem }),
      ...(certPem && { cert: certPem }),
      ...(keyPem && { key: keyPem }),
      ...(servername !== undefined && { servername }),
      rejectUnauthorized: !insecure,
    };
  }
}

async function bytes(what: string, source: Source | undefined): Promise<Buffer | undefined> {
  if (source === undefined || 'data' in source) return source?.data;
  try {
    return await readFile(source.file);
  } catch (err) {
    throw invalidInput(`cannot read the ${what} ${source.file}: ${messageOf(err)}`, err);
  }
}

function checkPair(cert: Buffer, key: Buffer): void {
  let fits: boolean;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (err) {
    throw invalidInput('the client certificate or its key is not valid PEM', err);
  }
  if (!fits) throw invalidInput('the client key does not belong to the client certificate');
}

function sameMaterial(a: TlsMaterial, b: TlsMaterial): boolean {
  const same = (x: Buffer | undefined, y: Buffer | undefined) =>
    x === y || (x !== undefined && y !== undefined && x.equals(y));
  return same(a.ca, b.ca) && same(a.cert, b.cert) && same(a.key, b.key);
}
