/**
 * Approves what kubelets may ask for themselves and signs what is approved, as kube-controller-manager does. Follows
 * pkg/controller/certificates/{approver,signer} and pkg/apis/certificates/helpers.go.
 */
import { rfc3339, type Clock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import { ApiError } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import type { JsonObject } from '../json.ts';
import { asSigningRequest, type SigningRequest } from '../kinds/certificates.ts';
import { kindNamed } from '../kinds/table.ts';
import type { Registry } from '../registry.ts';
import type { Authorizer } from './authorizer.ts';
import type { CertificateAuthority, CertificateRequest } from './certificate-authority.ts';
import type { User } from './user.ts';

const requests = kindNamed('CertificateSigningRequest');
const group = 'certificates.k8s.io';
const yearSeconds = 365 * 24 * 3600;
const nodesGroup = 'system:nodes';
const nodePrefix = 'system:node:';
const clientUsages = ['digital signature', 'key encipherment', 'client auth'];

interface Parts {
  readonly registry: Registry;
  readonly authority: CertificateAuthority;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly log: Logger;
}

type Rule = (request: CertificateRequest, usages: readonly string[]) => string | undefined;

/** What each signer refuses to sign, by its name. */
const signers: Readonly<Record<string, Rule>> = {
  'kubernetes.io/kube-apiserver-client': (_request, usages) => {
    if (!usages.every((usage) => clientUsages.includes(usage)))
      return `invalid usages for client certificate: ${usages.join(', ')}`;
    return usages.includes('client auth') ? undefined : 'usages must include "client auth"';
  },
  'kubernetes.io/kube-apiserver-client-kubelet': nodeClientError,
  'kubernetes.io/kubelet-serving': (request, usages) => {
    const { dnsNames, ips, otherNames } = request;
    if (dnsNames.length + ips.length === 0) return 'DNS or IP subjectAltName is required';
    if (otherNames.length > 0) return 'Email and URI subjectAltNames are not allowed';
    return nodeError(request) ?? usageError(usages, 'server auth');
  },
  'kubernetes.io/legacy-unknown': () => undefined,
};

function nodeClientError(request: CertificateRequest, usages: readonly string[]): string | undefined {
  const { dnsNames, ips, otherNames } = request;
  if (dnsNames.length > 0) return 'DNS subjectAltNames are not allowed';
  if (ips.length > 0) return 'IP subjectAltNames are not allowed';
  if (otherNames.length > 0) return 'Email and URI subjectAltNames are not allowed';
  return nodeError(request) ?? usageError(usages, 'client auth');
}

function nodeError({ organizations, commonName }: CertificateRequest): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== nodesGroup) return `subject organization is not ${nodesGroup}`;
  return commonName.startsWith(nodePrefix) ? undefined : `subject common name does not begin with ${nodePrefix}`;
}

function usageError(usages: readonly string[], purpose: string): string | undefined {
  const rest = usages.filter((usage) => usage !== 'key encipherment').sort();
  const right = rest.length === 2 && rest.includes('digital signature') && rest.includes(purpose);
  return right ? undefined : `usages did not match [${purpose} digital signature]`;
}

/** Looks at every signing request and whenever one changes. */
export class CertificateSigner {
  readonly #parts: Parts;
  #stop: (() => void) | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  start(): void {
    const { store } = this.#parts.registry;
    this.#stop = store.subscribe(requests, store.version, ({ type, object }) => {
      if (type !== 'DELETED') this.#consider(object);
    });
    for (const object of store.list(requests)) this.#consider(object);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #consider(object: ApiObject): void {
    const { log } = this.#parts;
    this.#handle(object).catch((error: unknown) => {
      // Changed or gone meanwhile: its next change is looked at too.
      if (error instanceof ApiError && (error.code === 404 || error.code === 409)) return;
      log.warn('certificate signing request not handled', { name: object.metadata.name, err: messageOf(error) });
    });
  }

  async #handle(object: ApiObject): Promise<void> {
    const { spec, status } = asSigningRequest(object);
    const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) === true;
    const rule = signers[spec.signerName];
    if (rule === undefined || status?.certificate || has('Denied') || has('Failed')) return;
    const pem = Buffer.from(spec.request, 'base64').toString();
    const request = await this.#parts.authority.readRequest(pem);
    if (!has('Approved')) {
      const message = this.#approval(spec, request);
      if (message !== undefined)
        this.#write(object, 'approval', {
          conditions: [...(status?.conditions ?? []), this.#condition('Approved', 'AutoApproved', message)],
        });
      return;
    }
    const wrong = rule(request, spec.usages ?? []);
    if (wrong !== undefined) {
      const failed = this.#condition('Failed', 'SignerValidationFailure', wrong);
      this.#write(object, 'status', { conditions: [...(status?.conditions ?? []), failed] });
      return;
    }
    const seconds = Math.min(spec.expirationSeconds ?? yearSeconds, yearSeconds);
    const certificate = await this.#parts.authority.sign(pem, spec.usages ?? [], seconds);
    this.#write(object, 'status', { ...status, certificate: Buffer.from(certificate).toString('base64') });
  }

  /** Why a kubelet's request is approved without anybody's doing; undefined when it is not. */
  #approval(spec: SigningRequest['spec'], request: CertificateRequest): string | undefined {
    if (spec.signerName !== 'kubernetes.io/kube-apiserver-client-kubelet') return undefined;
    if (nodeClientError(request, spec.usages ?? []) !== undefined) return undefined;
    const user: User = {
      name: spec.username ?? '',
      groups: spec.groups ?? [],
      ...(spec.uid !== undefined && { uid: spec.uid }),
    };
    const may = (subresource: string) =>
      this.#parts.authorizer(user, { verb: 'create', group, resource: 'certificatesigningrequests', subresource })
        .allowed;
    if (request.commonName === user.name && may('selfnodeclient'))
      return 'Auto approving self kubelet client certificate after SubjectAccessReview.';
    return may('nodeclient') ? 'Auto approving kubelet client certificate after SubjectAccessReview.' : undefined;
  }

  #condition(type: string, reason: string, message: string) {
    const now = rfc3339(this.#parts.clock.now());
    return { type, status: 'True', reason, message, lastUpdateTime: now, lastTransitionTime: now };
  }

  #write({ metadata }: ApiObject, subresource: 'approval' | 'status', status: object): void {
    if (this.#stop === undefined) return;
    this.#parts.registry.change(requests, undefined, metadata.name, subresource, (current) => ({
      ...current,
      metadata: { ...(current['metadata'] as JsonObject), resourceVersion: metadata.resourceVersion ?? '' },
      status: status as JsonObject,
    }));
  }
}
