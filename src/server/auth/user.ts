/** Who a request is from, as Kubernetes' authenticators describe it (`authentication/user.Info`). */
export interface User {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** The user of requests without credentials, where those are allowed at all. */
export const anonymousUser: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };

/** The group that every authenticated user belongs to is added to those that the credential names. */
export function authenticated(user: User): User {
  const group = 'system:authenticated';
  return user.groups.includes(group) ? user : { ...user, groups: [...user.groups, group] };
}
