import type { V1SubjectAccessReview, V1SubjectAccessReviewSpec, V1TokenReview } from '@kubernetes/client-node';

import type { Clock } from '../core/clock.ts';
import { codeOf } from '../core/errors.ts';
import type { Wire } from '../core/objects.ts';
import type { ApiRequest, KubeApi } from './api.ts';

/** Who a token belongs to. */
export interface ReviewedUser {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export type TokenVerdict =
  | { readonly authenticated: true; readonly user: ReviewedUser; readonly audiences: readonly string[] }
  | { readonly authenticated: false; readonly error?: string };

export interface AccessVerdict {
  readonly allowed: boolean;
  /** An authorizer said no, rather than none having said yes. */
  readonly denied: boolean;
  readonly reason?: string;
}

/** The question of a SubjectAccessReview, as on the wire. */
export type AccessQuestion = Wire<V1SubjectAccessReviewSpec>;

export interface ReviewOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
}

/** `DefaultRetryBackoff` of k8s.io/apiserver/pkg/util/webhook/webhook.go. */
const tries = 5;
const firstDelayMs = 500;
const growth = 1.5;

/**
 * Asks the API server whose token this is. Without `audiences` it must be meant for the API server.
 *
 * @throws when the server cannot say: `Forbidden` when this node may not ask
 */
export async function tokenReview(
  api: KubeApi,
  token: string,
  options: ReviewOptions & { readonly audiences?: readonly string[] },
): Promise<TokenVerdict> {
  const { status } = await review<Wire<V1TokenReview>>(api, options, '/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, ...(options.audiences && { audiences: options.audiences }) },
  });
  if (status?.authenticated !== true) return { authenticated: false, ...(status?.error && { error: status.error }) };
  const { username = '', uid, groups = [], extra = {} } = status.user ?? {};
  return {
    authenticated: true,
    user: { username, groups, extra, ...(uid && { uid }) },
    audiences: status.audiences ?? [],
  };
}

/**
 * Asks the API server whether a user may do something.
 *
 * @throws when the server cannot say
 */
export async function subjectAccessReview(
  api: KubeApi,
  spec: AccessQuestion,
  options: ReviewOptions,
): Promise<AccessVerdict> {
  const { status } = await review<Wire<V1SubjectAccessReview>>(
    api,
    options,
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec,
    },
  );
  return {
    allowed: status?.allowed === true,
    denied: status?.denied === true,
    ...(status?.reason && { reason: status.reason }),
  };
}

/** Somebody waits at the other end of `kubectl exec`, so a server that stumbles is asked again, but not for long. */
async function review<T>(api: KubeApi, { clock, signal }: ReviewOptions, path: string, body: unknown): Promise<T> {
  const request: ApiRequest = { method: 'POST', path, body, signal, urgent: true };
  for (let attempt = 1, delayMs = firstDelayMs; ; attempt++, delayMs *= growth) {
    try {
      return await api.request<T>(request);
    } catch (err) {
      // A server that let us wait once is not asked again: the one who waits has waited enough.
      if (signal?.aborted === true || attempt >= tries || codeOf(err) !== 'Unavailable') throw err;
      await clock.sleep(delayMs * (1 + Math.random() * 0.2), signal);
    }
  }
}
