import { randomUUID } from 'node:crypto';

import { rfc3339, type Clock } from '../core/clock.ts';
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  fieldInvalid,
  forbidden,
  goText,
  invalid,
  notFound,
  type FieldError,
} from './api-error.ts';
import { qualified, type ApiObject, type ObjectMeta } from './api-object.ts';
import {
  checkNamespace,
  finished,
  readDraft,
  systemFieldsKept,
  validateMetadataUpdate,
  validateName,
  type WriteOptions,
} from './draft.ts';
import { equalJson, isJsonObject, type JsonObject } from './json.ts';
import { selectableField, type Kind } from './kinds/kind.ts';
import { randomSuffix } from './names.ts';
import { selects, type Requirement } from './selectors.ts';
import type { ResourceStore } from './store.ts';

export interface Written {
  readonly object: ApiObject;
  readonly created: boolean;
  /** Texts for the Warning header. */
  readonly warnings: readonly string[];
}

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: boolean;
}

/** Which objects a list is about; `fields` are checked against the kind where they are read. */
export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly labels?: readonly Requirement[];
  readonly fields?: readonly Requirement[];
}

const modified = 'the object has been modified; please apply your changes to the latest version and try again';
const immortalNamespaces = ['default', 'kube-system', 'kube-public'];

/**
 * The verbs, the same for all kinds; what differs is in the kinds' rows. Every method is synchronous: between
 * reading an object and storing the next one nothing else happens. Follows the generic registry of
 * k8s.io/apiserver (pkg/registry/generic/registry/store.go, pkg/registry/rest).
 */
export class Registry {
  readonly store: ResourceStore;
  readonly #clock: Clock;

  constructor(store: ResourceStore, clock: Clock) {
    this.store = store;
    this.#clock = clock;
  }

  get(kind: Kind, namespace: string | undefined, name: string): ApiObject {
    const object = this.store.get(kind, namespace, name);
    if (object === undefined) throw notFound(kind, name);
    return object;
  }

  list(kind: Kind, { namespace, labels = [], fields = [] }: ListOptions = {}): ApiObject[] {
    const all = this.store.list(kind, namespace);
    if (labels.length === 0 && fields.length === 0) return all;
    return all.filter((object) =>
      selects({ namespace, labels, fields, fieldOf: (o, field) => selectableField(kind, o, field) }, object),
    );
  }

  create(kind: Kind, namespace: string | undefined, body: JsonObject, options: WriteOptions = {}): Written {
    const { draft, warnings } = readDraft(kind, body, options);
    const { metadata } = draft;
    checkNamespace(metadata, namespace);
    if (metadata.resourceVersion !== undefined)
      throw new ApiError(500, '', 'resourceVersion should not be set on objects to be created');
    if (metadata.name === undefined && metadata.generateName !== undefined)
      metadata.name = this.#generatedName(kind, namespace, metadata.generateName);
    if (namespace !== undefined) this.#checkNamespaceAccepts(kind, namespace, metadata.name ?? '');

    draft.metadata = {
      ...metadata,
      ...(namespace !== undefined && { namespace }),
      uid: randomUUID(),
      creationTimestamp: rfc3339(this.#clock.now()),
      ...(kind.generation && { generation: 1 }),
    };
    delete draft.metadata.deletionTimestamp;
    delete draft.metadata.deletionGracePeriodSeconds;
    kind.prepareCreate?.(draft, { store: this.store, clock: this.#clock });
    const object = finished(kind, draft);
    const { name } = object.metadata;
    const errors = [...validateName(kind, name), ...(kind.validate?.(object) ?? [])];
    if (errors.length > 0) throw invalid(kind, name ?? '', errors);
    if (this.store.get(kind, namespace, name) !== undefined) throw alreadyExists(kind, name);
    return { object: options.dryRun === true ? object : this.store.put(kind, object), created: true, warnings };
  }

  /** PUT: `body` is the whole object. */
  update(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    subresource: string | undefined,
    body: JsonObject,
    options: WriteOptions = {},
  ): Written {
    const { metadata } = body;
    const given = isJsonObject(metadata) ? metadata : {};
    if (given['name'] !== name) {
      throw badRequest(
        given['name']
          ? `the name of the object (${goText(given['name'])}) does not match the name on the URL (${name})`
          : 'metadata.name: Required value: name must be provided',
      );
    }
    const current = this.store.get(kind, namespace, name);
    if (current === undefined && kind.createOnUpdate && subresource === undefined)
      return this.create(kind, namespace, body, options);
    const { uid } = given;
    if (current !== undefined && typeof uid === 'string' && uid !== '' && uid !== current.metadata.uid) {
      throw conflict(
        kind,
        name,
        `StorageError: invalid object, Code: 4, Key: /registry/${kind.resource}/${namespace === undefined ? '' : `${namespace}/`}${name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
      );
    }
    return this.change(kind, namespace, name, subresource, () => body, options);
  }

  /** Replaces an object by what `make` returns for it: the way of updates and patches. */
  change(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    subresource: string | undefined,
    make: (current: JsonObject) => JsonObject,
    options: WriteOptions = {},
  ): Written {
    const previous = this.get(kind, namespace, name);
    const { draft, warnings } = readDraft(kind, make(previous as unknown as JsonObject), options);
    checkNamespace(draft.metadata, namespace);
    if (draft.metadata.name !== name)
      throw badRequest(
        `the name of the object (${draft.metadata.name ?? ''}) does not match the name on the URL (${name})`,
      );
    checkVersion(kind, draft.metadata.resourceVersion, previous);

    let next = finished(kind, { ...draft, metadata: systemFieldsKept(draft.metadata, previous.metadata) });
    const errors: FieldError[] = validateMetadataUpdate(draft.metadata, previous.metadata);
    if (subresource === 'status' && kind.status) {
      const { metadata } = next;
      const status = next['status'];
      next = { ...previous, metadata };
      if (status === undefined) delete next['status'];
      else next['status'] = status;
      kind.prepareStatus?.(next, previous);
      errors.push(...(kind.validateStatus?.(next, previous) ?? []));
    } else {
      const view = subresource === undefined ? undefined : kind.views?.[subresource];
      if (view !== undefined) view(next, previous);
      else {
        if (kind.status && previous['status'] !== undefined) next['status'] = previous['status'];
        else if (kind.status) delete next['status'];
        kind.prepareUpdate?.(next, previous);
      }
      errors.push(
        ...(kind.validate?.(next) ?? []),
        ...((view === undefined ? kind.validateUpdate?.(next, previous) : kind.validateView?.(next, previous)) ?? []),
      );
      if (kind.generation && !equalJson(next['spec'], previous['spec']))
        next.metadata = { ...next.metadata, generation: (previous.metadata.generation ?? 0) + 1 };
    }
    if (errors.length > 0) throw invalid(kind, name, errors);
    // A write that changes nothing has no version of its own and no watch event.
    if (options.dryRun === true) return { object: next, created: false, warnings };
    if (equalJson(next, previous)) return { object: previous, created: false, warnings };
    return {
      object: this.#isReleased(kind, next, previous) ? this.store.remove(kind, next) : this.store.put(kind, next),
      created: false,
      warnings,
    };
  }

  /**
   * Returns what the object was when it went, or what it is now when it has to wait for its grace period or its
   * finalizers. Follows pkg/registry/rest/delete.go.
   */
  delete(kind: Kind, namespace: string | undefined, name: string, options: DeleteOptions = {}): ApiObject {
    let object = this.get(kind, namespace, name);
    checkPreconditions(kind, object, options);
    if (kind.kind === 'Namespace' && immortalNamespaces.includes(name))
      throw forbidden(kind, name, 'this namespace may not be deleted');
    const requested =
      options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0 ? 1 : options.gracePeriodSeconds;

    if (kind.gracePeriod !== undefined) {
      const graceful = this.#beginGracefulDeletion(kind, object, requested);
      if (graceful === 'pending') return object;
      object = graceful === object || options.dryRun === true ? graceful : this.store.put(kind, graceful);
      if ((object.metadata.deletionGracePeriodSeconds ?? 0) > 0) return object;
    }
    if (pendingFinalizers(kind, object).length > 0) {
      if (object.metadata.deletionTimestamp !== undefined) return object;
      const { generation } = object.metadata;
      const next = finished(kind, {
        ...object,
        metadata: {
          ...object.metadata,
          deletionTimestamp: this.#now(),
          ...(kind.finalizers === undefined && { deletionGracePeriodSeconds: 0 }),
          ...(generation !== undefined && { generation: generation + 1 }),
        },
      });
      kind.prepareTermination?.(next);
      return options.dryRun === true ? next : this.store.put(kind, next);
    }
    return options.dryRun === true ? object : this.store.remove(kind, object);
  }

  /** Returns the objects as they were before. */
  deleteCollection(kind: Kind, list: ListOptions, options: DeleteOptions = {}): ApiObject[] {
    const objects = this.list(kind, list);
    for (const { metadata } of objects) this.delete(kind, metadata.namespace, metadata.name, options);
    return objects;
  }

  /** The object as it is after this delete request, or that one is under way which this request does not shorten. */
  #beginGracefulDeletion(kind: Kind, object: ApiObject, requested: number | undefined): ApiObject | 'pending' {
    const { metadata } = object;
    const before = metadata.deletionGracePeriodSeconds;
    if (metadata.deletionTimestamp === undefined) {
      const period = kind.gracePeriod?.(object, requested) ?? 0;
      return this.#markDeleted(kind, object, this.#clock.now() + period * 1000, period, true);
    }
    if (before === undefined || before === 0) return object;
    if (requested === undefined || requested >= before) return 'pending';
    // Only a shorter period may follow; it counts from the first request, and never ends in the past.
    const end = Date.parse(metadata.deletionTimestamp) - before * 1000 + requested * 1000;
    const late = end < this.#clock.now();
    return this.#markDeleted(
      kind,
      object,
      late ? this.#clock.now() : end,
      late && requested !== 0 ? 1 : requested,
      false,
    );
  }

  #markDeleted(kind: Kind, object: ApiObject, atMs: number, period: number, first: boolean): ApiObject {
    const { generation } = object.metadata;
    const metadata: ObjectMeta = {
      ...object.metadata,
      deletionTimestamp: rfc3339(atMs),
      deletionGracePeriodSeconds: period,
      ...(first && generation !== undefined && { generation: generation + 1 }),
    };
    return finished(kind, { ...object, metadata });
  }

  /** True when an update has emptied the finalizers of an object whose deletion waited for nothing else. */
  #isReleased(kind: Kind, next: ApiObject, previous: ApiObject): boolean {
    return (
      pendingFinalizers(kind, next).length === 0 &&
      previous.metadata.deletionTimestamp !== undefined &&
      (previous.metadata.deletionGracePeriodSeconds ?? 0) === 0
    );
  }

  #checkNamespaceAccepts(kind: Kind, namespace: string, name: string): void {
    const home = this.store.get({ group: '', resource: 'namespaces' }, undefined, namespace);
    if (home === undefined) throw notFound({ group: '', resource: 'namespaces' }, namespace);
    if (home.metadata.deletionTimestamp === undefined) return;
    const refusal = forbidden(
      kind,
      name,
      `unable to create new content in namespace ${namespace} because it is being terminated`,
    );
    throw new ApiError(refusal.code, refusal.reason, refusal.message, {
      ...refusal.details,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    });
  }

  #generatedName(kind: Kind, namespace: string | undefined, prefix: string): string {
    for (let attempt = 0; attempt < 8; attempt++) {
      const name = `${prefix.slice(0, 58)}${randomSuffix()}`;
      if (this.store.get(kind, namespace, name) === undefined) return name;
    }
    throw new ApiError(
      409,
      'AlreadyExists',
      `${qualified(kind)} ${JSON.stringify(prefix)} already exists, the server was not able to generate a unique name for the object`,
    );
  }

  #now(): string {
    return rfc3339(this.#clock.now());
  }
}

function checkVersion(kind: Kind, given: string | undefined, previous: ApiObject): void {
  const { name, resourceVersion } = previous.metadata;
  if (given === undefined && kind.versionRequired) {
    throw invalid({ group: kind.group, kind: kind.resource }, name, [
      fieldInvalid('metadata.resourceVersion', 0, 'must be specified for an update'),
    ]);
  }
  if (given !== undefined && given !== resourceVersion) throw conflict(kind, name, modified);
}

function checkPreconditions(kind: Kind, { metadata }: ApiObject, { preconditions }: DeleteOptions): void {
  const what = { group: kind.group, resource: kind.kind };
  if (preconditions?.uid !== undefined && preconditions.uid !== metadata.uid) {
    throw conflict(
      what,
      metadata.name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== metadata.resourceVersion) {
    throw conflict(
      what,
      metadata.name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${String(metadata.resourceVersion)}). The object might have been modified`,
    );
  }
}

function pendingFinalizers(kind: Kind, object: ApiObject): readonly string[] {
  return [...(object.metadata.finalizers ?? []), ...(kind.finalizers?.(object) ?? [])];
}
