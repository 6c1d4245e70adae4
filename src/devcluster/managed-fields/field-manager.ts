import { rfc3339, type Clock } from '../../core/clock.ts';
import { badRequest, goText } from '../api-error.ts';
import type { ApiObject, DraftObject, ManagedFieldsEntry } from '../api-object.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import { apiVersionOf, schemaTypeOf, type Kind } from '../kinds/kind.ts';
import { decode } from '../schema/decode.ts';
import type { readManagedFields } from './entries.ts';
import { afterUpdate, apply, type Applied, type Target, type Writer } from './ownership.ts';

export type Owners = ManagedFieldsEntry[];

/** What a client has said of managed fields itself. */
type Given = ReturnType<typeof readManagedFields>;

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const nothing: ReadonlySet<string> = new Set();
const onlySpec: ReadonlySet<string> = new Set(['spec']);
const onlyStatus: ReadonlySet<string> = new Set(['status']);
const emptyObjects = new Map<string, JsonObject>();

/**
 * Keeps `metadata.managedFields` for the registry. What the control plane itself creates (no manager) is not tracked;
 * once somebody manages an object its writes count too.
 */
export class FieldManager {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  afterCreate(kind: Kind, draft: DraftObject, given: Given, manager: string | undefined): Owners {
    if (manager === undefined) return [];
    const entries = given === undefined || given === 'forgotten' ? [] : given;
    return afterUpdate(target(kind, undefined), emptyObject(kind), json(draft), entries, this.#writer(kind, manager));
  }

  afterUpdate(
    kind: Kind,
    subresource: string | undefined,
    previous: ApiObject,
    draft: DraftObject,
    given: Given,
    manager = 'kube-controller-manager',
  ): Owners {
    const before = previous.metadata.managedFields ?? [];
    // Entries may only be changed through the object itself.
    const entries = subresource !== undefined || given === undefined ? before : given === 'forgotten' ? [] : given;
    if (entries.length === 0) return [];
    const writer = this.#writer(kind, manager, subresource);
    return afterUpdate(target(kind, subresource), json(previous), json(draft), entries, writer);
  }

  /** Server-side apply on what there is; an object that nobody manages yet belongs to `before-first-apply`. */
  apply(
    kind: Kind,
    subresource: string | undefined,
    current: ApiObject | undefined,
    config: JsonObject,
    { fieldManager = '', force = false }: { readonly fieldManager?: string; readonly force?: boolean },
  ): Applied {
    checkType(kind, config);
    const metadata = isJsonObject(config['metadata']) ? config['metadata'] : {};
    if (metadata['managedFields'] !== undefined && metadata['managedFields'] !== null)
      throw badRequest('metadata.managedFields must be nil');
    const about = target(kind, subresource);
    const live = current === undefined ? {} : json(current);
    let entries = current?.metadata.managedFields ?? [];
    if (current !== undefined && entries.length === 0)
      entries = afterUpdate(about, emptyObject(kind), live, [], this.#writer(kind, 'before-first-apply', subresource));
    const writer = this.#writer(kind, fieldManager, subresource);
    const name = `${goText(metadata['namespace'] ?? '')}/${goText(metadata['name'] ?? '')}; ${groupVersionKind(config)}`;
    const applied = apply(about, live, config, entries, writer, force, name);
    return fieldManager === 'kubectl' ? { ...applied, object: withLastApplied(applied.object, config) } : applied;
  }

  #writer(kind: Kind, manager: string, subresource?: string): Writer {
    return { manager, subresource, apiVersion: apiVersionOf(kind), now: rfc3339(this.#clock.now()) };
  }
}

/** The object itself never writes its status, and its status subresource nothing but that and metadata. */
function target(kind: Kind, subresource: string | undefined): Target {
  const ignored = subresource === 'status' ? onlySpec : kind.status || subresource !== undefined ? onlyStatus : nothing;
  return { typeName: schemaTypeOf(kind), ignored };
}

/** An object as Go makes it before anything is set: fields that are always written are there from the beginning. */
function emptyObject(kind: Kind): JsonObject {
  const type = schemaTypeOf(kind);
  let object = emptyObjects.get(type);
  if (object === undefined) emptyObjects.set(type, (object = decode(type, {}).value));
  return object;
}

function checkType(kind: Kind, config: JsonObject): void {
  if (config['apiVersion'] !== apiVersionOf(kind) || config['kind'] !== kind.kind)
    throw badRequest(`invalid object type: ${groupVersionKind(config)}`);
}

/** `apps/v1, Kind=Deployment`, `/v1, Kind=Pod`. */
function groupVersionKind({ apiVersion, kind }: JsonObject): string {
  const version = goText(apiVersion ?? '');
  return `${version.includes('/') ? '' : '/'}${version}, Kind=${goText(kind ?? '')}`;
}

/** kubectl's client-side apply finds what kubectl has applied on the server's side too. */
function withLastApplied(object: JsonObject, config: JsonObject): JsonObject {
  const metadata = isJsonObject(object['metadata']) ? object['metadata'] : {};
  const { annotations } = metadata;
  if (!isJsonObject(annotations) || !annotations[lastApplied]) return object;
  const text = `${JSON.stringify(withoutAnnotation(config))}\n`;
  return { ...object, metadata: { ...metadata, annotations: { ...annotations, [lastApplied]: text } } };
}

function withoutAnnotation(config: JsonObject): JsonObject {
  const { metadata } = config;
  if (!isJsonObject(metadata) || !isJsonObject(metadata['annotations'])) return config;
  const { [lastApplied]: _, ...annotations } = metadata['annotations'];
  return { ...config, metadata: { ...metadata, annotations } };
}

function json(object: ApiObject | DraftObject): JsonObject {
  return object as unknown as JsonObject;
}
