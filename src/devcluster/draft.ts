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
import type { ApiObject, DraftObject, ObjectMeta } from './api-object.ts';
import type { Json, JsonObject } from './json.ts';
import { apiVersionOf, type Kind } from './kinds/kind.ts';
import { nameError } from './names.ts';
import { decode } from './schema/decode.ts';

/** What of a write the client may choose. */
export interface WriteOptions {
  /** Do everything but store. */
  readonly dryRun?: boolean;
  /** What becomes of fields that the type does not have; `Warn` when absent. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  /** The patch that a change comes from, as messages show it. */
  readonly patch?: string;
}

const standardFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion'];

/** Reads the body of a write as an object of its kind, with its defaults; warnings are for the client to see. */
export function readDraft(
  kind: Kind,
  body: JsonObject,
  { fieldValidation = 'Warn', patch }: WriteOptions,
): { draft: DraftObject; warnings: string[] } {
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
  let decoded;
  try {
    decoded = decode(kind.kind, body);
  } catch (error) {
    throw error instanceof ApiError ? fail(error.message) : error;
  }
  const { value, unknownFields } = decoded;
  if (fieldValidation === 'Strict' && unknownFields.length > 0)
    throw fail(`strict decoding error: ${unknownFields.join(', ')}`);
  const { metadata, ...rest } = value;
  const { managedFields: _managed, selfLink: _selfLink, ...kept } = (metadata ?? {}) as JsonObject;
  const draft = { ...rest, kind: kind.kind, apiVersion: version, metadata: kept } as DraftObject;
  // Empty strings are how Go says that a name is absent.
  for (const field of ['name', 'namespace', 'generateName', 'resourceVersion', 'uid'] as const)
    if (draft.metadata[field] === '') delete draft.metadata[field];
  kind.defaults?.(draft);
  return { draft, warnings: fieldValidation === 'Warn' ? unknownFields : [] };
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

/** What is wrong with a new object's name. */
export function validateName(kind: Kind, name: string | undefined): FieldError[] {
  if (name === undefined) return [fieldRequired('metadata.name', 'name or generateName is required')];
  const wrong = nameError(name, kind.names ?? 'subdomain');
  return wrong === undefined ? [] : [fieldInvalid('metadata.name', name, wrong)];
}

/** What of an object's identity and finalizers an update tries that it may not. */
export function validateMetadataUpdate(given: DraftObject['metadata'], previous: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  if (given.uid !== undefined && given.uid !== previous.uid)
    errors.push(fieldInvalid('metadata.uid', given.uid, 'field is immutable'));
  for (const [i, finalizer] of (given.finalizers ?? []).entries()) {
    if (finalizer.includes('/') || standardFinalizers.includes(finalizer)) continue;
    errors.push(
      fieldInvalid(
        `metadata.finalizers[${i}]`,
        finalizer,
        'name is neither a standard finalizer name nor is it fully qualified',
      ),
    );
  }
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
