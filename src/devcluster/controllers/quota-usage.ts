/** What of a quota the objects of a namespace use up. Follows k8s.io/apiserver/pkg/quota and pkg/quota/v1/evaluator/core. */
import type { Pod } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import { podLimits, podRequests } from '../scheduling/pod-resources.ts';
import { meets } from '../selectors.ts';
import { isPodFinished } from './pod-state.ts';
import type { PersistentVolumeClaim, ResourceQuota, StoredService } from './types.ts';

/** Where the objects of a kind in the quota's namespace come from. */
export type Lister = <T>(kind: string) => readonly T[];

/** Resources that are counted by objects, and the kinds of those. */
const counted: Readonly<Record<string, string>> = {
  pods: 'Pod',
  services: 'Service',
  replicationcontrollers: 'ReplicationController',
  resourcequotas: 'ResourceQuota',
  secrets: 'Secret',
  configmaps: 'ConfigMap',
  persistentvolumeclaims: 'PersistentVolumeClaim',
};
const byCount: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(counted).map(([name, kind]) => [`count/${name}`, kind])),
  'count/deployments.apps': 'Deployment',
  'count/replicasets.apps': 'ReplicaSet',
  'count/statefulsets.apps': 'StatefulSet',
  'count/daemonsets.apps': 'DaemonSet',
  'count/jobs.batch': 'Job',
  'count/cronjobs.batch': 'CronJob',
  'count/ingresses.networking.k8s.io': 'Ingress',
};

/** The use of every resource that the quota limits. */
export function quotaUsage({ spec }: ResourceQuota, list: Lister): Record<string, string> {
  const pods = list<Pod>('Pod').filter((pod) => !isPodFinished(pod) && inScope(spec, pod));
  return Object.fromEntries(
    Object.keys(spec.hard ?? {}).flatMap((resource) => {
      const used = usedOf(resource, pods, list);
      return used === undefined ? [] : [[resource, used.toString()]];
    }),
  );
}

function usedOf(resource: string, pods: readonly Pod[], list: Lister): Quantity | undefined {
  if (resource === 'pods') return Quantity.of(pods.length);
  const kind = counted[resource] ?? byCount[resource];
  if (kind !== undefined) return Quantity.of(list(kind).length);
  if (resource.startsWith('services.')) {
    const services = list<StoredService>('Service');
    if (resource === 'services.loadbalancers')
      return Quantity.of(services.filter(({ spec }) => spec.type === 'LoadBalancer').length);
    if (resource !== 'services.nodeports') return undefined;
    return Quantity.of(
      services.reduce((sum, { spec }) => sum + (spec.ports ?? []).filter(({ nodePort }) => nodePort).length, 0),
    );
  }
  const [, className, ofClass] = /^(.+)\.storageclass\.storage\.k8s\.io\/(.+)$/.exec(resource) ?? [];
  const claims = list<PersistentVolumeClaim>('PersistentVolumeClaim').filter(
    ({ spec }) => className === undefined || spec.storageClassName === className,
  );
  if (ofClass === 'persistentvolumeclaims') return Quantity.of(claims.length);
  if ((ofClass ?? resource) === 'requests.storage')
    return claims.reduce(
      (sum, { spec }) => sum.add(Quantity.parse(spec.resources?.requests?.['storage'] ?? '0')),
      Quantity.of(0),
    );
  const [, part, name = resource] = /^(requests|limits)\.(.+)$/.exec(resource) ?? [];
  const of = part === 'limits' ? podLimits : podRequests;
  return pods.reduce((sum, pod) => sum.add(of(pod.spec).get(name) ?? Quantity.of(0)), Quantity.of(0));
}

/** True when all scopes of the quota hold of the pod. */
export function inScope({ scopes = [], scopeSelector }: ResourceQuota['spec'], pod: Pod): boolean {
  const requirements = [
    ...scopes.map((scopeName) => ({ scopeName, operator: 'Exists', values: [] })),
    ...(scopeSelector?.matchExpressions ?? []),
  ];
  return requirements.every(({ scopeName, operator, values = [] }) => {
    const { spec } = pod;
    switch (scopeName) {
      case 'Terminating':
        return spec.activeDeadlineSeconds !== undefined;
      case 'NotTerminating':
        return spec.activeDeadlineSeconds === undefined;
      case 'BestEffort':
        return podRequests(spec).size + podLimits(spec).size === 0;
      case 'NotBestEffort':
        return podRequests(spec).size + podLimits(spec).size > 0;
      case 'PriorityClass':
        return meets({ key: scopeName, operator, values }, spec.priorityClassName || undefined);
      default:
        return false;
    }
  });
}
