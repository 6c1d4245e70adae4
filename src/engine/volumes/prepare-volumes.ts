import { systemClock, type Clock } from '../../core/clock.ts';
import { unsupported } from '../../core/errors.ts';
import type { Pod, Volume } from '../../core/objects.ts';
import { allContainers } from '../../podspec/containers.ts';
import { containerUser } from '../../podspec/users.ts';
import type { PodResolver, VolumeFile } from '../../providers/contract.ts';
import { writeAtomically } from './atomic-writer.ts';
import { isDirectory, makeDirectory } from './directories.ts';
import { FailedMountError, type VolumeFailure } from './failed-mount.ts';
import { prepareHostPath } from './host-path.ts';
import { mayGiveToGroup, mayGiveToUser, own } from './ownership.ts';
import { parentMode, volumePaths } from './volume-paths.ts';

/** A volume that is ready to be mounted. */
export interface PreparedVolume {
  readonly hostPath: string;
  /** Its content is the node's: no container may write to it. */
  readonly readOnly: boolean;
  /** What is not as the spec asks, in a sentence for an event. */
  readonly notes: readonly string[];
}

/** Ready volumes by name. */
export type PreparedVolumes = ReadonlyMap<string, PreparedVolume>;

/** The kubelet's names of the plugins whose content a resolver gives. */
const contentPlugins = {
  configMap: 'configmap',
  secret: 'secret',
  downwardAPI: 'downward-api',
  projected: 'projected',
} as const;
const volumeMode = 0o777;

/**
 * Makes ready every volume that a container of the pod mounts; what nobody mounts is left alone, as by the kubelet.
 * Idempotent: emptyDirs keep what they hold, content is written where it changed. `stateDir` exists. One call per pod
 * at a time. Rejects with {@link FailedMountError} when any volume fails; the others are then ready nevertheless.
 */
export async function prepareVolumes(
  pod: Pod,
  stateDir: string,
  resolver: PodResolver,
  podIPs: readonly string[],
  clock: Clock = systemClock,
): Promise<PreparedVolumes> {
  const prepared = await forEach(mountedVolumes(pod), async (volume) => {
    if (volume.emptyDir !== undefined) return prepareEmptyDir(pod, volume, volume.emptyDir, stateDir);
    if (volume.hostPath !== undefined)
      return { hostPath: await prepareHostPath(volume.hostPath), readOnly: false, notes: [] };
    const place = contentPlace(pod, volume, stateDir);
    await makePlace(place);
    await writeAtomically(place.path, contentOf(resolver, volume, podIPs), { now: clock.now(), group: place.group });
    return { hostPath: place.path, readOnly: true, notes: place.notes };
  });
  return new Map(prepared);
}

/**
 * Brings the content of configMap, secret, downwardAPI and projected volumes up to date; resolves with the names of
 * those that changed. A volume that is not there, or no more, is not made. Rejects as {@link prepareVolumes} does; a volume that fails keeps its old content.
 */
export async function refreshVolumes(
  pod: Pod,
  stateDir: string,
  resolver: PodResolver,
  podIPs: readonly string[],
  clock: Clock = systemClock,
): Promise<readonly string[]> {
  const volumes = mountedVolumes(pod).filter((volume) => contentPlugin(volume) !== undefined);
  const written = await forEach(volumes, async (volume) => {
    const { path, group } = contentPlace(pod, volume, stateDir);
    return (
      (await isDirectory(path)) &&
      (await writeAtomically(path, contentOf(resolver, volume, podIPs), { now: clock.now(), group }))
    );
  });
  return written.filter(([, changed]) => changed).map(([name]) => name);
}

function contentOf(
  resolver: PodResolver,
  { name }: Volume,
  podIPs: readonly string[],
): () => Promise<readonly VolumeFile[]> {
  return async () => (await resolver.volume(name, podIPs)).files;
}

function mountedVolumes(pod: Pod): Volume[] {
  const mounted = new Set(
    allContainers(pod.spec).flatMap((container) => (container.volumeMounts ?? []).map((mount) => mount.name)),
  );
  return (pod.spec.volumes ?? []).filter((volume) => mounted.has(volume.name));
}

async function forEach<T>(volumes: readonly Volume[], fn: (volume: Volume) => Promise<T>): Promise<[string, T][]> {
  const results = await Promise.allSettled(
    volumes.map(async (volume): Promise<[string, T]> => [volume.name, await fn(volume)]),
  );
  const failures = results.flatMap((result, i): VolumeFailure[] =>
    result.status === 'rejected' ? [{ volume: volumes[i]?.name ?? '', cause: result.reason }] : [],
  );
  const [first, ...others] = failures;
  if (first !== undefined) throw new FailedMountError([first, ...others]);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

async function prepareEmptyDir(
  pod: Pod,
  { name }: Volume,
  { medium = '' }: NonNullable<Volume['emptyDir']>,
  stateDir: string,
): Promise<PreparedVolume> {
  if (medium !== '' && medium !== 'Memory')
    throw unsupported(`emptyDir with medium "${medium}" is not supported by this node`);
  const place = placeOf(pod, 'empty-dir', name, stateDir);
  await makePlace(place);
  const inMemory =
    medium === 'Memory' ? [`emptyDir volume "${name}" is on disk: this node does not keep volumes in memory`] : [];
  return { hostPath: place.path, readOnly: false, notes: [...place.notes, ...inMemory] };
}

/** Where a volume lies, and whom it belongs to. */
interface Place {
  /** The folders that lead to it, outermost first. */
  readonly parents: readonly string[];
  readonly path: string;
  /** The pod's fsGroup, if this process can give files to it. */
  readonly group: number | undefined;
  /** Of the pod's folder. */
  readonly access: Access;
  readonly notes: readonly string[];
}

/** Who gets into a pod's folder, and so to its volumes. */
interface Access {
  readonly mode: number;
  readonly uid: number | undefined;
}

/**
 * Only the daemon, and the pod's user where all its containers have one. Where they have several, anybody who knows
 * the pod's UID may pass, and the modes of the volumes are all that protects them.
 */
function accessTo(pod: Pod): Access {
  const users = new Set(allContainers(pod.spec).map((container) => containerUser(pod, container).runAsUser ?? 0));
  const [user, ...others] = [...users].filter((uid) => uid !== 0 && uid !== process.getuid?.());
  if (user === undefined) return { mode: 0o700, uid: undefined };
  return others.length === 0 && mayGiveToUser(user) ? { mode: 0o700, uid: user } : { mode: 0o711, uid: undefined };
}

function contentPlace(pod: Pod, volume: Volume, stateDir: string): Place {
  const plugin = contentPlugin(volume);
  if (plugin === undefined) throw unsupported(`${sourceOf(volume)} volumes are not supported by this node`);
  return placeOf(pod, plugin, volume.name, stateDir);
}

function placeOf(pod: Pod, plugin: string, name: string, stateDir: string): Place {
  const fsGroup = pod.spec.securityContext?.fsGroup;
  const group = fsGroup !== undefined && mayGiveToGroup(fsGroup) ? fsGroup : undefined;
  const withoutGroup = `volume "${name}" does not belong to fsGroup ${fsGroup}: the daemon may not give files to that group`;
  return {
    ...volumePaths.chain(stateDir, pod.metadata.uid, plugin, name),
    group,
    access: accessTo(pod),
    notes: group === fsGroup ? [] : [withoutGroup],
  };
}

async function makePlace({ parents, path, group, access }: Place): Promise<void> {
  const [pods = '', pod = '', ...rest] = parents;
  await makeDirectory(pods, parentMode);
  if (await makeDirectory(pod, access.mode))
    await own(pod, 'directory', access.mode, { uid: access.uid, group: undefined });
  for (const parent of rest) await makeDirectory(parent, parentMode);
  if (await makeDirectory(path, volumeMode)) await own(path, 'directory', volumeMode, { group });
}

function contentPlugin(volume: Volume): string | undefined {
  const source = Object.keys(contentPlugins).find((key) => volume[key as keyof Volume] !== undefined);
  return source === undefined ? undefined : contentPlugins[source as keyof typeof contentPlugins];
}

/** The field of the spec that says what the volume is. */
function sourceOf(volume: Volume): string {
  return Object.keys(volume).find((key) => key !== 'name') ?? 'empty';
}
