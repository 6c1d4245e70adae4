/** The server-side Table that kubectl prints. Follows k8s.io/apiserver/pkg/endpoints/handlers/response.go. */
import { badRequest } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { encodeObject } from '../encoding.ts';
import type { Kind } from '../kinds/kind.ts';
import { plainColumns } from '../kinds/columns.ts';

/** What of each object a Table's row has. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

export function readIncludeObject(query: URLSearchParams): IncludeObject {
  const given = query.get('includeObject') || 'Metadata';
  if (given === 'None' || given === 'Metadata' || given === 'Object') return given;
  throw badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(given)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** Writes objects as a `meta.k8s.io/v1` Table; `metadata` is the list's. */
export function encodeTable(
  kind: Kind,
  objects: readonly ApiObject[],
  metadata: object,
  nowMs: number,
  include: IncludeObject = 'Metadata',
  withColumns = true,
): string {
  const columns = kind.columns ?? plainColumns;
  const definitions = columns.map(({ name, type, format, priority }) => ({
    name,
    type: type ?? 'string',
    format: format ?? '',
    description: '',
    priority: priority ?? 0,
  }));
  const rows = objects.map((object) => {
    const cells = JSON.stringify(columns.map((column) => column.cell(object, nowMs)));
    const shown = include === 'None' ? 'null' : include === 'Object' ? encodeObject(object) : encodePartial(object);
    const conditions = kind.rowConditions?.(object) ?? [];
    const also = conditions.length === 0 ? '' : `,"conditions":${JSON.stringify(conditions)}`;
    return `{"cells":${cells}${also},"object":${shown}}`;
  });
  return `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":${JSON.stringify(metadata)},"columnDefinitions":${withColumns ? JSON.stringify(definitions) : 'null'},"rows":[${rows.join(',')}]}`;
}

/** An object's metadata alone, as a `PartialObjectMetadata`. */
export function encodePartial({ metadata }: ApiObject): string {
  return JSON.stringify({ kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata });
}

export function encodePartialList(objects: readonly ApiObject[], metadata: object): string {
  const items = objects.length === 0 ? 'null' : `[${objects.map(encodePartial).join(',')}]`;
  return `{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":${JSON.stringify(metadata)},"items":${items}}`;
}
