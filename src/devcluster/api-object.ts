import type { StoredMeta } from '../core/objects.ts';

/** An object of any kind as this API server holds it. What is in the store is never changed in place. */
export interface ApiObject {
  readonly kind: string;
  readonly apiVersion: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export type ObjectMeta = StoredMeta;

/** An object on its way into the store: name, UID and version may still be missing. */
export interface DraftObject {
  kind: string;
  apiVersion: string;
  metadata: Partial<ObjectMeta>;
  [field: string]: unknown;
}

/** A group and the plural name of one of its resources. */
export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}

/** `pods`, `deployments.apps`: how messages name a resource. */
export function qualified({ group, resource }: GroupResource): string {
  return group === '' ? resource : `${resource}.${group}`;
}
