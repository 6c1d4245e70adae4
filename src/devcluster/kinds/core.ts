/** Small kinds of the core group, and leases; follows pkg/apis/core and pkg/registry/core. */
import type { V1Lease, V1Namespace, V1Secret } from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { fieldForbidden, fieldInvalid, fieldRequired, type FieldError } from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { ageColumn, nameAndAge, nameColumn } from './columns.ts';
import { row, type Column, type Kind } from './kind.ts';

const namespace = (o: ApiObject) => o as unknown as Wire<V1Namespace>;
const secret = (o: ApiObject) => o as unknown as Wire<V1Secret>;
const lease = (o: ApiObject) => o as unknown as Wire<V1Lease>;

type Data = Readonly<Record<string, string>> | undefined;
const dataOf = (o: ApiObject | DraftObject, field: 'data' | 'binaryData') => o[field] as Data;
const keysOf = (data: Data) => Object.keys(data ?? {});
const dataColumn: Column = {
  name: 'Data',
  cell: (o) => keysOf(dataOf(o, 'data')).length + keysOf(dataOf(o, 'binaryData')).length,
};

/** As much as one object may hold. */
const mostBytes = 1024 * 1024;

const namespaceKind = row({
  group: '',
  kind: 'Namespace',
  resource: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  status: true,
  returnsDeleted: true,
  names: 'label',
  selectable: { 'status.phase': (o) => namespace(o).status?.phase ?? '' },
  columns: [nameColumn, { name: 'Status', cell: (o) => namespace(o).status?.phase ?? '' }, ageColumn],
  views: {
    finalize(next, previous) {
      next.metadata = previous.metadata;
      next['status'] = previous['status'];
    },
  },
  prepareCreate(draft) {
    draft.metadata.labels = { ...draft.metadata.labels, 'kubernetes.io/metadata.name': draft.metadata.name as string };
    draft['spec'] = { finalizers: ['kubernetes'] };
    draft['status'] = { phase: 'Active' };
  },
  prepareUpdate(next, previous) {
    next['spec'] = previous['spec'];
    const label = 'kubernetes.io/metadata.name';
    if (next.metadata.labels?.[label] !== next.metadata.name)
      next.metadata = { ...next.metadata, labels: { ...next.metadata.labels, [label]: next.metadata.name } };
  },
  finalizers: (object) => namespace(object).spec?.finalizers ?? [],
  prepareTermination(next) {
    next['status'] = { ...(next['status'] as object | undefined), phase: 'Terminating' };
  },
});

function validateKeys(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  for (const field of ['data', 'binaryData'] as const) {
    for (const key of keysOf(dataOf(object, field))) {
      const at = `${field}[${key}]`;
      const wrong =
        key === '.' || key === '..'
          ? `must not be '${key}'`
          : key.startsWith('..')
            ? "must not start with '..'"
            : key.length > 253
              ? 'must be no more than 253 bytes'
              : /^[-._a-zA-Z0-9]+$/.test(key)
                ? undefined
                : "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
      if (wrong !== undefined) errors.push(fieldInvalid(at, key, wrong));
      if (field === 'binaryData' && dataOf(object, 'data')?.[key] !== undefined)
        errors.push(fieldInvalid(`data[${key}]`, key, 'duplicate of key present in binaryData'));
    }
  }
  const size = (data: Data, encoding: 'utf8' | 'base64') =>
    Object.values(data ?? {}).reduce((sum, value) => sum + Buffer.byteLength(value, encoding), 0);
  const plain = object.kind === 'Secret' ? 'base64' : 'utf8';
  if (size(dataOf(object, 'data'), plain) + size(dataOf(object, 'binaryData'), 'base64') > mostBytes)
    errors.push({
      type: 'FieldValueTooLong',
      field: object.kind === 'Secret' ? 'data' : '[]',
      message: `Too long: may not be more than ${mostBytes} bytes`,
    });
  return errors;
}

/** What was declared immutable stays so. */
function validateImmutable(next: ApiObject, previous: ApiObject): FieldError[] {
  if (previous['immutable'] !== true) return [];
  const errors: FieldError[] = [];
  if (next['immutable'] !== true)
    errors.push(fieldForbidden('immutable', 'field is immutable when `immutable` is set'));
  for (const field of ['data', 'binaryData'])
    if (!equalJson(next[field], previous[field]))
      errors.push(fieldForbidden(field, 'field is immutable when `immutable` is set'));
  return errors;
}

const configMapKind = row({
  group: '',
  kind: 'ConfigMap',
  resource: 'configmaps',
  shortNames: ['cm'],
  namespaced: true,
  columns: [nameColumn, dataColumn, ageColumn],
  validate: validateKeys,
  validateUpdate: validateImmutable,
});

const secretKind = row({
  group: '',
  kind: 'Secret',
  resource: 'secrets',
  namespaced: true,
  selectable: { type: (o) => secret(o).type ?? '' },
  columns: [nameColumn, { name: 'Type', cell: (o) => secret(o).type ?? '' }, dataColumn, ageColumn],
  defaults(draft) {
    draft['type'] ??= 'Opaque';
    // stringData is for writing only.
    const plain = draft['stringData'] as Data;
    if (plain === undefined) return;
    const data = Object.fromEntries(
      Object.entries(plain).map(([key, text]) => [key, Buffer.from(text).toString('base64')]),
    );
    draft['data'] = { ...dataOf(draft, 'data'), ...data };
    delete draft['stringData'];
  },
  validate: (object) => [...validateKeys(object), ...validateSecretType(object)],
  warnings(object) {
    const { type, data } = secret(object);
    if (type !== 'kubernetes.io/tls') return [];
    const certificate = Buffer.from(data?.['tls.crt'] ?? '', 'base64').toString();
    return certificate.includes('-----BEGIN') ? [] : ['tls: failed to find any PEM data in certificate input'];
  },
  validateUpdate: (next, previous) => [
    ...(next['type'] === previous['type'] ? [] : [fieldInvalid('type', next['type'], 'field is immutable')]),
    ...validateImmutable(next, previous),
  ],
});

function validateSecretType(object: ApiObject): FieldError[] {
  const { type, data = {} } = secret(object);
  const missing = (keys: readonly string[]) =>
    keys.filter((key) => data[key] === undefined).map((key) => fieldRequired(`data[${key}]`));
  const configuration = (key: string) => {
    if (data[key] === undefined) return [fieldRequired(`data[${key}]`)];
    const text = Buffer.from(data[key], 'base64').toString();
    try {
      JSON.parse(text);
      return [];
    } catch {
      const why =
        text === ''
          ? 'unexpected end of JSON input'
          : `invalid character '${text.trimStart()[0] ?? ' '}' looking for beginning of value`;
      return [fieldInvalid(`data[${key}]`, '<secret contents redacted>', why)];
    }
  };
  switch (type) {
    case 'kubernetes.io/service-account-token': {
      const annotation = 'kubernetes.io/service-account.name';
      return object.metadata.annotations?.[annotation] ? [] : [fieldRequired(`metadata.annotations[${annotation}]`)];
    }
    case 'kubernetes.io/dockercfg':
      return configuration('.dockercfg');
    case 'kubernetes.io/dockerconfigjson':
      return configuration('.dockerconfigjson');
    case 'kubernetes.io/basic-auth':
      return data['username'] === undefined && data['password'] === undefined ? missing(['username', 'password']) : [];
    case 'kubernetes.io/ssh-auth':
      return missing(['ssh-privatekey']);
    case 'kubernetes.io/tls':
      return missing(['tls.crt', 'tls.key']);
    default:
      return [];
  }
}

const serviceAccountKind = row({
  group: '',
  kind: 'ServiceAccount',
  resource: 'serviceaccounts',
  shortNames: ['sa'],
  namespaced: true,
  returnsDeleted: true,
  columns: nameAndAge,
  actions: { token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] } },
});

const leaseKind = row({
  group: 'coordination.k8s.io',
  kind: 'Lease',
  resource: 'leases',
  namespaced: true,
  createOnUpdate: true,
  versionRequired: true,
  columns: [nameColumn, { name: 'Holder', cell: (o) => lease(o).spec?.holderIdentity ?? '' }, ageColumn],
  validate(object) {
    const { leaseDurationSeconds, leaseTransitions } = lease(object).spec ?? {};
    const errors: FieldError[] = [];
    if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
      errors.push(fieldInvalid('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'));
    if (leaseTransitions !== undefined && leaseTransitions < 0)
      errors.push(fieldInvalid('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0'));
    return errors;
  },
});

export const coreKinds: readonly Kind[] = [namespaceKind, configMapKind, secretKind, serviceAccountKind, leaseKind];
