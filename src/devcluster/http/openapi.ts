/**
 * OpenAPI documents in the API server's form: v3 for each group-version, and v2. They say what `kubectl explain` shows
 * and what clients look for: types, how lists merge, and that writes take `fieldValidation`.
 */
import { createHash } from 'node:crypto';

import { apiVersionOf, schemaTypeOf, type Kind } from '../kinds/kind.ts';
import { groupVersions, kinds } from '../kinds/table.ts';
import { descriptions } from '../schema/descriptions.ts';
import { schemaOf, type Field, type FieldType } from '../schema/field-types.ts';

interface Style {
  readonly refPrefix: string;
  /** v3 says what Go makes of an absent field, and puts a reference beside other words into `allOf`. */
  readonly defaults: boolean;
}

const v3: Style = { refPrefix: '#/components/schemas/', defaults: true };
const v2: Style = { refPrefix: '#/definitions/', defaults: false };

const scalars: Readonly<Record<string, { name?: string; schema: object }>> = {
  bytes: { schema: { type: 'string', format: 'byte' } },
  int32: { schema: { type: 'integer', format: 'int32' } },
  int64: { schema: { type: 'integer', format: 'int64' } },
  double: { schema: { type: 'number', format: 'double' } },
  any: { schema: { type: 'object' } },
  time: { name: 'io.k8s.apimachinery.pkg.apis.meta.v1.Time', schema: { type: 'string', format: 'date-time' } },
  microTime: {
    name: 'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime',
    schema: { type: 'string', format: 'date-time' },
  },
  quantity: {
    name: 'io.k8s.apimachinery.pkg.api.resource.Quantity',
    schema: { oneOf: [{ type: 'string' }, { type: 'number' }] },
  },
  intOrString: {
    name: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
    schema: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  },
};

/** `api/v1`, `apis/apps/v1`: the group-versions by their paths. */
function documents(): Map<string, { group: string; version: string }> {
  return new Map(groupVersions().map((gv) => [gv.group === '' ? `api/${gv.version}` : `apis/${apiVersionOf(gv)}`, gv]));
}

/** Where the documents are; the hash lets clients keep them. */
export function openApiIndex(release: string): object {
  const paths = [...documents().keys()].map((key) => {
    const hash = createHash('sha512').update(`${release} ${key}`).digest('hex').toUpperCase();
    return [key, { serverRelativeURL: `/openapi/v3/${key}?hash=${hash}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/** The v3 document of one group-version; undefined when there is no such. */
export function openApiV3(path: string, release: string): object | undefined {
  const wanted = documents().get(path);
  if (wanted === undefined) return undefined;
  const own = kinds.filter(({ group, version }) => group === wanted.group && version === wanted.version);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: release },
    paths: Object.assign({}, ...own.map((kind) => pathsOf(path, kind))) as object,
    components: { schemas: definitionsOf(own, v3) },
  };
}

/** The v2 document: all types, no paths. */
export function openApiV2(release: string): object {
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: release },
    paths: {},
    definitions: definitionsOf(kinds, v2),
  };
}

function pathsOf(path: string, kind: Kind): Record<string, object> {
  const query = (...names: string[]) =>
    names.map((name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }));
  const operation = (action: string, parameters: object[]) => ({
    parameters,
    responses: { 200: { description: 'OK' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: kind.group, version: kind.version, kind: kind.kind },
  });
  const writing = query('dryRun', 'fieldManager', 'fieldValidation');
  const collection = `/${path}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.resource}`;
  if (kind.review) return { [collection]: { post: operation('post', writing) } };
  return {
    [collection]: { get: operation('list', query('limit', 'continue')), post: operation('post', writing) },
    [`${collection}/{name}`]: {
      get: operation('get', []),
      put: operation('put', writing),
      patch: operation('patch', [...writing, ...query('force')]),
      delete: operation('delete', query('dryRun', 'gracePeriodSeconds', 'propagationPolicy')),
    },
  };
}

/** The types of kinds and of all that they are made of, by their published names. */
function definitionsOf(of: readonly Kind[], style: Style): Record<string, object> {
  const definitions: Record<string, object> = {};
  const groupVersionKinds = new Map<string, object[]>();
  for (const kind of of) {
    const { group, version } = kind;
    const type = schemaTypeOf(kind);
    groupVersionKinds.set(type, [...(groupVersionKinds.get(type) ?? []), { group, kind: kind.kind, version }]);
  }
  const todo = new Set(groupVersionKinds.keys());
  for (const type of todo) {
    const [name = type, description = '', fieldTexts = {}] = descriptions[type] ?? [];
    const properties: Record<string, object> = {};
    const required: string[] = [];
    for (const [key, field] of schemaOf(type)) {
      collect(field.type, todo, definitions);
      properties[key] = { description: fieldTexts[key] ?? '', ...propertyOf(field, style) };
      if (field.required) required.push(key);
    }
    const kindsOfType = groupVersionKinds.get(type);
    definitions[name] = {
      description,
      type: 'object',
      ...(required.length > 0 && { required }),
      properties,
      ...(kindsOfType && { 'x-kubernetes-group-version-kind': kindsOfType }),
    };
  }
  return definitions;
}

/** Notes what a field's type refers to. */
function collect(type: FieldType, todo: Set<string>, definitions: Record<string, object>): void {
  if (type.kind === 'list' || type.kind === 'map') collect(type.of, todo, definitions);
  else if (type.kind === 'struct') todo.add(type.name);
  else {
    const scalar = scalars[type.name];
    if (scalar?.name !== undefined) definitions[scalar.name] = scalar.schema;
  }
}

function propertyOf(field: Field, style: Style): object {
  const { type, listType, listKeys, merge, mergeKey, retainKeys, atomic } = field;
  const strategies = [...(merge ? ['merge'] : []), ...(retainKeys ? ['retainKeys'] : [])];
  return {
    ...typeOf(type, style, field),
    ...(type.kind === 'list' && { 'x-kubernetes-list-type': listType }),
    ...(listKeys.length > 0 && { 'x-kubernetes-list-map-keys': listKeys }),
    ...(atomic && { 'x-kubernetes-map-type': 'atomic' }),
    ...(mergeKey !== undefined && { 'x-kubernetes-patch-merge-key': mergeKey }),
    ...(strategies.length > 0 && { 'x-kubernetes-patch-strategy': strategies.join(',') }),
  };
}

/** What an absent field is is said of fields that Go always has, and of items. */
function typeOf(type: FieldType, style: Style, field?: Field): object {
  const always = style.defaults && (field === undefined || field.unset === 'zero');
  if (type.kind === 'list') return { type: 'array', items: typeOf(type.of, style) };
  if (type.kind === 'map') return { type: 'object', additionalProperties: typeOf(type.of, style) };
  if (type.kind === 'struct')
    return reference(descriptions[type.name]?.[0] ?? type.name, style, always ? {} : undefined);
  const scalar = scalars[type.name] ?? { schema: { type: type.name } };
  if (scalar.name !== undefined) return reference(scalar.name, style, undefined);
  const value = field?.defaultText ?? (always ? zeros[type.name] : undefined);
  return { ...scalar.schema, ...(style.defaults && value !== undefined && { default: value }) };
}

const zeros: Readonly<Record<string, string | number | boolean>> = { string: '', int32: 0, int64: 0, boolean: false };

function reference(name: string, { refPrefix, defaults }: Style, value: object | undefined): object {
  const $ref = `${refPrefix}${name}`;
  return defaults ? { allOf: [{ $ref }], ...(value && { default: value }) } : { $ref };
}
