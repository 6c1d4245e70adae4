import type { AuthenticationV1TokenRequest } from '@kubernetes/client-node';

import type { Clock } from '../core/clock.ts';
import { messageOf, unavailable } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import type { Wire } from '../core/objects.ts';
import { waitWith } from '../core/wait-with.ts';
import type { KubeApi } from './api.ts';

/** A `serviceAccountToken` volume source of one pod. */
export interface TokenQuestion {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Absent: the API server's own. */
  readonly audience?: string;
  readonly expirationSeconds: number;
  /** The token is bound to the pod and dies with it. */
  readonly pod: { readonly name: string; readonly uid: string };
}

export interface BoundToken {
  readonly token: string;
  readonly expiresAtMs: number;
}

interface Held {
  readonly value: BoundToken;
  readonly refreshAtMs: number;
}

const dayMs = 86_400_000;
const maxJitterMs = 10_000;

/** Asks the API server for one token (`serviceaccounts/token`). */
export async function requestToken(api: KubeApi, question: TokenQuestion): Promise<BoundToken> {
  const { namespace, serviceAccount, audience, expirationSeconds, pod } = question;
  const { status } = await api.request<Wire<AuthenticationV1TokenRequest>>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        ...(audience && { audiences: [audience] }),
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid },
      },
    },
  });
  const expiresAtMs = Date.parse(status?.expirationTimestamp ?? '');
  if (!status?.token || Number.isNaN(expiresAtMs))
    throw unavailable(`the API server gave no token for service account ${namespace}/${serviceAccount}`);
  return { token: status.token, expiresAtMs };
}

/**
 * Tokens of this node's pods, one per pod and volume source. A token is renewed when 80 % of its life or 24 hours are
 * over, by whoever asks next; when that fails the old one serves until it expires. The rules are those of
 * k8s.io/kubernetes/pkg/kubelet/token/token_manager.go.
 */
export class ServiceAccountTokens {
  readonly #api: KubeApi;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #byPod = new Map<string, Map<string, Held>>();
  readonly #requests = new Map<string, Promise<Held>>();

  constructor(api: KubeApi, options: { readonly clock: Clock; readonly log: Logger }) {
    this.#api = api;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** @throws as the request's, when there is no token that is still valid */
  async get(question: TokenQuestion, signal?: AbortSignal): Promise<BoundToken> {
    const key = keyOf(question);
    const held = this.#byPod.get(question.pod.uid)?.get(key);
    if (held !== undefined && this.#clock.now() < held.refreshAtMs) return held.value;
    try {
      return (await waitWith(this.#request(key, question), signal)).value;
    } catch (err) {
      if (signal?.aborted === true || held === undefined || this.#clock.now() >= held.value.expiresAtMs) throw err;
      this.#log.warn('service account token not renewed, the old one serves until it expires', {
        namespace: question.namespace,
        pod: question.pod.name,
        err: messageOf(err),
      });
      return held.value;
    }
  }

  /** The pod is gone. */
  forget(podUid: string): void {
    this.#byPod.delete(podUid);
  }

  /** Pods that hold tokens. */
  get size(): number {
    return this.#byPod.size;
  }

  #request(key: string, question: TokenQuestion): Promise<Held> {
    const running = this.#requests.get(key);
    if (running !== undefined) return running;
    let tokens = this.#byPod.get(question.pod.uid);
    if (tokens === undefined) this.#byPod.set(question.pod.uid, (tokens = new Map()));
    const into = tokens;
    const request = this.#ask(question)
      .then((held) => {
        // Into the map of the time of asking: if the pod was forgotten meanwhile, that is nobody's any more.
        into.set(key, held);
        return held;
      })
      .finally(() => {
        this.#requests.delete(key);
        if (into.size === 0 && this.#byPod.get(question.pod.uid) === into) this.#byPod.delete(question.pod.uid);
      });
    this.#requests.set(key, request);
    return request;
  }

  async #ask(question: TokenQuestion): Promise<Held> {
    const issuedAtMs = this.#clock.now();
    const value = await requestToken(this.#api, question);
    const lifeMs = value.expiresAtMs - issuedAtMs;
    const refreshAtMs = Math.min(issuedAtMs + dayMs, value.expiresAtMs - lifeMs * 0.2) - Math.random() * maxJitterMs;
    return { value, refreshAtMs };
  }
}

function keyOf({ namespace, serviceAccount, audience, expirationSeconds, pod }: TokenQuestion): string {
  return [namespace, serviceAccount, audience ?? '', expirationSeconds, pod.name, pod.uid].join('\n');
}
