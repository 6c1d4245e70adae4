/** Answers in the form that the client asked for: whole objects, their metadata alone, or a Table. */
import type { Clock } from '../../core/clock.ts';
import { notAcceptableAs } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { encodeList, encodeObject } from '../encoding.ts';
import { apiVersionOf, type Kind } from '../kinds/kind.ts';
import type { Form } from './answer.ts';
import { encodePartial, encodePartialList, encodeTable, readIncludeObject } from './table.ts';

/** One object; the same for an event of a watch. */
export function encodeAs(form: Form, kind: Kind, object: ApiObject, query: URLSearchParams, nowMs: number): string {
  switch (form) {
    case 'object':
      return encodeObject(object);
    case 'Table': {
      const { resourceVersion } = object.metadata;
      return encodeTable(
        kind,
        [object],
        resourceVersion === undefined ? {} : { resourceVersion },
        nowMs,
        readIncludeObject(query),
      );
    }
    case 'PartialObjectMetadata':
      return encodePartial(object);
    case 'PartialObjectMetadataList':
      throw notAcceptableAs(
        `you requested ${form}, but the requested object is not a list (*${goPackage(kind)}.${kind.kind})`,
      );
  }
}

/** How the events of one watch are written: the columns of a Table go with the first one only. */
export function eventEncoder(
  form: Form,
  kind: Kind,
  query: URLSearchParams,
  clock: Clock,
): (object: ApiObject) => string {
  if (form !== 'Table') return (object) => encodeAs(form, kind, object, query, clock.now());
  const include = readIncludeObject(query);
  let columns = true;
  return (object) => {
    const { resourceVersion } = object.metadata;
    const text = encodeTable(kind, [object], { resourceVersion }, clock.now(), include, columns);
    columns = false;
    return text;
  };
}

/** A list; `metadata` is its own. */
export function encodeListAs(
  form: Form,
  kind: Kind,
  objects: readonly ApiObject[],
  metadata: object,
  query: URLSearchParams,
  nowMs: number,
): string {
  switch (form) {
    case 'object':
      return encodeList(kind.kind, apiVersionOf(kind), metadata, objects);
    case 'Table':
      return encodeTable(kind, objects, metadata, nowMs, readIncludeObject(query));
    case 'PartialObjectMetadataList':
      return encodePartialList(objects, metadata);
    case 'PartialObjectMetadata':
      throw notAcceptableAs(
        `you requested ${form}, but the requested object is a list (*${goPackage(kind)}.${kind.kind}List)`,
      );
  }
}

/** A bookmark: an object of the kind of which only the version counts. */
export function encodeBookmark(form: Form, kind: Kind, metadata: object): string {
  const bare = { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata };
  if (form === 'object') return JSON.stringify(bare);
  const partial = { ...bare, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' };
  if (form !== 'Table') return JSON.stringify(partial);
  const row = { cells: (kind.columns ?? []).map(() => ''), object: partial };
  return JSON.stringify({
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: null,
    rows: [row],
  });
}

function goPackage({ group }: Kind): string {
  return group === '' ? 'core' : (group.split('.', 1)[0] as string);
}
