import { chmod, lchown } from 'node:fs/promises';

/** Of a volume with a group: what its files get on top of their mode. */
const groupReads = 0o440;
const groupEnters = 0o2110;

/** True when this process may give files to the group. */
export function mayGiveToGroup(gid: number): boolean {
  return process.getuid?.() === 0 || process.getgid?.() === gid || (process.getgroups?.() ?? []).includes(gid);
}

/** True when this process may give files to the user. */
export function mayGiveToUser(uid: number): boolean {
  const own = process.getuid?.();
  return own === 0 || own === uid;
}

/** A content file's mode once its volume belongs to a group, which may read it. */
export function modeWithGroup(mode: number, group: number | undefined): number {
  return group === undefined ? mode : mode | groupReads;
}

/**
 * Gives a file or folder its owner, as far as one is named, and then its mode. A folder of a group hands the group on
 * to what is made in it. Follows `SetVolumeOwnership` of pkg/volume/volume_linux.go.
 */
export async function own(
  path: string,
  kind: 'file' | 'directory',
  mode: number,
  owner: { readonly uid?: number | undefined; readonly group: number | undefined },
): Promise<void> {
  if (owner.uid !== undefined || owner.group !== undefined) await lchown(path, owner.uid ?? -1, owner.group ?? -1);
  const shared = modeWithGroup(mode, owner.group);
  // Changing the owner may clear bits of the mode: it comes last.
  await chmod(path, kind === 'directory' && owner.group !== undefined ? shared | groupEnters : shared);
}
