import { randomInt } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { volumePath } from '../../podspec/volume-path.ts';
import type { VolumeFile } from '../../providers/contract.ts';
import { removeTree, systemCode } from './directories.ts';
import { mayGiveToUser, modeWithGroup, own } from './ownership.ts';

const dataLink = '..data';
const newDataLink = '..data_tmp';
const versionName = /^\.\.\d{4}(?:_\d\d){5}\.\d+$/;
const directoryMode = 0o755;
const privateMode = 0o600;

export interface AtomicWriteOptions {
  /** Names the version; milliseconds since the epoch. */
  readonly now: number;
  /** Group that owns the files; the process must be able to give them to it. */
  readonly group: number | undefined;
}

/**
 * Makes a folder show exactly these files, all at once: they go to a new `..<time>` folder, which the link `..data`
 * is then turned to; the visible names are links into `..data`. Readers see all of the old files or all of the new.
 * Nothing is written when the files are what they were. Resolves with whether they changed. Writes to one folder take
 * turns, and `read` is called in turn, so that what was read last is what stays. The folder exists. Rejects with `InvalidInput` for a path that leaves the folder. Follows pkg/volume/util/atomic_writer.go.
 */
export async function writeAtomically(
  directory: string,
  read: () => Promise<readonly VolumeFile[]>,
  options: AtomicWriteOptions,
): Promise<boolean> {
  const before = lastWrites.get(directory) ?? Promise.resolve(undefined);
  const write = before.then(async () => writeAlone(directory, await read(), options));
  const settled = write.then(
    () => undefined,
    () => undefined,
  );
  lastWrites.set(directory, settled);
  try {
    return await write;
  } finally {
    if (lastWrites.get(directory) === settled) lastWrites.delete(directory);
  }
}

/** The end of the last write to each folder that is written to now; never rejects. */
const lastWrites = new Map<string, Promise<undefined>>();

async function writeAlone(
  directory: string,
  files: readonly VolumeFile[],
  options: AtomicWriteOptions,
): Promise<boolean> {
  const wanted = new Map(files.map((file) => [volumePath(file.path), file]));
  let version = await currentVersion(directory);
  const changed = version === undefined || !(await holds(join(directory, version), wanted, options.group));
  if (version === undefined || changed) version = await publish(directory, wanted, options);
  // Not only after a change: a daemon that was killed between the two may have left a name without its link.
  await showNames(directory, wanted);
  await removeOld(directory, version, wanted);
  return changed;
}

async function currentVersion(directory: string): Promise<string | undefined> {
  const target = await targetOf(join(directory, dataLink));
  return target !== undefined && versionName.test(target) ? target : undefined;
}

async function targetOf(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (err) {
    if (systemCode(err) === 'ENOENT' || systemCode(err) === 'EINVAL') return undefined;
    throw err;
  }
}

async function holds(
  version: string,
  wanted: ReadonlyMap<string, VolumeFile>,
  group: number | undefined,
): Promise<boolean> {
  try {
    const present = await readdir(version, { recursive: true, withFileTypes: true });
    if (present.filter((entry) => !entry.isDirectory()).length !== wanted.size) return false;
    for (const [path, file] of wanted) {
      const full = join(version, path);
      if (((await stat(full)).mode & 0o7777) !== modeWithGroup(file.mode, group)) return false;
      if (!(await readFile(full)).equals(file.data)) return false;
    }
    return true;
  } catch (err) {
    // Whatever is wrong with the old version, a new one puts it right.
    if (systemCode(err) !== undefined) return false;
    throw err;
  }
}

async function publish(
  directory: string,
  wanted: ReadonlyMap<string, VolumeFile>,
  { now, group }: AtomicWriteOptions,
): Promise<string> {
  const version = newVersionName(now);
  const root = join(directory, version);
  await mkdir(root);
  try {
    await writeAll(root, wanted, group);
    await removeTree(join(directory, newDataLink));
    await symlink(version, join(directory, newDataLink));
    await rename(join(directory, newDataLink), join(directory, dataLink));
    return version;
  } catch (err) {
    await removeTree(root);
    throw err;
  }
}

async function writeAll(
  root: string,
  wanted: ReadonlyMap<string, VolumeFile>,
  group: number | undefined,
): Promise<void> {
  const folders = new Set<string>([root]);
  for (const [path, { data, mode, uid }] of wanted) {
    for (const folder of foldersOf(path)) {
      const full = join(root, folder);
      // One by one: making all of a path would bring back a volume that is being removed.
      if (!folders.has(full)) await mkdir(full);
      folders.add(full);
    }
    const full = join(root, path);
    await writeFile(full, data, { flag: 'wx', mode: privateMode });
    await own(full, 'file', mode, { group, ...(uid !== undefined && mayGiveToUser(uid) ? { uid } : {}) });
  }
  for (const folder of folders) await own(folder, 'directory', directoryMode, { group });
}

/** `a` and `a/b` of `a/b/c`. */
function foldersOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, i) => names.slice(0, i + 1).join('/'));
}

/** `..2006_01_02_15_04_05.` and digits that make it new. */
function newVersionName(now: number): string {
  const time = new Date(now).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '_');
  return `..${time}.${randomInt(1e9, 1e10)}`;
}

/** The names that a volume shows: the first elements of its files' paths. */
function namesOf(wanted: ReadonlyMap<string, VolumeFile>): Set<string> {
  return new Set([...wanted.keys()].map((path) => path.split('/')[0] ?? path));
}

async function showNames(directory: string, wanted: ReadonlyMap<string, VolumeFile>): Promise<void> {
  for (const name of namesOf(wanted)) {
    const link = join(directory, name);
    const target = `${dataLink}/${name}`;
    if ((await targetOf(link)) === target) continue;
    await removeTree(link);
    await symlink(target, link);
  }
}

/** Removes links to files that are gone, and versions but the present one, those of interrupted writes included. */
async function removeOld(directory: string, version: string, wanted: ReadonlyMap<string, VolumeFile>): Promise<void> {
  const names = namesOf(wanted);
  for (const entry of await readdir(directory)) {
    const path = join(directory, entry);
    const isOldVersion = versionName.test(entry) && entry !== version;
    const isOldName =
      !entry.startsWith('..') && !names.has(entry) && (await targetOf(path))?.startsWith(`${dataLink}/`) === true;
    if (isOldVersion || isOldName || entry === newDataLink) await removeTree(path);
  }
}
