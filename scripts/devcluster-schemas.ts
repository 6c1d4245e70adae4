// `node scripts/devcluster-schemas.ts <folder of Kubernetes' Go modules>`: writes what the development control plane knows
// of Kubernetes' types (src/devcluster/schema/schemas.ts and descriptions.ts) from what Kubernetes publishes of them:
//
// - the OpenAPI v3 documents of k8s.io/kubernetes (api/openapi-spec/v3): fields, list types, patch strategies, texts;
// - the Go types of k8s.io/api and k8s.io/apimachinery: protobuf field numbers, pointers and omitempty.
//
// The folder is where `go mod download k8s.io/kubernetes@v1.36.3 k8s.io/api@v0.36.3 k8s.io/apimachinery@v0.36.3`
// has put them: `$(go env GOMODCACHE)/k8s.io`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const release = '36.3';

/** The types that come and go as whole objects; what they are made of follows. On equal names the first wins. */
const roots = [
  ...of('io.k8s.api.core.v1', [
    'Namespace Node Pod ConfigMap Secret Service ServiceAccount Event Endpoints Binding PersistentVolume',
    'PersistentVolumeClaim LimitRange ResourceQuota ReplicationController PodTemplate',
  ]),
  ...of('io.k8s.api.apps.v1', ['Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision']),
  ...of('io.k8s.api.batch.v1', ['Job CronJob']),
  ...of('io.k8s.api.coordination.v1', ['Lease']),
  ...of('io.k8s.api.node.v1', ['RuntimeClass']),
  ...of('io.k8s.api.authentication.v1', ['TokenRequest TokenReview SelfSubjectReview']),
  ...of('io.k8s.api.authorization.v1', [
    'SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview',
  ]),
  ...of('io.k8s.api.policy.v1', ['PodDisruptionBudget Eviction']),
  ...of('io.k8s.api.networking.v1', ['Ingress IngressClass NetworkPolicy']),
  ...of('io.k8s.api.discovery.v1', ['EndpointSlice']),
  ...of('io.k8s.api.scheduling.v1', ['PriorityClass']),
  ...of('io.k8s.api.storage.v1', ['StorageClass CSIDriver CSINode VolumeAttachment']),
  ...of('io.k8s.api.rbac.v1', ['Role RoleBinding ClusterRole ClusterRoleBinding']),
  ...of('io.k8s.api.certificates.v1', ['CertificateSigningRequest']),
  ...of('io.k8s.api.autoscaling.v1', ['Scale']),
  ...of('io.k8s.api.autoscaling.v2', ['HorizontalPodAutoscaler']),
  ...of('io.k8s.api.admissionregistration.v1', [
    'ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding MutatingAdmissionPolicy MutatingAdmissionPolicyBinding',
  ]),
  ...of('io.k8s.api.events.v1', ['Event']),
  ...of('io.k8s.apimachinery.pkg.apis.meta.v1', ['DeleteOptions']),
];

const scalars: Readonly<Record<string, string>> = {
  'io.k8s.apimachinery.pkg.api.resource.Quantity': 'quantity',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'intOrString',
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'time',
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'microTime',
  'io.k8s.apimachinery.pkg.runtime.RawExtension': 'any',
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': 'any',
};

/** What is used of an OpenAPI schema. */
interface OpenApiSchema {
  readonly $ref?: string;
  readonly allOf?: readonly OpenApiSchema[];
  readonly oneOf?: readonly OpenApiSchema[];
  readonly type?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly items?: OpenApiSchema;
  readonly properties?: Readonly<Record<string, OpenApiSchema>>;
  readonly additionalProperties?: OpenApiSchema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
}

/** What the Go source says of a field. */
interface GoField {
  /** Protobuf field numbers from the outside in: several when Go inlines what is a message of its own. */
  readonly number: string;
  readonly pointer: boolean;
  readonly omitted: 'empty' | 'zero' | 'never';
}

const modules = process.argv[2];
if (modules === undefined) throw new Error('usage: devcluster-schemas <folder of the Go modules k8s.io/*>');

const published = readOpenApi(join(modules, `kubernetes@v1.${release}/api/openapi-spec/v3`));
const names = new Map<string, string>();
const taken = new Set<string>();
// The older of the two EndpointPorts keeps its plain name.
for (const root of [...roots, 'io.k8s.api.core.v1.EndpointPort']) nameOf(root);

const types: Record<string, Record<string, string>> = {};
const texts: Record<string, [string, string, Record<string, string>]> = {};
const atomicTypes: string[] = [];
const unnumbered: string[] = [];
const todo = [...roots];
for (let full = todo.shift(); full !== undefined; full = todo.shift()) {
  const name = nameOf(full);
  if (types[name] !== undefined) continue;
  const schema = published.get(full);
  if (schema === undefined) throw new Error(`${full} is not in the OpenAPI documents`);
  const source = goFields(full);
  const fields: Record<string, string> = {};
  const fieldTexts: Record<string, string> = {};
  for (const [key, property] of Object.entries(schema.properties ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))) {
    fields[key] = fieldText(key, property, schema.required?.includes(key) ?? false, source.get(key));
    fieldTexts[key] = property.description ?? '';
    if (source.get(key) === undefined && key !== 'kind' && key !== 'apiVersion') unnumbered.push(`${name}.${key}`);
  }
  types[name] = fields;
  texts[name] = [full, schema.description ?? '', fieldTexts];
  if (schema['x-kubernetes-map-type'] === 'atomic') atomicTypes.push(name);
}
if (unnumbered.length > 0) throw new Error(`no Go field for ${unnumbered.join(', ')}`);

const folder = new URL('../src/devcluster/schema/', import.meta.url);
writeFileSync(
  new URL('schemas.ts', folder),
  `/** The types of Kubernetes 1.${release} that this server needs; \`field-types.ts\` says how to read it. Generated by \`scripts/devcluster-schemas.ts\`. */
// prettier-ignore
export const schemas: Readonly<Record<string, Readonly<Record<string, string>>>> = {
${lines(
  types,
  (fields) =>
    `{ ${Object.entries(fields)
      .map(([key, text]) => `${property(key)}: ${literal(text)}`)
      .join(', ')} }`,
)}};

/** Types that server-side apply takes as one value, whoever sets which of their fields. */
// prettier-ignore
export const atomicTypes: ReadonlySet<string> = new Set([
${atomicTypes
  .sort()
  .map((name) => `  ${literal(name)},\n`)
  .join('')}]);
`,
);
writeFileSync(
  new URL('descriptions.ts', folder),
  `/**
 * What Kubernetes 1.${release}'s OpenAPI documents say of the types in \`schemas.ts\`, for \`kubectl explain\`: the published
 * name, the type's description, its fields' descriptions. Generated by \`scripts/devcluster-schemas.ts\` from
 * https://github.com/kubernetes/kubernetes, Copyright The Kubernetes Authors, Apache License 2.0.
 */
// prettier-ignore
export const descriptions: Readonly<Record<string, readonly [string, string, Readonly<Record<string, string>>]>> = {
${lines(
  texts,
  ([full, text, fields]) =>
    `[${literal(full)}, ${literal(text)}, {\n${Object.entries(fields)
      .map(([key, description]) => `    ${property(key)}: ${literal(description)},\n`)
      .join('')}  }]`,
)}};
`,
);
console.log(`${Object.keys(types).length} types`);

function of(packageName: string, words: readonly string[]): string[] {
  return words.flatMap((line) => line.split(' ').map((name) => `${packageName}.${name}`));
}

/** The last word of a type's name; the group before it where two groups use one word. */
function nameOf(full: string): string {
  const known = names.get(full);
  if (known !== undefined) return known;
  const words = full.split('.');
  let name = words.at(-1) as string;
  if (taken.has(name)) {
    const group = words.at(-3) as string;
    name = `${group.charAt(0).toUpperCase()}${group.slice(1)}${name}`;
  }
  taken.add(name);
  names.set(full, name);
  return name;
}

function readOpenApi(directory: string): Map<string, OpenApiSchema> {
  const all = new Map<string, OpenApiSchema>();
  for (const file of readdirSync(directory)) {
    const { components } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as {
      components?: { schemas?: Record<string, OpenApiSchema> };
    };
    for (const [name, schema] of Object.entries(components?.schemas ?? {})) all.set(name, schema);
  }
  return all;
}

/** One field as `field-types.ts` reads it. */
function fieldText(key: string, property: OpenApiSchema, required: boolean, source: GoField | undefined): string {
  const type = typeText(property);
  const words = [type];
  const strategies = property['x-kubernetes-patch-strategy']?.split(',') ?? [];
  const mergeKey = property['x-kubernetes-patch-merge-key'];
  if (strategies.includes('merge')) words.push(mergeKey === undefined ? 'merge' : `merge=${mergeKey}`);
  if (strategies.includes('retainKeys')) words.push('retainKeys');
  if (property['x-kubernetes-list-type'] === 'set') words.push('set');
  if (property['x-kubernetes-list-type'] === 'map')
    words.push(`map=${(property['x-kubernetes-list-map-keys'] ?? []).join(',')}`);
  if (property['x-kubernetes-map-type'] === 'atomic') words.push('atomic');
  if (required) words.push('required');
  const isStruct =
    type !== 'intOrString' &&
    !type.endsWith('[]') &&
    !type.endsWith('{}') &&
    (property.$ref ?? property.allOf) !== undefined;
  if (source !== undefined) {
    const { pointer, omitted, number } = source;
    const isScalar = ['string', 'boolean', 'int32', 'int64'].includes(type);
    if (pointer && !required && isScalar) words.push('pointer');
    if (pointer && omitted === 'never') words.push('null');
    if (!pointer && (omitted === 'never' || (omitted === 'empty' && isStruct))) words.push('always');
    if (typeof property.default === 'string' && property.default !== '') words.push(`default=${property.default}`);
    words.push(`#${number}`);
  }
  return words.join(' ');
}

function typeText(schema: OpenApiSchema): string {
  const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
  if (ref !== undefined) {
    const full = ref.slice('#/components/schemas/'.length);
    const scalar = scalars[full];
    if (scalar !== undefined) return scalar;
    todo.push(full);
    return nameOf(full);
  }
  switch (schema.type) {
    case 'string':
      return schema.format === 'byte' ? 'bytes' : 'string';
    case 'integer':
      return schema.format ?? 'int64';
    case 'number':
      return 'double';
    case 'boolean':
      return 'boolean';
    case 'array':
      return `${typeText(schema.items ?? {})}[]`;
    default:
      return schema.additionalProperties === undefined ? 'any' : `${typeText(schema.additionalProperties)}{}`;
  }
}

/** The fields of a Go struct by their JSON names, with those of the structs that it inlines. */
function goFields(full: string): Map<string, GoField> {
  const words = full.split('.');
  const path = full.startsWith('io.k8s.api.')
    ? join(modules as string, `api@v0.${release}`, words[3] as string, words[4] as string)
    : join(modules as string, `apimachinery@v0.${release}`, ...words.slice(3, -1));
  return structFields(path, words.at(-1) as string);
}

function structFields(directory: string, name: string): Map<string, GoField> {
  const fields = new Map<string, GoField>();
  for (const line of structSource(directory, name)) {
    const field =
      /^\s+(?:\w+\s+)?(\*?)(\S+)\s+`(?:.*\s)?json:"([\w$]*)((?:,\w+)*)"(?:.*\sproto(?:buf)?:"\w+,(\d+))?/.exec(line);
    if (field === null) continue;
    const [, pointer = '', type = '', json = '', options = '', number] = field;
    if (number === undefined) continue;
    if (json !== '') {
      const omitted = options.includes('omitzero') ? 'zero' : options.includes('omitempty') ? 'empty' : 'never';
      fields.set(json, { number, pointer: pointer !== '', omitted });
    } else {
      for (const [key, inner] of structFields(directory, type))
        fields.set(key, { ...inner, number: `${number}.${inner.number}` });
    }
  }
  return fields;
}

function structSource(directory: string, name: string): string[] {
  for (const file of readdirSync(directory)) {
    if (!file.endsWith('.go') || /^(zz_|generated)|_test\.go$/.test(file)) continue;
    const source = readFileSync(join(directory, file), 'utf8').split('\n');
    const start = source.indexOf(`type ${name} struct {`);
    if (start >= 0) return source.slice(start + 1, source.indexOf('}', start));
  }
  return [];
}

function lines<T>(record: Readonly<Record<string, T>>, text: (value: T) => string): string {
  return Object.keys(record)
    .sort()
    .map((key) => `  ${key}: ${text(record[key] as T)},\n`)
    .join('');
}

function property(key: string): string {
  return /^\w+$/.test(key) ? key : literal(key);
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
}
