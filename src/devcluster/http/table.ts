/** The server-side Table that kubectl prints. Follows k8s.io/apiserver/pkg/endpoints/handlers/response.go. */
import type { ApiObject } from '../api-object.ts';
import type { Kind } from '../kinds/kind.ts';
import { plainColumns } from '../kinds/table.ts';

/** Writes objects as a `meta.k8s.io/v1` Table. */
export function encodeTable(kind: Kind, objects: readonly ApiObject[], resourceVersion: string, nowMs: number): string {
  const columns = kind.columns ?? plainColumns;
  return JSON.stringify({
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion },
    columnDefinitions: columns.map(({ name, type, format, priority }) => ({
      name,
      type: type ?? 'string',
      format: format ?? '',
      description: '',
      priority: priority ?? 0,
    })),
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, nowMs)),
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata },
    })),
  });
}
