import { open, mkdir, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';

import { conflict, invalidInput } from '../../core/errors.ts';
import type { Volume } from '../../core/objects.ts';
import { systemCode } from './directories.ts';

type HostPath = NonNullable<Volume['hostPath']>;

const directoryMode = 0o755;
const fileMode = 0o644;

/** What must lie at the path, and how the kubelet says that it does not. */
const checks: Readonly<Record<string, { readonly is: (stats: Stats) => boolean; readonly called: string }>> = {
  Directory: { is: (s) => s.isDirectory(), called: 'a directory' },
  DirectoryOrCreate: { is: (s) => s.isDirectory(), called: 'a directory' },
  File: { is: (s) => s.isFile(), called: 'a file' },
  FileOrCreate: { is: (s) => s.isFile(), called: 'a file' },
  Socket: { is: (s) => s.isSocket(), called: 'a socket file' },
  CharDevice: { is: (s) => s.isCharacterDevice(), called: 'a character device' },
  BlockDevice: { is: (s) => s.isBlockDevice(), called: 'a block device' },
};

/**
 * Checks that what a hostPath volume names is of its type, and makes it where the type says so; without a type
 * nothing is looked at. Resolves with the path. Follows pkg/volume/hostpath/host_path.go.
 */
export async function prepareHostPath({ path, type }: HostPath): Promise<string> {
  if (!path.startsWith('/') || path.split('/').includes('..'))
    throw invalidInput(`hostPath ${path} must be absolute, without '..'`);
  if (type === undefined || type === '') return path;
  const check = Object.hasOwn(checks, type) ? checks[type] : undefined;
  if (check === undefined) throw invalidInput(`${type} is an invalid volume type`);
  const present = await statOf(path);
  if (present === undefined && type === 'DirectoryOrCreate')
    await mkdir(path, { recursive: true, mode: directoryMode });
  else if (present === undefined && type === 'FileOrCreate') await (await open(path, 'a', fileMode)).close();
  else if (present === undefined || !check.is(present))
    throw conflict(`hostPath type check failed: ${path} is not ${check.called}`);
  return path;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (err) {
    if (systemCode(err) === 'ENOENT' || systemCode(err) === 'ENOTDIR') return undefined;
    throw err;
  }
}
