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
import type { AdmissionPlugin, AdmissionRequest } from './admission/admission.ts';
import { qualified, type ApiObject, type ObjectMeta } from './api-object.ts';
import type { User } from './auth/user.ts';
import {
  checkNamespace,
  finished,
  readDraft,
  systemFieldsKept,
  validateFinalizers,
  validateGenerateName,
  validateMetadata,
  validateMetadataUpdate,
  validateName,
  type WriteOptions,
} from './draft.ts';
import { equalJson, isJsonObject, sharing, type JsonObject } from './json.ts';
import { selectableField, type Kind, type WriteContext } from './kinds/kind.ts';
import { FieldManager, type Owners } from './managed-fields/field-manager.ts';
import { sameButForTimes } from './managed-fields/entries.ts';
import { randomSuffix } from './names.ts';
import { selects, type Requirement } from './selectors.ts';
import type { ChangeListener, ResourceStore } from './store.ts';

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
  /** What becomes of the object's dependents; the kind's own way when absent. */
  readonly propagationPolicy?: PropagationPolicy;
  /** Who deletes; absent when it is the control plane itself. */
  readonly user?: User;
}

export type PropagationPolicy = 'Orphan' | 'Background' | 'Foreground';

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
  readonly #fields: FieldManager;
  readonly #admission: readonly AdmissionPlugin[];

  constructor(store: ResourceStore, clock: Clock, admission: readonly AdmissionPlugin[] = []) {
    this.store = store;
    this.#clock = clock;
    this.#fields = new FieldManager(clock);
    this.#admission = admission;
  }

  get(kind: Kind, namespace: string | undefined, name: string): ApiObject {
    const object = this.#find(kind, namespace, name);
    if (object === undefined) throw notFound(kind, name);
    return object;
  }

  list(kind: Kind, { namespace, labels = [], fields = [] }: ListOptions = {}): ApiObject[] {
    const stored = this.store.list(kind.storedAs?.kind ?? kind, namespace);
    const all = kind.storedAs === undefined ? stored : stored.map((object) => viewed(kind, object));
    if (labels.length === 0 && fields.length === 0) return all;
    return all.filter((object) =>
      selects({ namespace, labels, fields, fieldOf: (o, field) => selectableField(kind, o, field) }, object),
    );
  }

  /** `owners` are who manages its fields when that is settled already. */
  /** As the store does, with the objects in the form of this kind. */
  subscribe(kind: Kind, since: number, listener: ChangeListener): () => void {
    const { storedAs } = kind;
    if (storedAs === undefined) return this.store.subscribe(kind, since, listener);
    return this.store.subscribe(storedAs.kind, since, ({ object, previous, ...change }) =>
      listener({ ...change, object: viewed(kind, object), previous: previous && viewed(kind, previous) }),
    );
  }

  create(
    kind: Kind,
    namespace: string | undefined,
    body: JsonObject,
    options: WriteOptions = {},
    owners?: Owners,
  ): Written {
    const { draft, managedFields, warnings } = readDraft(kind, body, options);
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
    const managers = owners ?? this.#fields.afterCreate(kind, draft, managedFields, options.fieldManager);
    if (managers.length > 0) draft.metadata.managedFields = managers;
    const admission = this.#admissionOf('CREATE', kind, undefined, draft, undefined, options);
    for (const plugin of this.#admission) plugin.admit?.(admission);
    kind.prepareCreate?.(draft, this.#context(options));
    const object = finished(kind, draft);
    const { name } = object.metadata;
    const errors = [
      ...validateGenerateName(kind, object.metadata.generateName),
      ...validateName(kind, name),
      ...validateMetadata(object.metadata),
      ...validateFinalizers(object.metadata.finalizers),
      ...(kind.validate?.(object) ?? []),
      ...(kind.validateCreate?.(object) ?? []),
    ];
    if (errors.length > 0) throw invalid(kind.storedAs?.kind ?? kind, name ?? '', errors);
    for (const plugin of this.#admission) plugin.validate?.({ ...admission, object });
    if (this.#find(kind, namespace, name) !== undefined) throw alreadyExists(kind, name);
    return {
      object: options.dryRun === true ? object : this.#put(kind, object),
      created: true,
      warnings: allWarnings(kind, object, warnings),
    };
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
          : `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
      );
    }
    const current = this.#find(kind, namespace, name);
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
    owners?: Owners,
  ): Written {
    const previous = this.get(kind, namespace, name);
    const { draft, managedFields, warnings } = readDraft(
      kind,
      make(previous as unknown as JsonObject),
      options,
      previous.metadata.managedFields,
    );
    checkNamespace(draft.metadata, namespace);
    if (draft.metadata.name !== name)
      throw badRequest(
        `the name of the object (${draft.metadata.name ?? ''}) does not match the name on the URL (${name})`,
      );
    checkVersion(kind, draft.metadata.resourceVersion, previous);
    const managers =
      owners ?? this.#fields.afterUpdate(kind, subresource, previous, draft, managedFields, options.fieldManager);

    let next = finished(kind, { ...draft, metadata: systemFieldsKept(draft.metadata, previous.metadata) });
    const admission = this.#admissionOf('UPDATE', kind, subresource, next, previous, options);
    for (const plugin of this.#admission) plugin.admit?.(admission);
    const context = this.#context(options);
    const errors: FieldError[] = [
      ...validateMetadataUpdate(draft.metadata, previous.metadata),
      ...validateMetadata(next.metadata),
    ];
    if (subresource === 'status' && kind.status) {
      const { metadata } = next;
      const status = next['status'];
      next = { ...previous, metadata };
      if (status === undefined) delete next['status'];
      else next['status'] = status;
      kind.prepareStatus?.(next, previous, context);
      errors.push(...(kind.validateStatus?.(next, previous) ?? []));
    } else {
      const view = subresource === undefined ? undefined : kind.views?.[subresource];
      if (view !== undefined) view(next, previous, context);
      else {
        if (kind.status && previous['status'] !== undefined) next['status'] = previous['status'];
        else if (kind.status) delete next['status'];
        kind.prepareUpdate?.(next, previous, context);
      }
      errors.push(
        ...(kind.validate?.(next) ?? []),
        ...((view === undefined
          ? kind.validateUpdate?.(next, previous)
          : kind.validateView?.(next, previous, subresource as string)) ?? []),
      );
      if (kind.generation && !equalJson(next['spec'], previous['spec']))
        next.metadata = { ...next.metadata, generation: (previous.metadata.generation ?? 0) + 1 };
    }
    if (errors.length > 0) throw invalid(kind.storedAs?.kind ?? kind, name, errors);
    for (const plugin of this.#admission) plugin.validate?.({ ...admission, object: next });
    next = withManagers(next, managers);
    if (options.dryRun === true) return { object: next, created: false, warnings: allWarnings(kind, next, warnings) };
    // A write that changes nothing has no version of its own and no watch event.
    if (equalJson(next, previous) || isSameButForTimes(next, previous))
      return { object: previous, created: false, warnings };
    return {
      object: this.#isReleased(kind, next, previous)
        ? this.#remove(kind, next)
        : this.#put(kind, sharing(next, previous)),
      created: false,
      warnings: allWarnings(kind, next, warnings),
    };
  }

  /** Server-side apply: what is not there is created. */
  apply(
    kind: Kind,
    namespace: string | undefined,
    name: string,
    subresource: string | undefined,
    config: JsonObject,
    options: WriteOptions & { readonly force?: boolean },
  ): Written {
    const current = this.#find(kind, namespace, name);
    if (current === undefined && subresource !== undefined) throw notFound(kind, name);
    const uid = isJsonObject(config['metadata']) ? config['metadata']['uid'] : undefined;
    if (current === undefined && typeof uid === 'string' && uid !== '')
      throw conflict(
        kind,
        name,
        `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
      );
    const { object, entries } = this.#fields.apply(kind, subresource, current, config, options);
    if (current !== undefined) return this.change(kind, namespace, name, subresource, () => object, options, entries);
    const given = isJsonObject(object['metadata']) ? object['metadata']['name'] : undefined;
    if (given !== name)
      throw badRequest(`the name of the object (${goText(given ?? '')}) does not match the name on the URL (${name})`);
    return this.create(kind, namespace, object, options, entries);
  }

  /**
   * Returns what the object was when it went, or what it is now when it has to wait for its grace period or its
   * finalizers. Follows pkg/registry/rest/delete.go.
   */
  delete(kind: Kind, namespace: string | undefined, name: string, options: DeleteOptions = {}): ApiObject {
    let object = this.get(kind, namespace, name);
    checkPreconditions(kind, object, options);
    const admission = this.#admissionOf('DELETE', kind, undefined, undefined, object, options);
    for (const plugin of this.#admission) {
      plugin.admit?.(admission);
      plugin.validate?.(admission);
    }
    if (kind.kind === 'Namespace' && immortalNamespaces.includes(name))
      throw forbidden(kind, name, 'this namespace may not be deleted');
    object = withDependentsFinalizer(kind, object, options.propagationPolicy);
    const requested =
      options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0 ? 1 : options.gracePeriodSeconds;

    if (kind.gracePeriod !== undefined) {
      const graceful = this.#beginGracefulDeletion(kind, object, requested);
      if (graceful === 'pending') return object;
      object = graceful === object || options.dryRun === true ? graceful : this.#put(kind, graceful);
      if ((object.metadata.deletionGracePeriodSeconds ?? 0) > 0) return object;
    }
    if (pendingFinalizers(kind, object).length > 0) {
      if (object.metadata.deletionTimestamp !== undefined)
        return options.dryRun === true || object === this.#find(kind, namespace, name)
          ? object
          : this.#put(kind, object);
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
      return options.dryRun === true ? next : this.#put(kind, next);
    }
    return options.dryRun === true ? object : this.#remove(kind, object);
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
      if (this.#find(kind, namespace, name) === undefined) return name;
    }
    throw new ApiError(
      409,
      'AlreadyExists',
      `${qualified(kind)} ${JSON.stringify(prefix)} already exists, the server was not able to generate a unique name for the object`,
    );
  }

  /** The stored object in the form of this kind. */
  #find(kind: Kind, namespace: string | undefined, name: string): ApiObject | undefined {
    const stored = this.store.get(kind.storedAs?.kind ?? kind, namespace, name);
    return stored && viewed(kind, stored);
  }

  #put(kind: Kind, object: ApiObject): ApiObject {
    const { storedAs } = kind;
    if (storedAs === undefined) return this.store.put(kind, object);
    return viewed(kind, this.store.put(storedAs.kind, finished(storedAs.kind, storedAs.toStored(object))));
  }

  #remove(kind: Kind, object: ApiObject): ApiObject {
    const { storedAs } = kind;
    if (storedAs === undefined) return this.store.remove(kind, object);
    return viewed(kind, this.store.remove(storedAs.kind, finished(storedAs.kind, storedAs.toStored(object))));
  }

  #context({ user }: WriteOptions): WriteContext {
    return { store: this.store, clock: this.#clock, user };
  }

  #admissionOf(
    operation: AdmissionRequest['operation'],
    kind: Kind,
    subresource: string | undefined,
    object: AdmissionRequest['object'],
    previous: ApiObject | undefined,
    { user, dryRun = false }: Pick<WriteOptions, 'user' | 'dryRun'>,
  ): AdmissionRequest {
    const { namespace, name = '' } = (object ?? previous)?.metadata ?? {};
    return { operation, kind, subresource, namespace, name, object, previous, user, dryRun };
  }

  #now(): string {
    return rfc3339(this.#clock.now());
  }
}

function withManagers(object: ApiObject, managers: Owners): ApiObject {
  const { managedFields, ...metadata } = object.metadata;
  if (managedFields === managers || (managedFields === undefined && managers.length === 0)) return object;
  return { ...object, metadata: managers.length === 0 ? metadata : { ...metadata, managedFields: managers } };
}

/** True when all that a write has changed is when fields were set. */
function isSameButForTimes(next: ApiObject, previous: ApiObject): boolean {
  const { managedFields = [], ...metadata } = next.metadata;
  const { managedFields: before = [], ...metadataBefore } = previous.metadata;
  return (
    managedFields !== before &&
    equalJson({ ...next, metadata }, { ...previous, metadata: metadataBefore }) &&
    sameButForTimes(managedFields, before)
  );
}

/** What is odd about the request, then what is odd about the object. */
function allWarnings(kind: Kind, object: ApiObject, ofRequest: readonly string[]): string[] {
  return [...ofRequest, ...(kind.warnings?.(object) ?? [])];
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

/**
 * The object with the finalizer that keeps it until the garbage collector has seen to its dependents, and without one
 * that another request asked for (deletionFinalizersForGarbageCollection in pkg/registry/generic/registry/store.go).
 */
function withDependentsFinalizer(kind: Kind, object: ApiObject, asked: PropagationPolicy | undefined): ApiObject {
  const { finalizers = [] } = object.metadata;
  const policy =
    asked ??
    (finalizers.includes('orphan')
      ? 'Orphan'
      : finalizers.includes('foregroundDeletion')
        ? 'Foreground'
        : kind.defaultPropagation);
  const wanted = policy === 'Orphan' ? 'orphan' : policy === 'Foreground' ? 'foregroundDeletion' : undefined;
  const others = finalizers.filter((finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion');
  const next = wanted === undefined ? others : [...others, wanted];
  if (next.length === finalizers.length && next.every((finalizer) => finalizers.includes(finalizer))) return object;
  const { finalizers: _before, ...metadata } = object.metadata;
  return { ...object, metadata: { ...metadata, ...(next.length > 0 && { finalizers: next }) } };
}

const views = new WeakMap<ApiObject, ApiObject>();

/** A stored object in the form of a kind, which may not be the one that it is stored as. */
export function viewed(kind: Kind, stored: ApiObject): ApiObject {
  if (kind.storedAs === undefined) return stored;
  let view = views.get(stored);
  if (view === undefined) views.set(stored, (view = finished(kind, kind.storedAs.fromStored(stored))));
  return view;
}

function pendingFinalizers(kind: Kind, object: ApiObject): readonly string[] {
  return [...(object.metadata.finalizers ?? []), ...(kind.finalizers?.(object) ?? [])];
}
