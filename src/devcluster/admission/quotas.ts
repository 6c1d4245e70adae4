/** Keeps namespaces within their quotas. Follows k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go. */
import type { Container, Pod } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import { forbidden } from '../api-error.ts';
import type { ApiObject } from '../api-object.ts';
import { inScope, quotaUsage } from '../controllers/quota-usage.ts';
import type { ResourceQuota } from '../controllers/types.ts';
import type { ResourceStore } from '../store.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const quotas = { group: '', resource: 'resourcequotas' };
/** Where a quota limits one of these, every container must name it. */
const namedByAll = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory'];

/** Refuses what would exceed a quota; what is accepted is counted at once, not when a controller comes by. */
export function resourceQuotas(store: ResourceStore): AdmissionPlugin {
  return {
    validate(request) {
      const { operation, namespace, subresource, object, kind } = request;
      if (namespace === undefined || object === undefined || operation === 'DELETE') return;
      if (subresource !== undefined && subresource !== 'resize') return;
      const own = store.list(quotas, namespace);
      if (own.length === 0 || kind.kind === 'Event') return;
      const charged = own.map((quota) => ({ quota, used: charge(request, quota as unknown as ResourceQuota) }));
      if (request.dryRun) return;
      for (const { quota, used } of charged)
        if (used !== undefined)
          store.put(quotas, { ...quota, status: { ...(quota['status'] as object | undefined), used } });
    },
  };
}

/** What is used with the object counted; undefined when the quota has nothing to do with it. */
function charge(request: AdmissionRequest, quota: ResourceQuota): Record<string, string> | undefined {
  const { kind, name, object, previous } = request;
  const { hard = {}, used = {} } = quota.status ?? {};
  if (kind.kind === 'Pod' && inScope(quota.spec, object as unknown as Pod)) checkNamed(request, quota);
  const limited = { ...quota, spec: { ...quota.spec, hard } };
  const after = usageOf(limited, object as ApiObject);
  const before = previous === undefined ? {} : usageOf(limited, previous);
  const requested: Record<string, string> = {};
  for (const [resource, amount] of Object.entries(after)) {
    const delta = Quantity.parse(amount).subtract(Quantity.parse(before[resource] ?? '0'));
    if (delta.nanos > 0n) requested[resource] = delta.toString();
  }
  if (Object.keys(requested).length === 0) return undefined;
  const total = { ...used };
  for (const [resource, delta] of Object.entries(requested))
    total[resource] = Quantity.parse(used[resource] ?? '0')
      .add(Quantity.parse(delta))
      .toString();
  const exceeded = Object.keys(requested)
    .filter((resource) => Quantity.parse(total[resource] ?? '0').nanos > Quantity.parse(hard[resource] ?? '0').nanos)
    .sort();
  if (exceeded.length === 0) return total;
  const shown = (amounts: Readonly<Record<string, string>>) =>
    exceeded.map((resource) => `${resource}=${amounts[resource] ?? '0'}`).join(',');
  throw forbidden(
    kind,
    name,
    `exceeded quota: ${quota.metadata.name}, requested: ${shown(requested)}, used: ${shown(used)}, limited: ${shown(hard)}`,
  );
}

function usageOf(quota: ResourceQuota, object: ApiObject): Record<string, string> {
  return quotaUsage(quota, <T>(kind: string) => (kind === object.kind ? [object as unknown as T] : []));
}

function checkNamed({ kind, name, object, operation }: AdmissionRequest, { metadata, status }: ResourceQuota): void {
  if (operation !== 'CREATE') return;
  const { spec } = object as unknown as Pod;
  const required = Object.keys(status?.hard ?? {}).filter((resource) => namedByAll.includes(resource));
  const missing = required.sort().flatMap((resource) => {
    const without = [...spec.containers, ...(spec.initContainers ?? [])].filter((c) => !names(c, resource));
    return without.length === 0
      ? []
      : [
          `${resource} for: ${without
            .map((c) => c.name)
            .sort()
            .join(',')}`,
        ];
  });
  if (missing.length > 0)
    throw forbidden(kind, name, `failed quota: ${metadata.name}: must specify ${missing.join('; ')}`);
}

function names({ resources }: Container, resource: string): boolean {
  const [, part, amount = resource] = /^(requests|limits)\.(.+)$/.exec(resource) ?? [];
  return (part === 'limits' ? resources?.limits : resources?.requests)?.[amount] !== undefined;
}
