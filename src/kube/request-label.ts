import type { Query } from './api.ts';

/** What a finished request counts as in metrics; the words are RBAC's. */
export interface RequestRecord {
  /** The HTTP method. */
  readonly method: string;
  readonly verb: string;
  /** With its subresource: `pods`, `pods/status`. */
  readonly resource: string;
  /** HTTP status, or 0 when there was no answer. */
  readonly status: number;
  readonly durationMs: number;
}

/**
 * RBAC verb and resource of a request, as the API server itself derives them
 * (k8s.io/apiserver/pkg/endpoints/request/requestinfo.go).
 */
export function labelOf(method: string, path: string, query: Query | undefined): { verb: string; resource: string } {
  const parts = path.split('/').filter((part) => part !== '');
  let rest = parts.slice(parts[0] === 'apis' ? 3 : 2);
  if (rest[0] === 'namespaces' && rest.length > 2) rest = rest.slice(2);
  const [resource = 'other', name, ...subresource] = rest;
  return { verb: verbOf(method, name !== undefined, query), resource: [resource, ...subresource].join('/') };
}

function verbOf(method: string, named: boolean, query: Query | undefined): string {
  switch (method) {
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      if (query?.['watch'] !== undefined) return 'watch';
      return named ? 'get' : 'list';
  }
}
