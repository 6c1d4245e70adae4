/**
 * The roles and bindings that a cluster has from the beginning: those of Kubernetes that people and programs refer to
 * (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go), and kubeadm's for kubelets.
 */
import type { JsonObject } from '../json.ts';
import { rbacGroup } from '../kinds/rbac.ts';

type Rule = Readonly<
  Record<'verbs', readonly string[]> &
    Partial<Record<'apiGroups' | 'resources' | 'resourceNames' | 'nonResourceURLs', readonly string[]>>
>;

interface BootstrapRole {
  readonly rules?: readonly Rule[];
  /** The roles whose rules this one collects: those that aggregate to it. */
  readonly collects?: string;
  readonly aggregatesTo?: string;
}

const words = (text: string) => text.split(' ');
/** `rule('get list', 'apps', 'deployments replicasets')`; the core group is `core`. */
const rule = (verbs: string, groups: string, resources: string, names?: string): Rule => ({
  verbs: words(verbs),
  apiGroups: words(groups).map((group) => (group === 'core' ? '' : group)),
  resources: words(resources),
  ...(names !== undefined && { resourceNames: words(names) }),
});
const paths = (urls: string): Rule => ({ verbs: ['get'], nonResourceURLs: words(urls) });

const read = 'get list watch';
const write = 'create delete deletecollection patch update';
const everything = 'create delete deletecollection get list patch update watch';
const health = '/healthz /livez /readyz /version /version/';
const certificates = 'certificates.k8s.io';

const clusterRoles: Readonly<Record<string, BootstrapRole>> = {
  'cluster-admin': { rules: [rule('*', '*', '*'), { verbs: ['*'], nonResourceURLs: ['*'] }] },
  admin: { collects: 'admin' },
  edit: { collects: 'edit', aggregatesTo: 'admin' },
  view: { collects: 'view', aggregatesTo: 'edit' },
  'system:aggregate-to-admin': {
    aggregatesTo: 'admin',
    rules: [
      rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
      rule(everything, rbacGroup, 'rolebindings roles'),
    ],
  },
  'system:aggregate-to-edit': {
    aggregatesTo: 'edit',
    rules: [
      rule(read, 'core', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
      rule('impersonate', 'core', 'serviceaccounts'),
      rule(write, 'core', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
      rule('create', 'core', 'pods/eviction'),
      rule(
        write,
        'core',
        'configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy',
      ),
      rule('create', 'core', 'serviceaccounts/token'),
      rule(write, 'core events.k8s.io', 'events'),
      rule(
        write,
        'apps',
        'daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale',
      ),
      rule(write, 'autoscaling', 'horizontalpodautoscalers'),
      rule(write, 'batch', 'cronjobs jobs'),
      rule(write, 'policy', 'poddisruptionbudgets'),
      rule(write, 'networking.k8s.io', 'ingresses networkpolicies'),
      rule(everything, 'coordination.k8s.io', 'leases'),
    ],
  },
  'system:aggregate-to-view': {
    aggregatesTo: 'view',
    rules: [
      rule(
        read,
        'core',
        'configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status',
      ),
      rule(
        read,
        'core',
        'bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
      ),
      rule(read, 'core', 'namespaces'),
      rule(read, 'core events.k8s.io', 'events'),
      rule(read, 'discovery.k8s.io', 'endpointslices'),
      rule(
        read,
        'apps',
        'controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status',
      ),
      rule(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
      rule(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
      rule(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
      rule(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
    ],
  },
  'system:discovery': {
    rules: [paths(`/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/`)],
  },
  'system:public-info-viewer': { rules: [paths(health)] },
  'system:basic-user': {
    rules: [
      rule('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      rule('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  'system:monitoring': {
    rules: [
      paths('/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz'),
      rule('get', 'core', 'nodes/metrics'),
    ],
  },
  'system:auth-delegator': {
    rules: [
      rule('create', 'authentication.k8s.io', 'tokenreviews'),
      rule('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    ],
  },
  'system:kubelet-api-admin': {
    rules: [
      rule(read, 'core', 'nodes'),
      rule('proxy', 'core', 'nodes'),
      rule('*', 'core', 'nodes/log nodes/metrics nodes/proxy nodes/stats'),
      rule('*', 'core', 'nodes/configz nodes/healthz nodes/pods'),
    ],
  },
  'system:node-bootstrapper': { rules: [rule('create get list watch', certificates, 'certificatesigningrequests')] },
  'system:node': {
    rules: [
      rule('create', 'authentication.k8s.io', 'tokenreviews'),
      rule('create', 'authorization.k8s.io', 'localsubjectaccessreviews subjectaccessreviews'),
      rule(read, 'core', 'services'),
      rule('create get list watch', 'core', 'nodes'),
      rule('patch update', 'core', 'nodes/status'),
      rule('patch update', 'core', 'nodes'),
      rule('create patch update', 'core events.k8s.io', 'events'),
      rule(read, 'core', 'pods'),
      rule('create delete', 'core', 'pods'),
      rule('patch update', 'core', 'pods/status'),
      rule('create', 'core', 'pods/eviction'),
      rule(read, 'core', 'configmaps secrets'),
      rule('get', 'core', 'persistentvolumeclaims persistentvolumes'),
      rule('get', 'core', 'endpoints'),
      rule('create get list watch', certificates, 'certificatesigningrequests'),
      rule('create delete get patch update', 'coordination.k8s.io', 'leases'),
      rule('get', 'storage.k8s.io', 'volumeattachments'),
      rule('create', 'core', 'serviceaccounts/token'),
      rule('get patch update', 'core', 'persistentvolumeclaims/status'),
      rule(read, 'storage.k8s.io', 'csidrivers'),
      rule('create delete get patch update', 'storage.k8s.io', 'csinodes'),
      rule(read, 'node.k8s.io', 'runtimeclasses'),
      rule('get', 'core', 'serviceaccounts'),
    ],
  },
  'system:node-problem-detector': {
    rules: [
      rule('get', 'core', 'nodes'),
      rule('patch', 'core', 'nodes/status'),
      rule('create patch update', 'core events.k8s.io', 'events'),
    ],
  },
  'system:node-proxier': {
    rules: [
      rule('list watch', 'core', 'endpoints services'),
      rule(read, 'core', 'nodes'),
      rule('create patch update', 'core events.k8s.io', 'events'),
      rule('list watch', 'discovery.k8s.io', 'endpointslices'),
    ],
  },
  'system:persistent-volume-provisioner': {
    rules: [
      rule('create delete get list watch', 'core', 'persistentvolumes'),
      rule('get list update watch', 'core', 'persistentvolumeclaims'),
      rule(read, 'storage.k8s.io', 'storageclasses'),
      rule('watch', 'core', 'events'),
      rule('create patch update', 'core events.k8s.io', 'events'),
    ],
  },
  ...Object.fromEntries(
    ['nodeclient', 'selfnodeclient'].map((use) => [
      `system:${certificates}:certificatesigningrequests:${use}`,
      { rules: [rule('create', certificates, `certificatesigningrequests/${use}`)] },
    ]),
  ),
  ...Object.fromEntries(
    ['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving', 'legacy-unknown'].map((signer) => [
      `system:${certificates}:${signer}-approver`,
      { rules: [rule('approve', certificates, 'signers', `kubernetes.io/${signer}`)] },
    ]),
  ),
};

interface BootstrapBinding {
  readonly role: string;
  readonly groups?: readonly string[];
  readonly users?: readonly string[];
}

const clusterRoleBindings: Readonly<Record<string, BootstrapBinding>> = {
  'cluster-admin': { role: 'cluster-admin', groups: ['system:masters'] },
  'system:basic-user': { role: 'system:basic-user', groups: ['system:authenticated'] },
  'system:discovery': { role: 'system:discovery', groups: ['system:authenticated'] },
  'system:monitoring': { role: 'system:monitoring', groups: ['system:monitoring'] },
  // Nodes are the Node authorizer's business.
  'system:node': { role: 'system:node' },
  'system:node-proxier': { role: 'system:node-proxier', users: ['system:kube-proxy'] },
  'system:public-info-viewer': {
    role: 'system:public-info-viewer',
    groups: ['system:authenticated', 'system:unauthenticated'],
  },
  'kube-apiserver-kubelet-client': { role: 'system:kubelet-api-admin', users: ['kube-apiserver-kubelet-client'] },
  'kubeadm:kubelet-bootstrap': { role: 'system:node-bootstrapper', groups: ['system:bootstrappers'] },
  'kubeadm:node-autoapprove-bootstrap': {
    role: `system:${certificates}:certificatesigningrequests:nodeclient`,
    groups: ['system:bootstrappers'],
  },
  'kubeadm:node-autoapprove-certificate-rotation': {
    role: `system:${certificates}:certificatesigningrequests:selfnodeclient`,
    groups: ['system:nodes'],
  },
};

const roles: readonly { readonly namespace: string; readonly name: string; readonly rules: readonly Rule[] }[] = [
  {
    namespace: 'kube-system',
    name: 'extension-apiserver-authentication-reader',
    rules: [rule(read, 'core', 'configmaps', 'extension-apiserver-authentication')],
  },
];

const aggregationLabel = (to: string) => `${rbacGroup}/aggregate-to-${to}`;

function metadata(name: string, more: Readonly<Record<string, string>> = {}): JsonObject {
  return {
    name,
    labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...more },
    annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
  };
}

/** An object of the bootstrap policy, to be created. */
export interface BootstrapObject {
  readonly kind: string;
  readonly namespace?: string;
  readonly body: JsonObject;
}

export function bootstrapPolicy(): BootstrapObject[] {
  const plain = (value: unknown) => structuredClone(value) as JsonObject[];
  return [
    ...Object.entries(clusterRoles).map(([name, { rules = [], collects, aggregatesTo }]) => ({
      kind: 'ClusterRole',
      body: {
        metadata: metadata(name, aggregatesTo === undefined ? {} : { [aggregationLabel(aggregatesTo)]: 'true' }),
        rules: plain(collects === undefined ? rules : collected(collects)),
        ...(collects !== undefined && {
          aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregationLabel(collects)]: 'true' } }] },
        }),
      },
    })),
    ...Object.entries(clusterRoleBindings).map(([name, { role, groups = [], users = [] }]) => ({
      kind: 'ClusterRoleBinding',
      body: {
        metadata: metadata(name),
        subjects: [
          ...groups.map((group) => ({ kind: 'Group', apiGroup: rbacGroup, name: group })),
          ...users.map((user) => ({ kind: 'User', apiGroup: rbacGroup, name: user })),
        ],
        roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: role },
      },
    })),
    ...roles.map(({ namespace, name, rules }) => ({
      kind: 'Role',
      namespace,
      body: { metadata: metadata(name), rules: plain(rules) },
    })),
  ];
}

/** What the aggregation would put into a role of this policy, so that it holds from the first moment. */
function collected(to: string): Rule[] {
  return Object.values(clusterRoles)
    .filter((role) => role.aggregatesTo === to)
    .flatMap((role) => (role.collects === undefined ? (role.rules ?? []) : collected(role.collects)));
}
