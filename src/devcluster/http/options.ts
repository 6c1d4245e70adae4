/** The query parameters that the verbs understand. */
import {
  badRequest,
  expired,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  fieldTooLong,
  invalid,
  versionTooLarge,
  type FieldError,
} from '../api-error.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { supportsField, type Kind } from '../kinds/kind.ts';
import type { WriteOptions } from '../draft.ts';
import type { DeleteOptions, ListOptions } from '../registry.ts';
import { decode } from '../schema/decode.ts';
import { parseFieldSelector, parseLabelSelector } from '../selectors.ts';
import { isTrue } from './request-info.ts';

const listOptions = { group: 'meta.k8s.io', kind: 'ListOptions' };

export function readListOptions(kind: Kind, namespace: string | undefined, query: URLSearchParams): ListOptions {
  return {
    namespace,
    labels: parseLabelSelector(query.get('labelSelector') ?? ''),
    fields: parseFieldSelector(query.get('fieldSelector') ?? '', (field) => supportsField(kind, field)),
  };
}

/** Checks the version that a list asks for. A single process always answers with the newest. */
export function checkListVersion(query: URLSearchParams, current: number): void {
  const wanted = readVersion(query) ?? 0;
  if (wanted > current) throw versionTooLarge(wanted, current);
  if (query.get('resourceVersionMatch') === 'Exact' && wanted < current)
    throw expired('The resourceVersion for the provided list is too old.');
}

export interface WatchOptions {
  /** Changes after this version; absent: the objects that are there, then changes. */
  readonly since: number | undefined;
  readonly bookmarks: boolean;
  /** The objects that are there end with a bookmark that says so. */
  readonly initialEvents: boolean | undefined;
  readonly timeoutMs: number | undefined;
}

export function readWatchOptions(query: URLSearchParams): WatchOptions {
  const version = readVersion(query);
  const initial = query.get('sendInitialEvents');
  if (initial !== null && query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw invalid(listOptions, '', [
      fieldForbidden('resourceVersionMatch', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'),
    ]);
  }
  if (initial === null && query.get('resourceVersionMatch') !== null) {
    throw invalid(listOptions, '', [
      fieldForbidden(
        'resourceVersionMatch',
        'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
      ),
    ]);
  }
  const seconds = Number(query.get('timeoutSeconds') ?? 0);
  return {
    since: version === undefined || version === 0 ? undefined : version,
    bookmarks: isTrue(query.get('allowWatchBookmarks')),
    initialEvents: initial === null ? undefined : isTrue(initial),
    timeoutMs: seconds > 0 ? seconds * 1000 : undefined,
  };
}

/** What a write says about itself besides its body; who it does not name is named after its program. */
export function readWriteOptions(
  verb: 'Create' | 'Update' | 'Patch',
  query: URLSearchParams,
  userAgent: string | undefined,
): WriteOptions & { readonly fieldManager: string } {
  const options = { group: 'meta.k8s.io', kind: `${verb}Options` };
  const manager = query.get('fieldManager') ?? '';
  const errors: FieldError[] = [];
  if (Buffer.byteLength(manager) > longestManagerBytes) errors.push(fieldTooLong('fieldManager', longestManagerBytes));
  if (/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(manager))
    errors.push(fieldInvalid('fieldManager', manager, 'should only contain printable characters'));
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    errors.push(fieldNotSupported('fieldValidation', fieldValidation, ['', 'Ignore', 'Strict', 'Warn']));
    throw invalid(options, '', errors);
  }
  if (errors.length > 0) throw invalid(options, '', errors);
  return {
    dryRun: isDryRun(query.getAll('dryRun'), options.kind),
    fieldValidation,
    fieldManager: manager || programOf(userAgent ?? ''),
  };
}

/** The options of a patch; server-side apply (and only that) may be forced and must name its manager. */
export function readPatchOptions(
  query: URLSearchParams,
  userAgent: string | undefined,
  isApply: boolean,
): ReturnType<typeof readWriteOptions> & { readonly force: boolean } {
  const errors: FieldError[] = [];
  const force = query.get('force');
  if (isApply && !query.get('fieldManager')) errors.push(fieldRequired('fieldManager', 'is required for apply patch'));
  if (!isApply && force !== null && force !== '')
    errors.push(fieldForbidden('force', 'may not be specified for non-apply patch'));
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', errors);
  return { ...readWriteOptions('Patch', query, userAgent), force: isTrue(force) };
}

const longestManagerBytes = 128;

/** `kubectl` of `kubectl/v1.36.3 (linux/amd64)`. */
function programOf(userAgent: string): string {
  const program = (userAgent.split('/', 1)[0] ?? '').replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '');
  return Buffer.from(program).subarray(0, longestManagerBytes).toString();
}

/** DeleteOptions come in the body, or as query parameters when there is none. */
export function readDeleteOptions(query: URLSearchParams, body: JsonObject | undefined): DeleteOptions {
  if (body === undefined) {
    const grace = query.get('gracePeriodSeconds');
    if (grace !== null && !/^-?\d+$/.test(grace))
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`);
    return {
      ...(grace !== null && { gracePeriodSeconds: Number(grace) }),
      ...propagation(query.get('propagationPolicy'), query.get('orphanDependents')),
      dryRun: isDryRun(query.getAll('dryRun')),
    };
  }
  const { gracePeriodSeconds, preconditions, dryRun, propagationPolicy, orphanDependents } = decode(
    'DeleteOptions',
    body,
  ).value;
  return {
    ...(typeof gracePeriodSeconds === 'number' && { gracePeriodSeconds }),
    ...(isJsonObject(preconditions) && { preconditions: preconditions }),
    ...propagation(propagationPolicy, orphanDependents),
    dryRun: isDryRun([...query.getAll('dryRun'), ...((dryRun ?? []) as string[])]),
  };
}

/** Either names what becomes of dependents, the older field by yes or no (ValidateDeleteOptions). */
function propagation(policy: unknown, orphanDependents: unknown): Pick<DeleteOptions, 'propagationPolicy'> {
  const given = policy === null || policy === '' ? undefined : policy;
  const older = orphanDependents === null ? undefined : orphanDependents;
  const options = { group: 'meta.k8s.io', kind: 'DeleteOptions' };
  if (given !== undefined && older !== undefined)
    throw invalid(options, '', [
      fieldInvalid('propagationPolicy', given, 'orphanDependents and deletionPropagation cannot be both set'),
    ]);
  if (given === undefined)
    return older === undefined
      ? {}
      : {
          propagationPolicy: isTrue(typeof older === 'string' ? older : JSON.stringify(older))
            ? 'Orphan'
            : 'Background',
        };
  if (given !== 'Orphan' && given !== 'Background' && given !== 'Foreground')
    throw invalid(options, '', [
      fieldNotSupported('propagationPolicy', given, ['Foreground', 'Background', 'Orphan', 'nil']),
    ]);
  return { propagationPolicy: given };
}

function isDryRun(values: readonly string[], options = 'DeleteOptions'): boolean {
  const unknown = values.find((value) => value !== 'All' && value !== '');
  if (unknown !== undefined)
    throw invalid({ group: 'meta.k8s.io', kind: options }, '', [fieldNotSupported('dryRun', values, ['All'])]);
  return values.includes('All');
}

function readVersion(query: URLSearchParams): number | undefined {
  const text = query.get('resourceVersion');
  if (text === null || text === '') return undefined;
  if (!/^\d+$/.test(text))
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  return Number(text);
}
