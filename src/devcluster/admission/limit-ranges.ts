/** Defaults and bounds of what pods and claims ask for. Follows plugin/pkg/admission/limitranger/admission.go. */
import type { V1LimitRange, V1LimitRangeItem, V1PersistentVolumeClaim } from '@kubernetes/client-node';

import type { Container, Pod, PodSpec, Wire } from '../../core/objects.ts';
import { Quantity } from '../../core/quantity.ts';
import { forbidden } from '../api-error.ts';
import { defaultOf } from '../kinds/policy.ts';
import type { ResourceStore } from '../store.ts';
import type { AdmissionPlugin } from './admission.ts';

type Item = Wire<V1LimitRangeItem>;
type Amounts = Readonly<Record<string, string>>;

interface Asked {
  readonly requests: Amounts;
  readonly limits: Amounts;
}

const limitRanges = { group: '', resource: 'limitranges' };

function itemsOf(store: ResourceStore, namespace: string): Item[] {
  return store
    .list(limitRanges, namespace)
    .flatMap((object) => (object as unknown as Wire<V1LimitRange>).spec?.limits ?? []);
}

/** Gives containers the requests and limits that they do not name, and says so in an annotation. */
export function applyLimitRanges(
  pod: { readonly annotations: Record<string, string> | undefined; readonly spec: PodSpec },
  namespace: string,
  store: ResourceStore,
): Record<string, string> | undefined {
  const notes: string[] = [];
  for (const object of store.list(limitRanges, namespace)) {
    for (const item of (object as unknown as Wire<V1LimitRange>).spec?.limits ?? []) {
      if (item.type !== 'Container') continue;
      for (const [list, kind] of [
        [pod.spec.containers, 'container'],
        [pod.spec.initContainers, 'init container'],
      ] as const) {
        for (const container of list ?? []) {
          for (const set of fillIn(container, item)) notes.push(`${set} for ${kind} ${container.name}`);
        }
      }
    }
    if (notes.length > 0)
      return {
        ...pod.annotations,
        'kubernetes.io/limit-ranger': `LimitRanger plugin set: ${notes.join('; ')}`,
      };
  }
  return pod.annotations;
}

function fillIn(container: Container, item: Item): string[] {
  const resources = (container.resources ??= {});
  const notes: string[] = [];
  for (const [field, word, defaults] of [
    ['requests', 'request', item.defaultRequest],
    ['limits', 'limit', defaultOf(item)],
  ] as const) {
    const missing = Object.entries(defaults ?? {}).filter(([name]) => resources[field]?.[name] === undefined);
    if (missing.length === 0) continue;
    resources[field] = { ...resources[field], ...Object.fromEntries(missing) };
    notes.push(
      `${missing
        .map(([name]) => name)
        .sort()
        .join(', ')} ${word}`,
    );
  }
  return notes;
}

/** Refuses what is out of bounds. */
export function limitRangeBounds(store: ResourceStore): AdmissionPlugin {
  return {
    validate({ kind, namespace, name, object, operation, subresource }) {
      if (object === undefined || namespace === undefined || kind.group !== '') return;
      const isPod = kind.kind === 'Pod' && (operation === 'CREATE' || subresource === 'resize');
      const isClaim = kind.kind === 'PersistentVolumeClaim' && subresource === undefined;
      if (!isPod && !isClaim) return;
      const errors = itemsOf(store, namespace).flatMap((item) =>
        isPod
          ? podErrors((object as unknown as Pod).spec, item)
          : claimErrors(object as unknown as Wire<V1PersistentVolumeClaim>, item),
      );
      if (errors.length > 0)
        throw forbidden(kind, name, errors.length === 1 ? (errors[0] as string) : `[${errors.join(', ')}]`);
    },
  };
}

function claimErrors({ spec }: Wire<V1PersistentVolumeClaim>, item: Item): string[] {
  if (item.type !== 'PersistentVolumeClaim') return [];
  const requests = spec?.resources?.requests ?? {};
  const errors: string[] = [];
  for (const [name, low] of Object.entries(item.min ?? {}))
    if (less(requests[name], low)) errors.push(minimum(name, item.type, low, requests[name]));
  for (const [name, high] of Object.entries(item.max ?? {}))
    if (less(high, requests[name]))
      errors.push(`maximum ${name} usage per ${item.type} is ${high}, but request is ${requests[name]}`);
  return errors;
}

function podErrors(spec: PodSpec, item: Item): string[] {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  if (item.type === 'Container') return containers.flatMap((container) => boundErrors(askedBy(container), item));
  return item.type === 'Pod' ? boundErrors(askedByPod(spec), item) : [];
}

function askedBy({ resources }: Container): Asked {
  return { requests: resources?.requests ?? {}, limits: resources?.limits ?? {} };
}

/** The sum of the containers, or the largest init container where that is more. */
function askedByPod(spec: PodSpec): Asked {
  const total = (field: keyof Asked) => {
    const amounts: Record<string, Quantity> = {};
    for (const container of spec.containers)
      for (const [name, value] of Object.entries(askedBy(container)[field])) {
        const quantity = Quantity.parse(value);
        amounts[name] = amounts[name]?.add(quantity) ?? quantity;
      }
    for (const container of spec.initContainers ?? [])
      for (const [name, value] of Object.entries(askedBy(container)[field])) {
        const quantity = Quantity.parse(value);
        if (quantity.nanos > (amounts[name]?.nanos ?? 0n)) amounts[name] = quantity;
      }
    return Object.fromEntries(Object.entries(amounts).map(([name, value]) => [name, value.toString()]));
  };
  return { requests: total('requests'), limits: total('limits') };
}

function boundErrors({ requests, limits }: Asked, item: Item): string[] {
  const errors: string[] = [];
  for (const [name, low] of Object.entries(item.min ?? {})) {
    if (requests[name] === undefined)
      errors.push(`minimum ${name} usage per ${item.type} is ${low}.  No request is specified`);
    else if (less(requests[name], low)) errors.push(minimum(name, item.type, low, requests[name]));
    else if (less(limits[name], low))
      errors.push(`minimum ${name} usage per ${item.type} is ${low}, but limit is ${limits[name]}`);
  }
  for (const [name, high] of Object.entries(item.max ?? {})) {
    if (limits[name] === undefined)
      errors.push(`maximum ${name} usage per ${item.type} is ${high}.  No limit is specified`);
    else if (less(high, limits[name]))
      errors.push(`maximum ${name} usage per ${item.type} is ${high}, but limit is ${limits[name]}`);
    else if (less(high, requests[name]))
      errors.push(`maximum ${name} usage per ${item.type} is ${high}, but request is ${requests[name]}`);
  }
  for (const [name, most] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    const [request, limit] = [requests[name], limits[name]].map((value) =>
      value === undefined ? 0 : Number(Quantity.parse(value).nanos),
    );
    if (!request)
      errors.push(
        `${name} max limit to request ratio per ${item.type} is ${most}, but no request is specified or request is 0`,
      );
    else if (!limit)
      errors.push(
        `${name} max limit to request ratio per ${item.type} is ${most}, but no limit is specified or limit is 0`,
      );
    else if (limit / request > Number(Quantity.parse(most).nanos) / 1e9)
      errors.push(
        `${name} max limit to request ratio per ${item.type} is ${most}, but provided ratio is ${(limit / request).toFixed(6)}`,
      );
  }
  return errors;
}

function minimum(name: string, type: string, low: string, request: string | undefined): string {
  return `minimum ${name} usage per ${type} is ${low}, but request is ${request}`;
}

function less(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && b !== undefined && Quantity.parse(a).nanos < Quantity.parse(b).nanos;
}
