/** Kinds that say how much and how important; follows their packages in pkg/apis and pkg/registry. */
import type {
  V1LimitRange,
  V1LimitRangeItem,
  V1PodDisruptionBudget,
  V1PriorityClass,
  V1ResourceQuota,
  V1RuntimeClass,
  V2HorizontalPodAutoscaler,
  V2HPAScalingRules,
  V2MetricSpec,
  V2MetricStatus,
} from '@kubernetes/client-node';

import type { Wire } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import {
  fieldDuplicate,
  fieldForbidden,
  fieldInvalid,
  fieldNotSupported,
  fieldRequired,
  type FieldError,
} from '../api-error.ts';
import type { ApiObject, DraftObject } from '../api-object.ts';
import { equalJson } from '../json.ts';
import { nameError } from '../names.ts';
import { ageColumn, listText, nameColumn } from './columns.ts';
import { row, type Kind } from './kind.ts';

type AutoscalerSpec = NonNullable<Wire<V2HorizontalPodAutoscaler>['spec']>;
type BudgetSpec = NonNullable<Wire<V1PodDisruptionBudget>['spec']>;

const budget = (o: ApiObject | DraftObject) => o as unknown as Wire<V1PodDisruptionBudget>;
const autoscaler = (o: ApiObject | DraftObject) =>
  o as unknown as Wire<V2HorizontalPodAutoscaler> & { spec: AutoscalerSpec };
const priorityClass = (o: ApiObject | DraftObject) => o as unknown as Wire<V1PriorityClass>;
const runtimeClass = (o: ApiObject) => o as unknown as Wire<V1RuntimeClass>;
const limitRange = (o: ApiObject | DraftObject) => o as unknown as Wire<V1LimitRange>;
const quota = (o: ApiObject) => o as unknown as Wire<V1ResourceQuota>;

const podDisruptionBudgetKind = row({
  group: 'policy',
  kind: 'PodDisruptionBudget',
  resource: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  namespaced: true,
  status: true,
  generation: true,
  columns: [
    nameColumn,
    { name: 'Min Available', cell: (o) => String(budget(o).spec?.minAvailable ?? 'N/A') },
    { name: 'Max Unavailable', cell: (o) => String(budget(o).spec?.maxUnavailable ?? 'N/A') },
    { name: 'Allowed Disruptions', type: 'integer', cell: (o) => budget(o).status?.disruptionsAllowed ?? 0 },
    ageColumn,
  ],
  prepareCreate(draft) {
    draft['status'] = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
  },
  validate(object) {
    const spec: BudgetSpec = budget(object).spec ?? {};
    const errors: FieldError[] = [];
    if (spec.minAvailable !== undefined && spec.maxUnavailable !== undefined) {
      const shown = {
        MinAvailable: spec.minAvailable,
        Selector: spec.selector ?? null,
        MaxUnavailable: spec.maxUnavailable,
        UnhealthyPodEvictionPolicy: spec.unhealthyPodEvictionPolicy ?? null,
      };
      errors.push(fieldInvalid('spec', shown, 'minAvailable and maxUnavailable cannot be both set'));
    }
    for (const field of ['minAvailable', 'maxUnavailable'] as const)
      errors.push(...validateCountOrPercent(spec[field], `spec.${field}`));
    for (const [i, { operator }] of (spec.selector?.matchExpressions ?? []).entries())
      if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator))
        errors.push(
          fieldInvalid(`spec.selector.matchExpressions[${i}].operator`, operator, 'not a valid selector operator'),
        );
    return errors;
  },
});

function validateCountOrPercent(value: string | number | undefined, at: string): FieldError[] {
  if (value === undefined) return [];
  if (typeof value === 'number')
    return value < 0 ? [fieldInvalid(at, value, 'must be greater than or equal to 0')] : [];
  if (!/^\d+%$/.test(value))
    return [
      fieldInvalid(
        at,
        value,
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
      ),
    ];
  return Number.parseInt(value, 10) > 100 ? [fieldInvalid(at, value, 'must not be greater than 100%')] : [];
}

const scaleUp = {
  stabilizationWindowSeconds: 0,
  selectPolicy: 'Max',
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
} satisfies Wire<V2HPAScalingRules>;
const scaleDown = {
  selectPolicy: 'Max',
  policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
} satisfies Wire<V2HPAScalingRules>;

const horizontalPodAutoscalerKind = row({
  group: 'autoscaling',
  version: 'v2',
  kind: 'HorizontalPodAutoscaler',
  resource: 'horizontalpodautoscalers',
  shortNames: ['hpa'],
  categories: ['all'],
  namespaced: true,
  status: true,
  columns: [
    nameColumn,
    {
      name: 'Reference',
      cell: (o) => `${autoscaler(o).spec.scaleTargetRef.kind}/${autoscaler(o).spec.scaleTargetRef.name}`,
    },
    { name: 'Targets', cell: (o) => metricsText(autoscaler(o)) },
    { name: 'MinPods', cell: (o) => String(autoscaler(o).spec.minReplicas ?? '<unset>') },
    { name: 'MaxPods', cell: (o) => autoscaler(o).spec.maxReplicas },
    { name: 'Replicas', cell: (o) => autoscaler(o).status?.currentReplicas ?? 0 },
    ageColumn,
  ],
  defaults(draft) {
    const { spec } = autoscaler(draft);
    spec.minReplicas ??= 1;
    if ((spec.metrics ?? []).length === 0)
      spec.metrics = [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ];
    if (spec.behavior === undefined) return;
    spec.behavior.scaleUp = { ...structuredClone(scaleUp), ...spec.behavior.scaleUp };
    spec.behavior.scaleDown = { ...structuredClone(scaleDown), ...spec.behavior.scaleDown };
  },
  prepareCreate(draft) {
    draft['status'] = { desiredReplicas: 0, currentMetrics: null };
  },
  validate(object) {
    const { scaleTargetRef, minReplicas = 1, maxReplicas, metrics = [] } = autoscaler(object).spec;
    const errors: FieldError[] = [];
    if (minReplicas < 1)
      errors.push(fieldInvalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
    if (!(maxReplicas > 0)) errors.push(fieldRequired('spec.maxReplicas', 'must be set and greater than 0'));
    if (maxReplicas < minReplicas)
      errors.push(fieldInvalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'));
    for (const field of ['kind', 'name'] as const)
      if (!scaleTargetRef[field]) errors.push(fieldRequired(`spec.scaleTargetRef.${field}`));
    const { apiVersion = '' } = scaleTargetRef;
    if (!apiVersion.includes('/') && scaleTargetRef.kind !== 'ReplicationController')
      errors.push(fieldInvalid('spec.scaleTargetRef.apiVersion', apiVersion, 'apiVersion must specify API group'));
    for (const [i, metric] of metrics.entries()) errors.push(...validateMetric(metric, `spec.metrics[${i}]`));
    return errors;
  },
});

function validateMetric(metric: Wire<V2MetricSpec>, at: string): FieldError[] {
  const types = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource'];
  if (!metric.type) return [fieldRequired(`${at}.type`, 'must specify a metric source type')];
  if (!types.includes(metric.type)) return [fieldNotSupported(`${at}.type`, metric.type, types)];
  if (metric.type !== 'Resource') return [];
  const { resource } = metric;
  if (resource === undefined)
    return [fieldRequired(`${at}.resource`, 'must populate information for the given metric source')];
  const { averageUtilization, averageValue } = resource.target;
  const here = `${at}.resource.target`;
  if (averageUtilization === undefined && averageValue === undefined)
    return [fieldRequired(`${here}.averageUtilization`, 'must set either a target raw value or a target utilization')];
  if (averageUtilization !== undefined && averageValue !== undefined)
    return [fieldForbidden(`${here}.averageValue`, 'may not set both a target raw value and a target utilization')];
  return [];
}

function metricsText({ spec, status }: Wire<V2HorizontalPodAutoscaler> & { spec: AutoscalerSpec }): string {
  const metrics = spec.metrics ?? [];
  if (metrics.length === 0) return '<none>';
  return listText(
    metrics.map((metric, i) => metricText(metric, status?.currentMetrics?.[i])),
    2,
    ', ',
  );
}

const unknown = '<unknown>';

function metricText(metric: Wire<V2MetricSpec>, status: Wire<V2MetricStatus> | undefined): string {
  switch (metric.type) {
    case 'Resource':
    case 'ContainerResource': {
      const source = metric.resource ?? metric.containerResource;
      const current = (status?.resource ?? status?.containerResource)?.current;
      const { averageValue, averageUtilization } = source?.target ?? {};
      if (averageValue !== undefined) return `${source?.name}: ${current?.averageValue ?? unknown}/${averageValue}`;
      const now = current?.averageUtilization === undefined ? unknown : `${current.averageUtilization}%`;
      return `${source?.name}: ${now}/${averageUtilization === undefined ? '<auto>' : `${averageUtilization}%`}`;
    }
    case 'Pods':
      return `${status?.pods?.current.averageValue ?? unknown}/${metric.pods?.target.averageValue}`;
    case 'External':
    case 'Object': {
      const { averageValue, value } = (metric.external ?? metric.object)?.target ?? {};
      const current = (status?.external ?? status?.object)?.current;
      return averageValue === undefined
        ? `${current?.value ?? unknown}/${value}`
        : `${current?.averageValue ?? unknown}/${averageValue} (avg)`;
    }
    default:
      return '<unknown type>';
  }
}

/** The two classes that are always there, and their values. */
export const systemPriorities: Readonly<Record<string, { readonly value: number; readonly description: string }>> = {
  'system-node-critical': {
    value: 2_000_001_000,
    description: 'Used for system critical pods that must not be moved from their current node.',
  },
  'system-cluster-critical': {
    value: 2_000_000_000,
    description:
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  },
};
const highestUserPriority = 1_000_000_000;

const priorityClassKind = row({
  group: 'scheduling.k8s.io',
  kind: 'PriorityClass',
  resource: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  generation: true,
  columns: [
    nameColumn,
    { name: 'Value', type: 'integer', cell: (o) => priorityClass(o).value ?? 0 },
    { name: 'Global-Default', type: 'boolean', cell: (o) => priorityClass(o).globalDefault ?? false },
    ageColumn,
    { name: 'PreemptionPolicy', cell: (o) => priorityClass(o).preemptionPolicy ?? '' },
  ],
  defaults(draft) {
    priorityClass(draft).preemptionPolicy ??= 'PreemptLowerPriority';
  },
  validate(object) {
    const { value = 0, preemptionPolicy = '', globalDefault } = priorityClass(object);
    const { name } = object.metadata;
    const errors: FieldError[] = [];
    if (name.startsWith('system-')) {
      if (systemPriorities[name]?.value !== value || globalDefault === true)
        errors.push(
          fieldForbidden(
            'metadata.name',
            `priority class names with 'system-' prefix are reserved for system use only. error: ${name} is not a known system priority class`,
          ),
        );
    } else if (value > highestUserPriority)
      errors.push(
        fieldForbidden('value', `maximum allowed value of a user defined priority is ${highestUserPriority}`),
      );
    const policies = ['PreemptLowerPriority', 'Never'];
    if (!policies.includes(preemptionPolicy))
      errors.push(fieldNotSupported('preemptionPolicy', preemptionPolicy, policies));
    return errors;
  },
  validateUpdate(next, previous) {
    const now = priorityClass(next);
    const before = priorityClass(previous);
    const errors: FieldError[] = [];
    if (now.value !== before.value) errors.push(fieldForbidden('value', 'may not be changed in an update.'));
    if (now.preemptionPolicy !== before.preemptionPolicy)
      errors.push(fieldInvalid('preemptionPolicy', now.preemptionPolicy, 'field is immutable'));
    return errors;
  },
});

const runtimeClassKind = row({
  group: 'node.k8s.io',
  kind: 'RuntimeClass',
  resource: 'runtimeclasses',
  namespaced: false,
  columns: [nameColumn, { name: 'Handler', cell: (o) => runtimeClass(o).handler }, ageColumn],
  validate(object) {
    const { handler } = runtimeClass(object);
    const wrong = nameError(handler, 'label');
    return wrong === undefined ? [] : [fieldInvalid('handler', handler, wrong)];
  },
  validateUpdate(next, previous) {
    const { handler } = runtimeClass(next);
    return handler === runtimeClass(previous).handler ? [] : [fieldInvalid('handler', handler, 'field is immutable')];
  },
});

const limitRangeKind = row({
  group: '',
  kind: 'LimitRange',
  resource: 'limitranges',
  shortNames: ['limits'],
  namespaced: true,
  defaults(draft) {
    for (const item of limitRange(draft).spec?.limits ?? []) {
      if (item.type !== 'Container') continue;
      item._default = { ...item.max, ...defaultOf(item) };
      item.defaultRequest = { ...item.min, ...item._default, ...item.defaultRequest };
      setDefaultOf(item, item._default);
      for (const field of ['defaultRequest'] as const)
        if (Object.keys(item[field] ?? {}).length === 0) delete item[field];
    }
  },
  validate(object) {
    const errors: FieldError[] = [];
    const seen = new Set<string>();
    for (const [i, item] of (limitRange(object).spec?.limits ?? []).entries()) {
      const at = `spec.limits[${i}]`;
      if (seen.has(item.type)) errors.push(fieldDuplicate(`${at}.type`, item.type));
      seen.add(item.type);
      errors.push(...validateLimits(item, at));
    }
    return errors;
  },
});

/** The client's types call this field `_default`, the API does not. */
export function defaultOf(item: Wire<V1LimitRangeItem>): Record<string, string> | undefined {
  return (item as { default?: Record<string, string> }).default;
}

function setDefaultOf(item: Wire<V1LimitRangeItem>, value: Record<string, string>): void {
  delete item._default;
  if (Object.keys(value).length > 0) (item as { default?: Record<string, string> }).default = value;
}

function validateLimits(item: Wire<V1LimitRangeItem>, at: string): FieldError[] {
  const errors: FieldError[] = [];
  const limits = defaultOf(item) ?? {};
  const { min = {}, max = {}, defaultRequest = {} } = item;
  const more = (a: string | undefined, b: string | undefined) =>
    a !== undefined && b !== undefined && Quantity.parse(a).nanos > Quantity.parse(b).nanos;
  const names = new Set([min, max, limits, defaultRequest].flatMap((list) => Object.keys(list)));
  for (const name of [...names].sort()) {
    const [low, high, limit, request] = [min[name], max[name], limits[name], defaultRequest[name]];
    const check = (field: string, value: string | undefined, wrong: boolean, why: string) => {
      if (wrong) errors.push(fieldInvalid(`${at}.${field}[${name}]`, value, why));
    };
    check('min', low, more(low, high), `min value ${low} is greater than max value ${high}`);
    check(
      'defaultRequest',
      request,
      more(low, request),
      `min value ${low} is greater than default request value ${request}`,
    );
    check(
      'defaultRequest',
      request,
      more(request, high),
      `default request value ${request} is greater than max value ${high}`,
    );
    check(
      'defaultRequest',
      request,
      more(request, limit),
      `default request value ${request} is greater than default limit value ${limit}`,
    );
    check('default', low, more(low, limit), `min value ${low} is greater than default value ${limit}`);
    check('default', high, more(limit, high), `default value ${limit} is greater than max value ${high}`);
  }
  return errors;
}

const countableObjects = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
];
const computeResources = ['cpu', 'memory', 'ephemeral-storage'];

const resourceQuotaKind = row({
  group: '',
  kind: 'ResourceQuota',
  resource: 'resourcequotas',
  shortNames: ['quota'],
  namespaced: true,
  status: true,
  returnsDeleted: true,
  columns: [
    nameColumn,
    { name: 'Request', cell: (o) => usageText(o, (name) => !name.startsWith('limits.')) },
    { name: 'Limit', cell: (o) => usageText(o, (name) => name.startsWith('limits.')) },
    ageColumn,
  ],
  prepareCreate(draft) {
    draft['status'] = {};
  },
  validate(object) {
    const errors: FieldError[] = [];
    for (const [name, value] of Object.entries(quota(object).spec?.hard ?? {})) {
      const at = `spec.hard[${name}]`;
      if (!isQuotaResource(name)) {
        if (!name.includes('/'))
          errors.push(fieldInvalid(at, name, 'must be a standard resource type or fully qualified'));
        errors.push(fieldInvalid(at, name, 'must be a standard resource for quota'));
      }
      const { nanos } = Quantity.parse(value);
      if (nanos < 0n) errors.push(fieldInvalid(at, value, 'must be greater than or equal to 0'));
      else if (isCount(name) && nanos % 1_000_000_000n !== 0n)
        errors.push(fieldInvalid(at, value, 'must be an integer'));
    }
    return errors;
  },
  validateUpdate: (next, previous) =>
    equalJson(quota(next).spec?.scopes, quota(previous).spec?.scopes)
      ? []
      : [fieldInvalid('spec.scopes', quota(next).spec?.scopes, 'field is immutable')],
});

function isCount(name: string): boolean {
  return countableObjects.includes(name) || name.startsWith('count/');
}

function isQuotaResource(name: string): boolean {
  const base = name.replace(/^(requests|limits)\./, '');
  return (
    isCount(name) ||
    computeResources.includes(base) ||
    name === 'requests.storage' ||
    name.includes('.storageclass.storage.k8s.io/') ||
    (name.startsWith('requests.') && base.includes('/')) ||
    /^(requests\.|limits\.)?hugepages-/.test(name)
  );
}

function usageText(object: ApiObject, wanted: (name: string) => boolean): string {
  const { hard = {}, used = {} } = quota(object).status ?? {};
  return Object.keys(hard)
    .filter(wanted)
    .sort()
    .map((name) => `${name}: ${used[name] ?? '0'}/${hard[name]}`)
    .join(', ');
}

export const policyKinds: readonly Kind[] = [
  limitRangeKind,
  resourceQuotaKind,
  podDisruptionBudgetKind,
  horizontalPodAutoscalerKind,
  priorityClassKind,
  runtimeClassKind,
];
