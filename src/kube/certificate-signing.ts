import type { V1CertificateSigningRequest } from '@kubernetes/client-node';

import { BackOff } from '../core/back-off.ts';
import type { Clock } from '../core/clock.ts';
import { codeOf, forbidden, timedOut, unavailable } from '../core/errors.ts';
import type { Wire } from '../core/objects.ts';
import { retryAfterOf } from './api-error.ts';
import type { KubeApi } from './api.ts';

type SigningRequest = Wire<V1CertificateSigningRequest>;

/** Signers of node certificates (k8s.io/api/certificates/v1/types.go). */
export const signers = {
  kubeletServing: 'kubernetes.io/kubelet-serving',
  kubeletClient: 'kubernetes.io/kube-apiserver-client-kubelet',
} as const;

export interface CertificateQuestion {
  /** Name of the CSR object, `node-csr-…` or a prefix to be completed by the server. */
  readonly name: { readonly exact: string } | { readonly prefix: string };
  /** PKCS#10, PEM. */
  readonly csrPem: string;
  readonly signerName: string;
  readonly usages: readonly string[];
  readonly expirationSeconds?: number;
}

export interface SigningOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** Default one hour, as the kubelet waits. */
  readonly timeoutMs?: number;
}

const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests';

/**
 * Submits a CSR and waits for its certificate (PEM, perhaps a chain). An earlier request of the same exact name is
 * taken up again, so that a restart does not ask twice. Follows k8s.io/client-go/util/certificate/csr.
 *
 * @throws Forbidden when the request is denied or fails; `Timeout` when nobody approves it in time
 */
export async function requestCertificate(
  api: KubeApi,
  question: CertificateQuestion,
  options: SigningOptions,
): Promise<string> {
  const { clock, signal, timeoutMs = 3_600_000 } = options;
  const name = await submit(api, question, signal);
  const until = clock.now() + timeoutMs;
  const backOff = new BackOff(clock, { maxMs: 10_000 });
  for (;;) {
    let delayMs = backOff.next();
    try {
      const certificate = issued(
        await api.request<SigningRequest>({ method: 'GET', path: `${path}/${name}`, signal }),
        name,
      );
      if (certificate !== undefined) return certificate;
    } catch (err) {
      const code = codeOf(err);
      if (signal?.aborted === true || (code !== 'Unavailable' && code !== 'Timeout')) throw err;
      delayMs = Math.max(delayMs, retryAfterOf(err) ?? 0);
    }
    if (clock.now() + delayMs > until)
      throw timedOut(`certificate signing request ${name} was not approved in time; see kubectl get csr`);
    await clock.sleep(delayMs, signal);
  }
}

async function submit(api: KubeApi, question: CertificateQuestion, signal: AbortSignal | undefined): Promise<string> {
  const { name, csrPem, signerName, usages, expirationSeconds } = question;
  const body = {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: 'exact' in name ? { name: name.exact } : { generateName: name.prefix },
    spec: {
      request: Buffer.from(csrPem).toString('base64'),
      signerName,
      usages,
      ...(expirationSeconds !== undefined && { expirationSeconds }),
    },
  };
  try {
    const created = await api.request<SigningRequest>({ method: 'POST', path, body, signal });
    const given = created.metadata?.name;
    if (given === undefined) throw unavailable('the API server gave a certificate signing request no name');
    return given;
  } catch (err) {
    if (codeOf(err) === 'Conflict' && 'exact' in name) return name.exact;
    throw err;
  }
}

function issued({ status }: SigningRequest, name: string): string | undefined {
  for (const { type, reason, message } of status?.conditions ?? []) {
    if (type === 'Denied' || type === 'Failed') {
      throw forbidden(
        `certificate signing request ${name} was ${type.toLowerCase()}: ${[reason, message].filter(Boolean).join(': ')}`,
      );
    }
  }
  return status?.certificate ? Buffer.from(status.certificate, 'base64').toString('utf8') : undefined;
}
