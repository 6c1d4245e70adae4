import type { StoredMeta } from '../core/objects.ts';
import type { FieldSet } from './managed-fields/field-set.ts';

/** An object of any kind as this API server holds it. What is in the store is never changed in place. */
export interface ApiObject {
  readonly kind: string;
  readonly apiVersion: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}

export type ObjectMeta = Omit<StoredMeta, 'managedFields'> & { managedFields?: ManagedFieldsEntry[] };

/** Which fields of an object somebody has set in one way. */
export interface ManagedFieldsEntry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldSet;
  readonly subresource?: string;
}

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
