/** Acting as somebody else. Follows k8s.io/apiserver/pkg/endpoints/filters/impersonation. */
import type { IncomingHttpHeaders } from 'node:http';

import { badRequest, forbidden } from '../api-error.ts';
import { refusalMessage, resourceOf, type Attributes, type Authorizer } from '../auth/authorizer.ts';
import { authenticated, type User } from '../auth/user.ts';
import type { RequestInfo } from './request-info.ts';

const extraPrefix = 'impersonate-extra-';
const serviceAccountPrefix = 'system:serviceaccount:';

/** The user that a request is made as: `user`, or whom its headers name when `user` may act as that one. */
export function impersonated(
  headers: IncomingHttpHeaders,
  user: User,
  info: RequestInfo,
  authorizer: Authorizer,
): User {
  const one = (name: string) => String(headers[name] ?? '');
  const name = one('impersonate-user');
  const uid = one('impersonate-uid');
  const groups = headers['impersonate-group'] === undefined ? [] : one('impersonate-group').split(', ');
  const extra: Record<string, string[]> = {};
  for (const [header, value] of Object.entries(headers))
    if (header.startsWith(extraPrefix) && value !== undefined)
      extra[decodeURIComponent(header.slice(extraPrefix.length))] = [value].flat();
  if (name === '') {
    if (groups.length === 0 && uid === '' && Object.keys(extra).length === 0) return user;
    const shownGroups = groups.map((group) => JSON.stringify(group)).join(', ');
    throw badRequest(
      `requested &user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:[]string${groups.length === 0 ? '(nil)' : `{${shownGroups}}`}, Extra:map[string][]string${Object.keys(extra).length === 0 ? '(nil)' : '{}'}} without impersonating a user name`,
    );
  }
  const allowed = asked(name, uid, groups, extra).every((attributes) => authorizer(user, attributes).allowed);
  if (!allowed) {
    const attributes: Attributes = { ...info, verb: `impersonate-on:user-info:${info.verb}` };
    const about = 'path' in attributes ? '' : (attributes.name ?? '');
    throw forbidden(resourceOf(attributes), about, refusalMessage(user, attributes, undefined));
  }
  const account = name.startsWith(serviceAccountPrefix)
    ? name.slice(serviceAccountPrefix.length).split(':')
    : undefined;
  const ownGroups =
    groups.length === 0 && account !== undefined
      ? ['system:serviceaccounts', `system:serviceaccounts:${account[0]}`]
      : groups;
  const next = {
    name,
    groups: ownGroups,
    ...(uid !== '' && { uid }),
    ...(Object.keys(extra).length > 0 && { extra }),
  };
  return name === 'system:anonymous'
    ? { ...next, groups: [...ownGroups, 'system:unauthenticated'] }
    : authenticated(next);
}

/** The right to impersonate each of the parts. */
function asked(
  name: string,
  uid: string,
  groups: readonly string[],
  extra: Readonly<Record<string, readonly string[]>>,
): Attributes[] {
  const verb = 'impersonate';
  const [namespace, account] = name.startsWith(serviceAccountPrefix)
    ? name.slice(serviceAccountPrefix.length).split(':')
    : [];
  const about = { verb, group: 'authentication.k8s.io' };
  return [
    account === undefined
      ? { verb, group: '', resource: 'users', name }
      : { verb, group: '', resource: 'serviceaccounts', namespace, name: account },
    ...groups.map((group) => ({ verb, group: '', resource: 'groups', name: group })),
    ...(uid === '' ? [] : [{ ...about, resource: 'uids', name: uid }]),
    ...Object.entries(extra).flatMap(([key, values]) =>
      values.map((value) => ({ ...about, resource: 'userextras', subresource: key, name: value })),
    ),
  ];
}
