/** The query parameters that the verbs understand. */
import { badRequest, expired, fieldForbidden, fieldNotSupported, invalid, versionTooLarge } from '../api-error.ts';
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

export function readWriteOptions(query: URLSearchParams): WriteOptions {
  const fieldValidation = query.get('fieldValidation') || 'Warn';
  if (fieldValidation !== 'Strict' && fieldValidation !== 'Warn' && fieldValidation !== 'Ignore') {
    throw invalid({ group: 'meta.k8s.io', kind: 'CreateOptions' }, '', [
      fieldNotSupported('fieldValidation', fieldValidation, ['', 'Ignore', 'Strict', 'Warn']),
    ]);
  }
  return { dryRun: isDryRun(query.getAll('dryRun')), fieldValidation };
}

/** DeleteOptions come in the body, or as query parameters when there is none. */
export function readDeleteOptions(query: URLSearchParams, body: JsonObject | undefined): DeleteOptions {
  if (body === undefined) {
    const grace = query.get('gracePeriodSeconds');
    if (grace !== null && !/^-?\d+$/.test(grace))
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`);
    return { ...(grace !== null && { gracePeriodSeconds: Number(grace) }), dryRun: isDryRun(query.getAll('dryRun')) };
  }
  const { gracePeriodSeconds, preconditions, dryRun } = decode('DeleteOptions', body).value;
  return {
    ...(typeof gracePeriodSeconds === 'number' && { gracePeriodSeconds }),
    ...(isJsonObject(preconditions) && { preconditions: preconditions }),
    dryRun: isDryRun([...query.getAll('dryRun'), ...((dryRun ?? []) as string[])]),
  };
}

function isDryRun(values: readonly string[]): boolean {
  const unknown = values.find((value) => value !== 'All' && value !== '');
  if (unknown !== undefined)
    throw invalid({ group: 'meta.k8s.io', kind: 'CreateOptions' }, '', [fieldNotSupported('dryRun', values, ['All'])]);
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
