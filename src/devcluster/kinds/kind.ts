import type { Clock } from '../../core/clock.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import type { FieldError } from '../api-error.ts';
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

  /** Created but never stored: a review, answered at once. */
  readonly review?: true;
  /** The kind has a `status` that only its status subresource writes. */
  readonly status?: true;
  /** Changes of the spec are counted in `metadata.generation`. */
  readonly generation?: true;
  /** Updating what does not exist creates it. */
  readonly createOnUpdate?: true;
  /** An update must name the version that it is based on. */
  readonly versionRequired?: true;
  /** A delete answers with the object instead of a Status. */
  readonly returnsDeleted?: true;
  /** How the name is validated; a DNS subdomain unless said otherwise. */
  readonly names?: 'label';

  /** Fields for field selectors besides `metadata.name` and `metadata.namespace`; unset is the empty string. */
  readonly selectable?: Readonly<Record<string, (object: ApiObject) => string>>;
  /** Columns of the server-side Table; name and age when absent. */
  readonly columns?: readonly Column[];

  /** Subresources that are a view on the object itself: what they may write of `next`, the rest is `previous`. */
  readonly views?: Readonly<Record<string, (next: ApiObject, previous: ApiObject) => void>>;
  /** Subresources with a verb of their own, for discovery; the handlers are in `http/`. */
  readonly actions?: Readonly<Record<string, Action>>;

  /** Fills in what the type's defaults are; called for every object that comes in. Idempotent. */
  defaults?(draft: DraftObject): void;
  /** What admission and the create strategy add or refuse. */
  prepareCreate?(draft: DraftObject, context: CreateContext): void;
  /** What a write to the main resource may not change silently; `status` and `generation` are already cared for. */
  prepareUpdate?(next: ApiObject, previous: ApiObject): void;
  /** What a write to the status subresource keeps of the previous object. */
  prepareStatus?(next: ApiObject, previous: ApiObject): void;
  validate?(object: ApiObject): FieldError[];
  validateUpdate?(next: ApiObject, previous: ApiObject): FieldError[];
  /** What is wrong with a write to one of `views`. */
  validateView?(next: ApiObject, previous: ApiObject): FieldError[];
  validateStatus?(next: ApiObject, previous: ApiObject): FieldError[];
  /** Finalizers that the kind keeps outside its metadata. */
  finalizers?(object: ApiObject): readonly string[];
  /** What changes in an object that must wait for its finalizers. */
  prepareTermination?(next: ApiObject): void;
  /** Present for kinds that are deleted gracefully: the grace period to use when `requested` was asked for. */
  gracePeriod?(object: ApiObject, requested: number | undefined): number;
}

/** What creating an object may look at. */
export interface CreateContext {
  readonly store: ResourceStore;
  readonly clock: Clock;
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
  readonly type?: 'string' | 'integer';
  readonly format?: 'name';
  /** 1 shows it only with `-o wide`. */
  readonly priority?: 1;
  readonly cell: (object: ApiObject, nowMs: number) => string | number;
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
