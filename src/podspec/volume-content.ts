import { codeOf, CodedError, invalidInput, messageOf, notFound, unsupported } from '../core/errors.ts';
import type { Pod, Volume } from '../core/objects.ts';
import type { VolumeContent, VolumeFile } from '../providers/contract.ts';
import { containerOf } from './containers.ts';
import { metadataField, resourceField } from './downward-api.ts';
import { configMapOf, secretOf, type PodSources } from './sources.ts';
import { uniformUser } from './users.ts';
import { volumePath } from './volume-path.ts';

type ConfigMapVolume = NonNullable<Volume['configMap']>;
type SecretVolume = NonNullable<Volume['secret']>;
type DownwardItems = NonNullable<NonNullable<Volume['downwardAPI']>['items']>;
type ProjectedVolume = NonNullable<Volume['projected']>;
type Projection = NonNullable<ProjectedVolume['sources']>[number];
type Items = ConfigMapVolume['items'];

const defaultFileMode = 0o644;
const tokenFileMode = 0o600;
const defaultTokenSeconds = 3600;

/** By path; of two files at one path the later counts. */
type Files = Map<string, VolumeFile>;

/**
 * The files of a configMap, secret, downwardAPI or projected volume as they are now. Rejects with `NotFound` in the
 * kubelet's words while an object or key that is not optional is missing, and with `InvalidInput` for a path that
 * would leave the volume. Follows pkg/volume/{configmap,secret,downwardapi,projected}.
 */
export async function volumeContent(pod: Pod, name: string, sources: PodSources): Promise<VolumeContent> {
  const volume = pod.spec.volumes?.find((v) => v.name === name);
  if (volume === undefined) throw invalidInput(`pod has no volume "${name}"`);
  return { files: [...(await filesOf(pod, volume, sources)).values()] };
}

async function filesOf(pod: Pod, volume: Volume, sources: PodSources): Promise<Files> {
  const { configMap, secret, downwardAPI, projected } = volume;
  if (configMap !== undefined) return configMapFiles(pod, configMap, configMap.defaultMode ?? defaultFileMode, sources);
  if (secret !== undefined) return secretFiles(pod, secret, secret.defaultMode ?? defaultFileMode, sources);
  if (downwardAPI !== undefined)
    return downwardFiles(pod, downwardAPI.items ?? [], downwardAPI.defaultMode ?? defaultFileMode, sources);
  if (projected !== undefined) return projectedFiles(pod, volume.name, projected, sources);
  throw invalidInput(`volume "${volume.name}" has no content that the node provides`);
}

async function configMapFiles(
  pod: Pod,
  source: Omit<ConfigMapVolume, 'defaultMode'>,
  mode: number,
  sources: PodSources,
): Promise<Files> {
  const optional = source.optional ?? false;
  const found = await configMapOf(sources, pod.metadata.namespace, source.name ?? '', optional);
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(value, 'utf8'));
  for (const [key, value] of Object.entries(found?.binaryData ?? {})) data.set(key, Buffer.from(value, 'base64'));
  return select(data, source.items, mode, optional, (key) => `configmap references non-existent config key: ${key}`);
}

async function secretFiles(
  pod: Pod,
  source: Omit<SecretVolume, 'defaultMode'>,
  mode: number,
  sources: PodSources,
): Promise<Files> {
  const optional = source.optional ?? false;
  const found = await secretOf(sources, pod.metadata.namespace, source.secretName ?? '', optional);
  const data = new Map<string, Uint8Array>();
  for (const [key, value] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(value, 'base64'));
  return select(data, source.items, mode, optional, (key) => `references non-existent secret key: ${key}`);
}

/** All keys under their own names, or the chosen ones under their paths. */
function select(
  data: ReadonlyMap<string, Uint8Array>,
  items: Items,
  mode: number,
  optional: boolean,
  missing: (key: string) => string,
): Files {
  const files: Files = new Map();
  const chosen: NonNullable<Items> =
    items !== undefined && items.length > 0 ? items : [...data.keys()].map((key) => ({ key, path: key }));
  for (const item of chosen) {
    const bytes = data.get(item.key);
    if (bytes === undefined && optional) continue;
    if (bytes === undefined) throw notFound(missing(item.key));
    put(files, item.path, bytes, item.mode ?? mode);
  }
  return files;
}

function downwardFiles(pod: Pod, items: DownwardItems, defaultMode: number, sources: PodSources): Files {
  const files: Files = new Map();
  for (const { path, mode, fieldRef, resourceFieldRef } of items) {
    const value =
      fieldRef !== undefined
        ? metadataField(pod, fieldRef.fieldPath)
        : resourceFieldRef !== undefined
          ? resourceField(
              pod,
              containerOf(pod, resourceFieldRef.containerName ?? ''),
              resourceFieldRef,
              sources.node.allocatable,
            )
          : '';
    put(files, path, Buffer.from(value, 'utf8'), mode ?? defaultMode);
  }
  return files;
}

async function projectedFiles(pod: Pod, name: string, volume: ProjectedVolume, sources: PodSources): Promise<Files> {
  const mode = volume.defaultMode ?? defaultFileMode;
  const files: Files = new Map();
  const failures: unknown[] = [];
  for (const source of volume.sources ?? []) {
    try {
      for (const [path, file] of await projectionFiles(pod, name, source, mode, sources)) files.set(path, file);
    } catch (err) {
      failures.push(err);
    }
  }
  if (failures.length > 0) throw together(failures);
  return files;
}

async function projectionFiles(
  pod: Pod,
  volume: string,
  source: Projection,
  mode: number,
  sources: PodSources,
): Promise<Files> {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  if (configMap !== undefined) return configMapFiles(pod, configMap, mode, sources);
  if (secret !== undefined) {
    const { name: secretName, ...rest } = secret;
    return secretFiles(pod, { ...rest, ...(secretName === undefined ? {} : { secretName }) }, mode, sources);
  }
  if (downwardAPI !== undefined) return downwardFiles(pod, downwardAPI.items ?? [], mode, sources);
  if (serviceAccountToken !== undefined) return tokenFile(pod, serviceAccountToken, mode, sources);
  throw unsupported(
    `volume "${volume}": a projected source of type ${Object.keys(source)[0] ?? 'none'} is not supported by this node`,
  );
}

async function tokenFile(
  pod: Pod,
  { path, audience, expirationSeconds = defaultTokenSeconds }: NonNullable<Projection['serviceAccountToken']>,
  mode: number,
  sources: PodSources,
): Promise<Files> {
  const token = await sources.serviceAccountToken(pod, {
    expirationSeconds,
    ...(audience === undefined || audience === '' ? {} : { audience }),
  });
  const uid = uniformUser(pod);
  const isPrivate = uid !== undefined || pod.spec.securityContext?.fsGroup !== undefined;
  const files: Files = new Map();
  put(files, path, Buffer.from(token, 'utf8'), isPrivate ? tokenFileMode : mode, uid);
  return files;
}

function put(files: Files, path: string, data: Uint8Array, mode: number, uid?: number): void {
  const normal = volumePath(path);
  files.set(normal, { path: normal, data, mode, ...(uid === undefined ? {} : { uid }) });
}

/** One error for all sources that failed, as the kubelet joins them: alone its own text, else `[a, b]`. */
function together(failures: readonly unknown[]): Error {
  const messages = [...new Set(failures.map(messageOf))];
  const text = messages.length === 1 ? (messages[0] ?? '') : `[${messages.join(', ')}]`;
  return new CodedError(codeOf(failures[0]) ?? 'Unavailable', text, { cause: failures[0] });
}
