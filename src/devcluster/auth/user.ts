/** Who makes a request. */
export interface User {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid?: string;
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Everybody who proved who they are is in this group. */
export function authenticated(user: User): User {
  return user.groups.includes('system:authenticated')
    ? user
    : { ...user, groups: [...user.groups, 'system:authenticated'] };
}

/** The node that a user is, when it is one: user `system:node:<name>` in group `system:nodes`. */
export function nodeIdentity({ name, groups }: User): string | undefined {
  return groups.includes('system:nodes') && name.startsWith('system:node:')
    ? name.slice('system:node:'.length)
    : undefined;
}
