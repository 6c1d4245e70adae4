import type { Clock } from '../../core/clock.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import type { FieldError } from '../api-error.ts';
import type { User } from '../auth/user.ts';
import type { ResourceStore } from '../store.ts';

/**
 * One row of the table of kinds: everything that makes a kind different from plain storage. Whatever a row does not
 * say, the registry does the same for all kinds.
 */
export interface Kind {
  /** The API group, empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Plural name in paths; `singular` and `shortNames` are what kubectl takes for it. */
  readonly resource: string;
  readonly singular: string;
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly namespaced: boolean;

  /** Its type in `schemas.ts`, when that is not the kind's name. */
  readonly schemaType?: string;
  /** Another kind's objects seen in this kind's form: they are stored as that one's. */
  readonly storedAs?: StoredAs;
  /** Created but never stored: a review, answered at once. */
  readonly review?: true;
  /** The kind has a `status` that only its status subresource writes. */
  readonly status?: true;
  /** The kind has a `scale` subresource over `spec.replicas`; `selector` is what its pods are found by. */
  readonly scale?: { selector(object: ApiObject): string };
  /** What becomes of dependents when a delete does not say; `Background` unless said otherwise. */
  readonly defaultPropagation?: 'Orphan';
  /** Changes of the spec are counted in `metadata.generation`. */
  readonly generation?: true;
  /** Updating what does not exist creates it. */
  readonly createOnUpdate?: true;
  /** An update must name the version that it is based on. */
  readonly versionRequired?: true;
  /** A delete answers with the object instead of a Status. */
  readonly returnsDeleted?: true;
  /** How the name is validated; a DNS subdomain unless said otherwise. */
  readonly names?: 'label' | 'path';

  /** Fields for field selectors besides `metadata.name` and `metadata.namespace`; unset is the empty string. */
  readonly selectable?: Readonly<Record<string, (object: ApiObject) => string>>;
  /** Columns of the server-side Table; name and age when absent. */
  readonly columns?: readonly Column[];

  /** Conditions of an object's row in the Table. */
  rowConditions?(object: ApiObject): RowCondition[];

  /** Subresources that are a view on the object itself: what they may write of `next`, the rest is `previous`. */
  readonly views?: Readonly<Record<string, (next: ApiObject, previous: ApiObject, context: WriteContext) => void>>;
  /** Subresources with a verb of their own, for discovery; the handlers are in `http/`. */
  readonly actions?: Readonly<Record<string, Action>>;

  /** Fills in what the type's defaults are; called for every object that comes in. Idempotent. */
  defaults?(draft: DraftObject): void;
  /** What admission and the create strategy add or refuse. */
  prepareCreate?(draft: DraftObject, context: WriteContext): void;
  /** What a write to the main resource may not change silently; `status` and `generation` are already cared for. */
  prepareUpdate?(next: ApiObject, previous: ApiObject, context: WriteContext): void;
  /** What a write to the status subresource keeps of the previous object. */
  prepareStatus?(next: ApiObject, previous: ApiObject, context: WriteContext): void;
  validate?(object: ApiObject): FieldError[];
  /** What is wrong with a new object besides. */
  validateCreate?(object: ApiObject): FieldError[];
  validateUpdate?(next: ApiObject, previous: ApiObject): FieldError[];
  /** What is wrong with a write to one of `views`. */
  validateView?(next: ApiObject, previous: ApiObject, view: string): FieldError[];
  validateStatus?(next: ApiObject, previous: ApiObject): FieldError[];
  /** Texts for the Warning header: what a valid object still may have got wrong. */
  warnings?(object: ApiObject): string[];
  /** Finalizers that the kind keeps outside its metadata. */
  finalizers?(object: ApiObject): readonly string[];
  /** What changes in an object that must wait for its finalizers. */
  prepareTermination?(next: ApiObject): void;
  /** Present for kinds that are deleted gracefully: the grace period to use when `requested` was asked for. */
  gracePeriod?(object: ApiObject, requested: number | undefined): number;
}

/** How one kind's objects are those of another. */
export interface StoredAs {
  readonly kind: Kind;
  fromStored(object: ApiObject): ApiObject;
  toStored(object: ApiObject): ApiObject;
}

/** What a write may look at. */
export interface WriteContext {
  readonly store: ResourceStore;
  readonly clock: Clock;
  /** Who writes; absent when it is the control plane itself. */
  readonly user?: User | undefined;
}

export interface Action {
  /** The kind of the body or of the answer, as discovery names it. */
  readonly kind: string;
  readonly group?: string;
  readonly version?: string;
  readonly verbs: readonly string[];
}

export interface Column {
  readonly name: string;
  readonly type?: 'string' | 'integer' | 'boolean' | 'date';
  readonly format?: 'name';
  /** 1 shows it only with `-o wide`. */
  readonly priority?: 1;
  readonly cell: (object: ApiObject, nowMs: number) => string | number | boolean;
}

/** A row of the table; what is left out is `v1` and the kind in lower case. */
export function row(kind: Omit<Kind, 'version' | 'singular'> & { readonly version?: string }): Kind {
  return { version: 'v1', singular: kind.kind.toLowerCase(), ...kind };
}

/** The kind's type in `schemas.ts`. */
export function schemaTypeOf({ kind, schemaType }: Kind): string {
  return schemaType ?? kind;
}

/** Something that holds of a row of a Table (metav1.TableRowCondition). */
export interface RowCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** `v1`, `apps/v1`. */
export function apiVersionOf({ group, version }: Pick<Kind, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** The value of a selectable field of any kind. */
export function selectableField(kind: Kind, object: ApiObject, field: string): string {
  if (field === 'metadata.name') return object.metadata.name;
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return kind.selectable?.[field]?.(object) ?? '';
}

export function supportsField(kind: Kind, field: string): boolean {
  return (
    field === 'metadata.name' ||
    (kind.namespaced && field === 'metadata.namespace') ||
    Object.hasOwn(kind.selectable ?? {}, field)
  );
}
