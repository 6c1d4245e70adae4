import type { ApiStatus } from '../core/objects.ts';
import { qualified, type GroupResource } from './api-object.ts';

type Details = NonNullable<ApiStatus['details']>;

/**
 * A request that cannot be answered as asked, with the `metav1.Status` that says so. The constructors below use
 * the API server's own words (k8s.io/apimachinery/pkg/api/errors/errors.go).
 */
export class ApiError extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: Details | undefined;

  constructor(code: number, reason: string, message: string, details?: Details) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  toStatus(): ApiStatus {
    const { code, reason, message, details } = this;
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason !== '' && { reason }),
      ...(details && { details }),
      code,
    };
  }
}

/** One thing that is wrong with a field (k8s.io/apimachinery/pkg/util/validation/field). */
export interface FieldError {
  readonly type:
    | 'FieldValueInvalid'
    | 'FieldValueRequired'
    | 'FieldValueForbidden'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueNotFound'
    | 'FieldValueTooLong';
  readonly field: string;
  readonly message: string;
}

export function fieldInvalid(field: string, value: unknown, detail: string): FieldError {
  return { type: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value) ?? 'null'}: ${detail}` };
}

export function fieldRequired(field: string, detail = ''): FieldError {
  return { type: 'FieldValueRequired', field, message: detail === '' ? 'Required value' : `Required value: ${detail}` };
}

export function fieldForbidden(field: string, detail: string): FieldError {
  return { type: 'FieldValueForbidden', field, message: `Forbidden: ${detail}` };
}

export function fieldTooLong(field: string, mostBytes: number): FieldError {
  return { type: 'FieldValueTooLong', field, message: `Too long: may not be more than ${mostBytes} bytes` };
}

export function fieldDuplicate(field: string, value: string): FieldError {
  return { type: 'FieldValueDuplicate', field, message: `Duplicate value: ${JSON.stringify(value)}` };
}

export function fieldNotFound(field: string, value: string): FieldError {
  return { type: 'FieldValueNotFound', field, message: `Not found: ${JSON.stringify(value)}` };
}

export function fieldNotSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  return {
    type: 'FieldValueNotSupported',
    field,
    message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported.map((v) => JSON.stringify(v)).join(', ')}`,
  };
}

/** A JSON value as Go prints it: `map[spec:map[foo:y]]`. */
export function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (value === null || value === undefined) return '<nil>';
  if (typeof value !== 'object') return typeof value === 'string' ? value : JSON.stringify(value);
  return `map[${Object.keys(value)
    .sort()
    .map((key) => `${key}:${goText((value as Record<string, unknown>)[key])}`)
    .join(' ')}]`;
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function unauthorized(): ApiError {
  return new ApiError(401, 'Unauthorized', 'Unauthorized');
}

export function forbidden(resource: GroupResource, name: string, why: string): ApiError {
  if (resource.resource === '') return new ApiError(403, 'Forbidden', `forbidden: ${why}`, {});
  const subject = name === '' ? qualified(resource) : `${qualified(resource)} ${JSON.stringify(name)}`;
  return new ApiError(403, 'Forbidden', `${subject} is forbidden: ${why}`, detailsOf(resource, name));
}

export function notFound(resource: GroupResource, name: string): ApiError {
  return new ApiError(
    404,
    'NotFound',
    `${qualified(resource)} ${JSON.stringify(name)} not found`,
    detailsOf(resource, name),
  );
}

/** A path below a served API group that names nothing. */
export function noSuchResource(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
}

/** A resource that exists, asked with a method that it does not have. */
export function methodNotAllowed(): ApiError {
  return new ApiError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource', {});
}

/** What the API server speaks. */
const served = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];

export function notAcceptable(): ApiError {
  const streams = ['application/json;stream=watch', 'application/vnd.kubernetes.protobuf;stream=watch'];
  return new ApiError(
    406,
    'NotAcceptable',
    `406: Not Acceptable\n\nAvailable representations: ${[...served, ...streams].join(', ')}`,
    {},
  );
}

/** A media type that is known, asked for as something that it cannot be. */
export function mediaTypesAccepted(): ApiError {
  return new ApiError(406, 'NotAcceptable', `only the following media types are accepted: ${served.join(', ')}`);
}

/** Part of a list or a list of what is one object. */
export function notAcceptableAs(message: string): ApiError {
  return new ApiError(406, 'NotAcceptable', message);
}

export function alreadyExists(resource: GroupResource, name: string): ApiError {
  return new ApiError(
    409,
    'AlreadyExists',
    `${qualified(resource)} ${JSON.stringify(name)} already exists`,
    detailsOf(resource, name),
  );
}

export function conflict(resource: GroupResource, name: string, why: string): ApiError {
  return new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${why}`,
    detailsOf(resource, name),
  );
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function tooLarge(limitBytes: number): ApiError {
  return new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limitBytes}`);
}

export function unsupportedMediaType(accepted: readonly string[]): ApiError {
  return new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
}

/** A patch of a kind that this server does not apply. */
export function unsupportedPatchType(): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
}

/** A 422 about an object of kind `kind`. */
export function invalid(kind: { group: string; kind: string }, name: string, errors: readonly FieldError[]): ApiError {
  // The generic registry and a kind's own strategy may both find the same.
  const all = [...new Set(errors.map((e) => `${e.field}: ${e.message}`))];
  const what = `${kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`} ${JSON.stringify(name)} is invalid`;
  return new ApiError(422, 'Invalid', `${what}: ${all.length === 1 ? all[0] : `[${all.join(', ')}]`}`, {
    ...(name !== '' && { name }),
    ...(kind.group !== '' && { group: kind.group }),
    ...(kind.kind !== '' && { kind: kind.kind }),
    causes: errors.map(({ type, field, message }) => ({ reason: type, message, field })),
  });
}

/** A patch that is well-formed but cannot be applied. */
export function unprocessable(): ApiError {
  return new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {});
}

export function internalError(message: string): ApiError {
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

/** A version that this server has not reached yet. */
export function versionTooLarge(wanted: number, current: number): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${wanted}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

function detailsOf({ group, resource }: GroupResource, name: string): Details {
  return { ...(name !== '' && { name }), ...(group !== '' && { group }), kind: resource };
}
