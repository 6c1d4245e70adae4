/** Who may approve for a signer, and who may sign. Follows plugin/pkg/admission/certificates. */
import { forbidden } from '../api-error.ts';
import type { Authorizer } from '../auth/authorizer.ts';
import { equalJson } from '../json.ts';
import { asSigningRequest } from '../kinds/certificates.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const group = 'certificates.k8s.io';

export function certificateApproval(authorizer: Authorizer): AdmissionPlugin {
  return {
    validate(request) {
      const { kind, user, subresource, object, previous } = request;
      if (kind.kind !== 'CertificateSigningRequest' || user === undefined) return;
      if (request.operation === 'CREATE') return refuseMasters(request);
      if (object === undefined || previous === undefined) return;
      const { signerName } = asSigningRequest(previous).spec;
      const before = asSigningRequest(previous).status;
      const now = asSigningRequest(object).status;
      if (subresource === 'approval') require(request, 'approve', signerName);
      else if (
        subresource === 'status' &&
        (before?.certificate !== now?.certificate || !equalJson(before?.conditions, now?.conditions))
      )
        require(request, 'sign', signerName);
    },
  };

  function require(request: AdmissionRequest, verb: 'approve' | 'sign', signer: string): void {
    const allows = (name: string) =>
      authorizer(request.user as NonNullable<typeof request.user>, { verb, group, resource: 'signers', name }).allowed;
    if (allows(signer) || allows(`${signer.split('/')[0]}/*`)) return;
    throw forbidden(
      request.kind,
      request.name,
      verb === 'approve'
        ? `user not permitted to approve requests with signerName ${JSON.stringify(signer)}`
        : `user not permitted to sign requests with signerName ${JSON.stringify(signer)}`,
    );
  }
}

/** The CertificateSubjectRestriction admission plugin: no certificate puts its holder above RBAC. */
function refuseMasters({ kind, name, object }: AdmissionRequest): void {
  const { spec } = asSigningRequest(object as NonNullable<typeof object>);
  if (spec.signerName !== 'kubernetes.io/kube-apiserver-client') return;
  const der = Buffer.from(
    Buffer.from(spec.request, 'base64')
      .toString()
      .replaceAll(/-----[^-]+-----|\s/g, ''),
    'base64',
  );
  if (der.includes('system:masters'))
    throw forbidden(
      kind,
      name,
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    );
}
