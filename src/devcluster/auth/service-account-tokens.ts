/** Tokens of service accounts: JWTs signed with the cluster's own key. Follows pkg/serviceaccount/claims.go. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  verify,
  type KeyObject,
} from 'node:crypto';

import { rfc3339, type Clock } from '../../core/clock.ts';
import { badRequest, conflict, fieldInvalid, invalid } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { kindNamed } from '../kinds/table.ts';
import type { Registry } from '../registry.ts';
import { decode } from '../schema/decode.ts';
import type { JsonObject } from '../json.ts';
import type { User } from './user.ts';

export const issuer = 'https://kubernetes.default.svc.cluster.local';

/** A token asked for with this life (what the kubelet asks for) stays valid for a year, and only warns before. */
const warnOnlySeconds = 3607;
const extendedSeconds = 365 * 24 * 3600;

interface Reference {
  readonly name: string;
  readonly uid?: string;
}

interface Claims {
  readonly aud: readonly string[];
  readonly exp: number;
  readonly iat: number;
  readonly nbf: number;
  readonly iss: string;
  readonly jti: string;
  readonly sub: string;
  readonly 'kubernetes.io': {
    readonly namespace: string;
    readonly serviceaccount: Reference;
    readonly pod?: Reference;
    readonly secret?: Reference;
    readonly node?: Reference;
    readonly warnafter?: number;
  };
}

interface TokenRequestSpec {
  audiences?: string[];
  expirationSeconds?: number;
  boundObjectRef?: { apiVersion?: string; kind?: string; name?: string; uid?: string } | null;
}

export class ServiceAccountTokens {
  readonly #registry: Registry;
  readonly #clock: Clock;
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;

  /** `keyPem` is the private key to sign with; a new one when absent. */
  constructor(registry: Registry, clock: Clock, keyPem?: string) {
    this.#registry = registry;
    this.#clock = clock;
    this.#privateKey =
      keyPem === undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : createPrivateKey(keyPem);
    this.#publicKey = createPublicKey(this.#privateKey);
  }

  /** The signing key as PEM, so that tokens stay good over a restart. */
  get keyPem(): string {
    return this.#privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  }

  /** Answers a TokenRequest for the service account `name`. */
  request(namespace: string, name: string, body: JsonObject): JsonObject {
    const account = this.#registry.get(kindNamed('ServiceAccount'), namespace, name);
    const { value } = decode('TokenRequest', body);
    const spec = (value['spec'] ?? {}) as unknown as TokenRequestSpec;
    const audiences = (spec.audiences ?? []).length > 0 ? (spec.audiences as string[]) : [issuer];
    const seconds = spec.expirationSeconds ?? 3600;
    if (seconds < 600)
      throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
        fieldInvalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'),
      ]);
    if (seconds > 2 ** 32)
      throw invalid({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, '', [
        fieldInvalid('spec.expirationSeconds', seconds, 'may not specify a duration larger than 2^32 seconds'),
      ]);
    const bound = this.#boundObjects(namespace, name, spec.boundObjectRef ?? undefined);
    const extended =
      bound.pod !== undefined && seconds === warnOnlySeconds && audiences.every((audience) => audience === issuer);
    const now = Math.floor(this.#clock.now() / 1000);
    const token = this.#sign({
      aud: audiences,
      exp: now + (extended ? extendedSeconds : seconds),
      iat: now,
      nbf: now,
      iss: issuer,
      jti: randomUUID(),
      sub: `system:serviceaccount:${namespace}:${name}`,
      'kubernetes.io': {
        namespace,
        ...bound,
        serviceaccount: { name, uid: account.metadata.uid },
        ...(extended && { warnafter: now + seconds }),
      },
    });
    return {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, uid: account.metadata.uid, creationTimestamp: rfc3339(this.#clock.now()) },
      spec: { boundObjectRef: null, ...spec, audiences, expirationSeconds: seconds },
      status: { token, expirationTimestamp: rfc3339((now + seconds) * 1000) },
    };
  }

  /** Whom a token of ours is for, whether or not it still is good. */
  audiencesOf(token: string): readonly string[] | undefined {
    return this.#verified(token)?.aud;
  }

  /**
   * The user that a token names, when it is one of ours, still valid, for one of `audiences`, and what it is bound
   * to still exists.
   */
  authenticate(
    token: string,
    audiences: readonly string[] = [issuer],
  ): { user: User; audiences: string[] } | undefined {
    const claims = this.#verified(token);
    const now = this.#clock.now() / 1000;
    if (claims === undefined || claims.iss !== issuer || now >= claims.exp || now < claims.nbf) return undefined;
    const common = audiences.filter((audience) => claims.aud.includes(audience));
    const { namespace, serviceaccount, pod, secret, node } = claims['kubernetes.io'];
    if (common.length === 0 || !this.#exists('ServiceAccount', namespace, serviceaccount)) return undefined;
    if (pod !== undefined && !this.#exists('Pod', namespace, pod)) return undefined;
    if (secret !== undefined && !this.#exists('Secret', namespace, secret)) return undefined;
    if (node !== undefined && pod === undefined && !this.#exists('Node', undefined, node)) return undefined;
    const extra: Record<string, string[]> = { 'authentication.kubernetes.io/credential-id': [`JTI=${claims.jti}`] };
    for (const [kind, reference] of Object.entries({ node, pod })) {
      if (reference === undefined) continue;
      extra[`authentication.kubernetes.io/${kind}-name`] = [reference.name];
      if (reference.uid !== undefined) extra[`authentication.kubernetes.io/${kind}-uid`] = [reference.uid];
    }
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
    return {
      user: { name: claims.sub, ...(serviceaccount.uid !== undefined && { uid: serviceaccount.uid }), groups, extra },
      audiences: common,
    };
  }

  #boundObjects(
    namespace: string,
    account: string,
    ref: NonNullable<TokenRequestSpec['boundObjectRef']> | undefined,
  ): { pod?: Reference; secret?: Reference; node?: Reference } {
    if (ref === undefined) return {};
    const { kind = '', apiVersion = '', name = '' } = ref;
    if (apiVersion !== 'v1' || !['Pod', 'Secret', 'Node'].includes(kind))
      throw badRequest(
        `cannot bind token to object of type ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`,
      );
    const object = this.#registry.get(kindNamed(kind), kind === 'Node' ? undefined : namespace, name);
    if (ref.uid !== undefined && ref.uid !== object.metadata.uid) {
      throw conflict(
        { group: '', resource: kind },
        name,
        `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
      );
    }
    const reference = referenceTo(object);
    if (kind !== 'Pod') return kind === 'Secret' ? { secret: reference } : { node: reference };
    const { serviceAccountName, nodeName } = object['spec'] as { serviceAccountName?: string; nodeName?: string };
    if (serviceAccountName !== account)
      throw badRequest(
        `cannot bind token for serviceaccount ${JSON.stringify(account)} to pod running with different serviceaccount name.`,
      );
    if (!nodeName) return { pod: reference };
    const node = this.#registry.store.get(kindNamed('Node'), undefined, nodeName);
    return { pod: reference, node: node === undefined ? { name: nodeName } : referenceTo(node) };
  }

  #exists(kind: string, namespace: string | undefined, { name, uid }: Reference): boolean {
    return this.#registry.store.get(kindNamed(kind), namespace, name)?.metadata.uid === uid;
  }

  #sign(claims: Claims): string {
    const content = [{ alg: 'ES256', typ: 'JWT' }, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${content}.${sign('sha256', Buffer.from(content), { key: this.#privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  }

  #verified(token: string): Claims | undefined {
    const [header, payload, signature, ...rest] = token.split('.');
    if (header === undefined || payload === undefined || signature === undefined || rest.length > 0) return undefined;
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' as const };
    if (!verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')))
      return undefined;
    // What we signed is what we wrote: no need to doubt its shape.
    return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims;
  }
}

function referenceTo({ metadata: { name, uid } }: ApiObject): Reference {
  return { name, uid };
}
