import { readFile } from 'node:fs/promises';

/** What the machine's own password file says of a user. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** The account of a user ID in `/etc/passwd`, or `undefined`. Read afresh: it is small, and it changes. */
export async function accountOf(uid: number): Promise<Account | undefined> {
  let file: string;
  try {
    file = await readFile('/etc/passwd', 'utf8');
  } catch {
    return undefined;
  }
  return parsePasswd(file).find((account) => account.uid === uid);
}

/** The lines of passwd(5) that are well formed. */
export function parsePasswd(file: string): Account[] {
  return file.split('\n').flatMap((line) => {
    const [, , uid, gid, , home] = line.split(':');
    return /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? '') && home !== undefined
      ? [{ uid: Number(uid), gid: Number(gid), home: home === '' ? '/' : home }]
      : [];
  });
}
