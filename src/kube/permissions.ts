import type { V1SelfSubjectAccessReview, V1SelfSubjectReview } from '@kubernetes/client-node';

import { forbidden } from '../core/errors.ts';
import type { Wire } from '../core/objects.ts';
import type { KubeApi } from './api.ts';
import { leaseNamespace } from './node-lease.ts';

/** One thing that the daemon must be allowed to do, in RBAC's words. */
export interface Permission {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `pods/status`. */
  readonly resource: string;
  readonly namespace?: string;
  /** The one object that it is about; absent for all. */
  readonly name?: string;
  /** What fails without it, for whoever has to grant it. */
  readonly purpose: string;
}

/**
 * Everything that the daemon asks of an API server for the features it cannot do without. `charts/anylet` grants
 * exactly this and what single pods need (secrets, configmaps, tokens), and a test holds the two together.
 */
export function neededPermissions(nodeName: string): readonly Permission[] {
  const node = { group: '', resource: 'nodes' };
  const lease = {
    group: 'coordination.k8s.io',
    resource: 'leases',
    namespace: leaseNamespace,
    purpose: 'renew the lease of the node',
  };
  return [
    { verb: 'create', ...node, purpose: 'register the node' },
    ...['get', 'patch'].map((verb) => ({ verb, ...node, name: nodeName, purpose: 'register the node' })),
    ...['list', 'watch'].map((verb) => ({
      verb,
      ...node,
      name: nodeName,
      purpose: 'notice that the node is changed or deleted',
    })),
    { verb: 'patch', group: '', resource: 'nodes/status', name: nodeName, purpose: 'report the state of the node' },
    { verb: 'create', ...lease },
    ...['get', 'update'].map((verb) => ({ verb, ...lease, name: nodeName })),
    ...['list', 'watch'].map((verb) => ({ verb, group: '', resource: 'pods', purpose: 'learn which pods to run' })),
    { verb: 'delete', group: '', resource: 'pods', purpose: 'finish the deletion of pods' },
    { verb: 'patch', group: '', resource: 'pods/status', purpose: 'report the state of pods' },
    ...['list', 'watch'].map((verb) => ({
      verb,
      group: '',
      resource: 'services',
      purpose: 'set the service variables of containers',
    })),
    ...['create', 'patch'].map((verb) => ({ verb, group: '', resource: 'events', purpose: 'record events' })),
    {
      verb: 'create',
      group: 'authentication.k8s.io',
      resource: 'tokenreviews',
      purpose: 'authenticate callers of the kubelet API',
    },
    {
      verb: 'create',
      group: 'authorization.k8s.io',
      resource: 'subjectaccessreviews',
      purpose: 'authorize callers of the kubelet API',
    },
  ];
}

/**
 * What of {@link neededPermissions} the API server would refuse. A node's own identity is not asked about: the Node
 * authorizer answers for single objects, not for kinds.
 *
 * @throws `Forbidden` for the identity of another node
 */
export async function missingPermissions(
  api: KubeApi,
  nodeName: string,
  signal?: AbortSignal,
): Promise<readonly Permission[]> {
  const self = await api.request<Wire<V1SelfSubjectReview>>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
    signal,
  });
  const { username = '', groups = [] } = self.status?.userInfo ?? {};
  if (groups.includes('system:nodes')) {
    if (username === `system:node:${nodeName}`) return [];
    throw forbidden(
      `the credentials are those of ${username}, and may not write node ${nodeName}: give the --node-name that they are for`,
    );
  }
  const needed = neededPermissions(nodeName);
  const answers = await Promise.all(needed.map((permission) => isAllowed(api, permission, signal)));
  return needed.filter((_, i) => answers[i] === false);
}

async function isAllowed(api: KubeApi, permission: Permission, signal?: AbortSignal): Promise<boolean> {
  const { verb, group, namespace, name } = permission;
  const [resource, subresource] = permission.resource.split('/');
  const review = await api.request<Wire<V1SelfSubjectAccessReview>>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: {
        resourceAttributes: {
          verb,
          group,
          resource,
          ...(subresource !== undefined && { subresource }),
          ...(namespace !== undefined && { namespace }),
          ...(name !== undefined && { name }),
        },
      },
    },
    signal,
  });
  return review.status?.allowed === true;
}

/** One message that names all of them, a line each, to end the start with. */
export function permissionsSentence(missing: readonly Permission[]): string {
  const lines = missing.map(({ verb, group, resource, name, namespace, purpose }) => {
    const kind = group === '' ? resource : `${resource}.${group}`;
    const which = name === undefined ? '' : ` ${JSON.stringify(name)}`;
    const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
    return `  ${verb} ${kind}${which}${where} (to ${purpose})`;
  });
  return `the credentials lack permissions that the node needs:\n${lines.join('\n')}`;
}
