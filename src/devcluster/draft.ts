/** Objects on their way into the store: read, named, checked. */
import {
  ApiError,
  badRequest,
  fieldForbidden,
  fieldInvalid,
  fieldRequired,
  goText,
  invalid,
  type FieldError,
} from './api-error.ts';
import type { ApiObject, DraftObject, ManagedFieldsEntry, ObjectMeta } from './api-object.ts';
import { isJsonObject, type Json, type JsonObject } from './json.ts';
import type { User } from './auth/user.ts';
import { apiVersionOf, schemaTypeOf, type Kind } from './kinds/kind.ts';
import { readManagedFields } from './managed-fields/entries.ts';
import { labelValueError, nameError, qualifiedNameError } from './names.ts';
import { decode } from './schema/decode.ts';

/** What of a write the client may choose. */
export interface WriteOptions {
  /** Do everything but store. */
  readonly dryRun?: boolean;
  /** What becomes of fields that the type does not have; `Warn` when absent. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  /** The patch that a change comes from, as messages show it. */
  readonly patch?: string;
  /** What a strict reading of the body's text has already found wrong. */
  readonly oddities?: readonly string[];
  /** Who writes, as `managedFields` remembers it; absent when the control plane itself does. */
  readonly fieldManager?: string;
  /** Who writes; absent when it is the control plane itself, which nothing is refused. */
  readonly user?: User;
}

const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

/**
 * Reads the body of a write as an object of its kind, with its defaults; warnings are for the client to see. `known`
 * are the managed fields of the object that is written to.
 */
export function readDraft(
  kind: Kind,
  body: JsonObject,
  { fieldValidation = 'Warn', patch, oddities = [] }: WriteOptions,
  known?: readonly ManagedFieldsEntry[],
): { draft: DraftObject; managedFields: ReturnType<typeof readManagedFields>; warnings: string[] } {
  const version = apiVersionOf(kind);
  const { apiVersion, kind: given } = body;
  const fail = (why: string, what = `${kind.kind} in version ${JSON.stringify(kind.version)}`) =>
    patch === undefined
      ? badRequest(`${what} cannot be handled as a ${kind.kind}: ${why}`)
      : invalid({ group: '', kind: '' }, '', [fieldInvalid('patch', patch, why)]);
  const inData = `${goText(given ?? kind.kind)} in version ${JSON.stringify(apiVersion ?? version)}`;
  if (apiVersion !== undefined && apiVersion !== version)
    throw fail(
      `no kind ${JSON.stringify(given ?? kind.kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`,
      inData,
    );
  if (given !== undefined && given !== kind.kind)
    throw fail(
      `converting (v1.${goText(given)}) to (${kind.group || 'core'}.${kind.kind}): unknown conversion`,
      inData,
    );
  // Managed fields are large, and mostly those that are known: they are not read as other fields are.
  const givenMetadata = isJsonObject(body['metadata']) ? body['metadata'] : undefined;
  const { managedFields, ...written } = givenMetadata ?? {};
  let decoded;
  try {
    decoded = decode(schemaTypeOf(kind), givenMetadata === undefined ? body : { ...body, metadata: written });
  } catch (error) {
    throw error instanceof ApiError ? fail(error.message) : error;
  }
  const { value } = decoded;
  const unknownFields = [...oddities, ...decoded.unknownFields];
  if (fieldValidation === 'Strict' && unknownFields.length > 0)
    throw fail(`strict decoding error: ${unknownFields.join(', ')}`);
  const { metadata, ...rest } = value;
  const { selfLink: _selfLink, ...kept } = (metadata ?? {}) as JsonObject;
  const draft = { ...rest, kind: kind.kind, apiVersion: version, metadata: kept } as DraftObject;
  // Empty strings are how Go says that a name is absent.
  for (const field of ['name', 'namespace', 'generateName', 'resourceVersion', 'uid'] as const)
    if (draft.metadata[field] === '') delete draft.metadata[field];
  kind.defaults?.(draft);
  return {
    draft,
    managedFields: readManagedFields(managedFields, known),
    warnings: fieldValidation === 'Warn' ? unknownFields : [],
  };
}

/** The draft with its fields in the order that {@link encodeList} counts on. */
export function finished(kind: Kind, draft: DraftObject | ApiObject): ApiObject {
  const { kind: _kind, apiVersion: _apiVersion, metadata, spec, status, ...rest } = draft;
  return {
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: metadata as ObjectMeta,
    ...(spec !== undefined && { spec }),
    ...rest,
    ...(status !== undefined && { status }),
  };
}

/** An object may name its namespace, which must be that of the request. */
export function checkNamespace(metadata: DraftObject['metadata'], namespace: string | undefined): void {
  if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace !== undefined) metadata.namespace = namespace;
}

/** What the client wrote with what only the server writes. */
export function systemFieldsKept(given: DraftObject['metadata'], previous: ObjectMeta): ObjectMeta {
  const metadata: Record<string, Json> = { ...(given as JsonObject) };
  for (const field of [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'resourceVersion',
  ] as const) {
    const value = previous[field];
    if (value === undefined) delete metadata[field];
    else metadata[field] = value;
  }
  return metadata as unknown as ObjectMeta;
}

/** What is wrong with labels (k8s.io/apimachinery/pkg/apis/meta/v1/validation). */
export function validateLabels(labels: Readonly<Record<string, string>> | undefined, at: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    const wrongKey = qualifiedNameError(key);
    if (wrongKey !== undefined) errors.push(fieldInvalid(at, key, wrongKey));
    const wrongValue = labelValueError(value);
    if (wrongValue !== undefined) errors.push(fieldInvalid(at, value, wrongValue));
  }
  return errors;
}

const mostAnnotationBytes = 256 * 1024;

/** What is wrong with the parts of an object's metadata that its writer chooses, besides its name. */
export function validateMetadata({ labels, annotations, ownerReferences }: Partial<ObjectMeta>): FieldError[] {
  const errors = validateLabels(labels, 'metadata.labels');
  let size = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    const wrong = qualifiedNameError(key.toLowerCase());
    if (wrong !== undefined) errors.push(fieldInvalid('metadata.annotations', key, wrong));
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (size > mostAnnotationBytes)
    errors.push({
      type: 'FieldValueTooLong',
      field: 'metadata.annotations',
      message: `Too long: may not be more than ${mostAnnotationBytes} bytes`,
    });
  const at = 'metadata.ownerReferences';
  for (const { apiVersion, kind, name, uid } of ownerReferences ?? []) {
    if (!apiVersion) errors.push(fieldInvalid(`${at}.apiVersion`, apiVersion ?? '', 'version must not be empty'));
    if (!kind) errors.push(fieldInvalid(`${at}.kind`, kind ?? '', 'must not be empty'));
    if (!name) errors.push(fieldInvalid(`${at}.name`, name ?? '', 'must not be empty'));
    if (!uid) errors.push(fieldInvalid(`${at}.uid`, uid ?? '', 'must not be empty'));
  }
  const [first, second] = (ownerReferences ?? []).filter(({ controller }) => controller === true);
  if (first !== undefined && second !== undefined)
    errors.push(
      fieldInvalid(
        at,
        ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${first.kind}/${first.name} and ${second.kind}/${second.name}`,
      ),
    );
  return errors;
}

/** What is wrong with the beginning of a name, which may end as no whole name may. */
export function validateGenerateName(kind: Kind, prefix: string | undefined): FieldError[] {
  if (prefix === undefined) return [];
  const wrong = nameError(prefix.replace(/-$/, 'a'), kind.names ?? 'subdomain');
  return wrong === undefined ? [] : [fieldInvalid('metadata.generateName', prefix, wrong)];
}

/** What is wrong with a new object's name. */
export function validateName(kind: Kind, name: string | undefined): FieldError[] {
  if (name === undefined) return [fieldRequired('metadata.name', 'name or generateName is required')];
  const wrong = nameError(name, kind.names ?? 'subdomain');
  return wrong === undefined ? [] : [fieldInvalid('metadata.name', name, wrong)];
}

/** A finalizer is Kubernetes' own or names whose it is. */
export function validateFinalizers(finalizers: readonly string[] = []): FieldError[] {
  return finalizers.flatMap((finalizer, i) =>
    finalizer.includes('/') || standardFinalizers.includes(finalizer)
      ? []
      : [
          fieldInvalid(
            `metadata.finalizers[${i}]`,
            finalizer,
            'name is neither a standard finalizer name nor is it fully qualified',
          ),
        ],
  );
}

/** What of an object's identity and finalizers an update tries that it may not. */
export function validateMetadataUpdate(given: DraftObject['metadata'], previous: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  if (given.uid !== undefined && given.uid !== previous.uid)
    errors.push(fieldInvalid('metadata.uid', given.uid, 'field is immutable'));
  errors.push(...validateFinalizers(given.finalizers));
  const added = (given.finalizers ?? []).filter((finalizer) => !previous.finalizers?.includes(finalizer));
  if (previous.deletionTimestamp !== undefined && added.length > 0) {
    const list = added.map((finalizer) => JSON.stringify(finalizer)).join(', ');
    errors.push(
      fieldForbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`,
      ),
    );
  }
  // The generic registry and the kind's strategy check the same.
  return [...errors, ...errors];
}
