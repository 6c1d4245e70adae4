/** Certificate signing requests; follows pkg/apis/certificates and pkg/registry/certificates. */
import type { V1CertificateSigningRequest } from '@kubernetes/client-node';

import { rfc3339 } from '../../core/clock.ts';
import type { Wire } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldNotSupported, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { ageColumn, nameColumn } from './columns.ts';
import { humanDuration } from './human-duration.ts';
import { row, type Kind } from './kind.ts';

export type SigningRequest = Wire<V1CertificateSigningRequest>;
type Condition = NonNullable<NonNullable<SigningRequest['status']>['conditions']>[number];

/** The request behind an object of this kind. */
export function asSigningRequest(object: ApiObject | DraftObject): SigningRequest {
  return object as unknown as SigningRequest;
}

const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
];
/** Once there, these two stay and exclude each other. */
const verdicts = ['Approved', 'Denied'];
const shortestSeconds = 600;

/** `Approved,Issued`, as kubectl shows it. */
function stateOf({ status }: SigningRequest): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) === true;
  const verdict = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  return `${verdict}${has('Failed') ? ',Failed' : ''}${status?.certificate ? ',Issued' : ''}`;
}

const conditionsOf = (object: ApiObject): Condition[] => asSigningRequest(object).status?.conditions ?? [];

/** Conditions get the times that their writer left out. */
function stampConditions(next: ApiObject, previous: ApiObject, now: number): void {
  for (const condition of conditionsOf(next)) {
    const before = conditionsOf(previous).find(({ type }) => type === condition.type);
    condition.lastUpdateTime ??= rfc3339(now);
    condition.lastTransitionTime ??=
      before?.status === condition.status ? (before.lastTransitionTime as string) : rfc3339(now);
  }
}

function validateConditions(next: ApiObject, previous: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, { type, status }] of conditionsOf(next).entries()) {
    const at = `status.conditions[${i}]`;
    if (!type) errors.push(fieldRequired(`${at}.type`));
    else if (seen.has(type))
      errors.push({
        type: 'FieldValueDuplicate',
        field: `${at}.type`,
        message: `Duplicate value: ${JSON.stringify(type)}`,
      });
    seen.add(type);
    if (!status) errors.push(fieldRequired(`${at}.status`));
    else if (['Approved', 'Denied', 'Failed'].includes(type) && status !== 'True')
      errors.push(fieldNotSupported(`${at}.status`, status, ['True']));
  }
  if (seen.has('Approved') && seen.has('Denied'))
    errors.push(
      fieldInvalid(
        'status.conditions',
        conditionsOf(next).at(-1)?.type,
        'Approved and Denied conditions are mutually exclusive',
      ),
    );
  for (const type of [...verdicts, 'Failed'])
    if (conditionsOf(previous).some((c) => c.type === type) && !seen.has(type))
      errors.push(
        fieldForbidden('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`),
      );
  return errors;
}

const certificateSigningRequestKind = row({
  group: 'certificates.k8s.io',
  kind: 'CertificateSigningRequest',
  resource: 'certificatesigningrequests',
  shortNames: ['csr'],
  namespaced: false,
  status: true,
  names: 'path',
  selectable: { 'spec.signerName': (o) => asSigningRequest(o).spec.signerName },
  columns: [
    nameColumn,
    ageColumn,
    { name: 'SignerName', cell: (o) => asSigningRequest(o).spec.signerName || '<none>' },
    { name: 'Requestor', cell: (o) => asSigningRequest(o).spec.username ?? '' },
    {
      name: 'RequestedDuration',
      cell: (o) => {
        const seconds = asSigningRequest(o).spec.expirationSeconds;
        return seconds === undefined ? '<none>' : humanDuration(seconds * 1000);
      },
    },
    { name: 'Condition', cell: (o) => stateOf(asSigningRequest(o)) },
  ],
  views: {
    /** What signers do not write: the verdict. */
    approval(next, previous, { clock }) {
      const conditions = conditionsOf(next);
      next.metadata = previous.metadata;
      next['spec'] = previous['spec'];
      next['status'] = { ...(previous['status'] as object | undefined), conditions };
      if (conditions.length === 0) delete (next['status'] as { conditions?: unknown }).conditions;
      stampConditions(next, previous, clock.now());
    },
  },
  prepareCreate(draft, { user }) {
    const { spec } = asSigningRequest(draft);
    // Who asks is what the server knows, not what the asker says.
    for (const field of ['username', 'uid', 'groups', 'extra'] as const) delete spec[field];
    if (user !== undefined) {
      spec.username = user.name;
      if (user.uid !== undefined) spec.uid = user.uid;
      spec.groups = [...user.groups];
      if (user.extra !== undefined)
        spec.extra = Object.fromEntries(Object.entries(user.extra).map(([key, values]) => [key, [...values]]));
    }
    draft['status'] = {};
  },
  prepareUpdate(next, previous) {
    next['spec'] = previous['spec'];
  },
  prepareStatus(next, previous, { clock }) {
    const kept = conditionsOf(previous).filter(({ type }) => verdicts.includes(type));
    const written = conditionsOf(next).filter(({ type }) => !verdicts.includes(type));
    const status = { ...(next['status'] as object | undefined), conditions: [...kept, ...written] };
    next['status'] = status;
    if (status.conditions.length === 0) delete (status as { conditions?: unknown }).conditions;
    stampConditions(next, previous, clock.now());
  },
  validate(object) {
    const { spec } = asSigningRequest(object);
    const errors: FieldError[] = [];
    if ((spec.usages ?? []).length === 0) errors.push(fieldRequired('spec.usages'));
    for (const [i, usage] of (spec.usages ?? []).entries()) {
      if (!usages.includes(usage)) errors.push(fieldNotSupported(`spec.usages[${i}]`, usage, usages));
    }
    const pem = Buffer.from(spec.request ?? '', 'base64').toString();
    if (!/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem))
      errors.push(fieldInvalid('spec.request', spec.request ?? '', 'PEM block type must be CERTIFICATE REQUEST'));
    if (!spec.signerName) errors.push(fieldRequired('spec.signerName'));
    else if (!/^[^/]+\.[^/]+\/.+$/.test(spec.signerName))
      errors.push(
        fieldInvalid(
          'spec.signerName',
          spec.signerName,
          'must be a fully qualified domain and path of the form "example.com/signer-name"',
        ),
      );
    if (spec.expirationSeconds !== undefined && spec.expirationSeconds < shortestSeconds)
      errors.push(
        fieldInvalid(
          'spec.expirationSeconds',
          spec.expirationSeconds,
          'may not specify a duration less than 600 seconds (10 minutes)',
        ),
      );
    return errors;
  },
  validateView: validateConditions,
  validateStatus(next, previous) {
    const errors = validateConditions(next, previous);
    const certificate = asSigningRequest(next).status?.certificate;
    const before = asSigningRequest(previous).status?.certificate;
    if (before && !equalJson(certificate, before))
      errors.push(fieldInvalid('status.certificate', '<certificate data>', 'field is immutable once set'));
    else if (certificate && !Buffer.from(certificate, 'base64').toString().includes('-----BEGIN CERTIFICATE-----'))
      errors.push(
        fieldInvalid('status.certificate', '<certificate data>', 'must contain at least one CERTIFICATE PEM block'),
      );
    return errors;
  },
});

export const certificateKinds: readonly Kind[] = [certificateSigningRequestKind];
