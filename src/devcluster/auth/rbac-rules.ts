/** What one rule of RBAC covers. Follows pkg/apis/rbac/v1/evaluation_helpers.go. */
import type { PolicyRule } from '../kinds/rbac.ts';
import type { Attributes } from './attributes.ts';

type Words = readonly string[] | null | undefined;

/** A rule as it is stored, or as a test writes one. */
export interface Rule {
  readonly verbs: Words;
  readonly apiGroups?: Words;
  readonly resources?: Words;
  readonly resourceNames?: Words;
  readonly nonResourceURLs?: Words;
}

export function ruleAllows(rule: Rule, attributes: Attributes): boolean {
  if (!includes(rule.verbs, attributes.verb)) return false;
  if ('path' in attributes) return (rule.nonResourceURLs ?? []).some((url) => urlCovers(url, attributes.path));
  const { group, resource, subresource, name } = attributes;
  const resourceNames = rule.resourceNames ?? [];
  return (
    includes(rule.apiGroups, group) &&
    (rule.resources ?? []).some((spec) => resourceCovers(spec, resource, subresource)) &&
    (resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name)))
  );
}

/** `/healthz`, `/api/*`, `*`. */
function urlCovers(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.replace(/\*+$/, '')));
}

/** `pods`, `pods/log`, all subresources of one name by a star before the slash, everything by a star alone. */
function resourceCovers(spec: string, resource: string, subresource: string | undefined): boolean {
  if (spec === '*') return true;
  if (subresource === undefined) return spec === resource;
  return spec === `${resource}/${subresource}` || spec === `*/${subresource}`;
}

function includes(list: Words, wanted: string): boolean {
  return (list ?? []).some((item) => item === '*' || item === wanted);
}

/**
 * The rights in `wanted` that `owned` does not have, each as a rule of one right. Follows
 * k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go.
 */
export function uncovered(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(atoms).filter((atom) => !owned.some((rule) => covers(rule, atom)));
}

function atoms({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule) {
  const result: PolicyRule[] = [];
  for (const group of apiGroups)
    for (const resource of resources)
      for (const verb of verbs ?? []) {
        const one = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) result.push(one);
        for (const name of resourceNames) result.push({ ...one, resourceNames: [name] });
      }
  for (const url of nonResourceURLs)
    for (const verb of verbs ?? []) result.push({ verbs: [verb], nonResourceURLs: [url] });
  return result;
}

/** True when the rule gives the one right that `atom` stands for. */
function covers(rule: PolicyRule, atom: PolicyRule): boolean {
  const has = (list: Words, wanted: string | undefined) => wanted !== undefined && includes(list, wanted);
  if (!has(rule.verbs, atom.verbs[0])) return false;
  if (atom.nonResourceURLs !== undefined) {
    const [url = ''] = atom.nonResourceURLs;
    return (rule.nonResourceURLs ?? []).some((owned) => urlCovers(owned, url));
  }
  const [resource = ''] = atom.resources ?? [];
  const subresource = resource.split('/')[1];
  const resourceOwned = (rule.resources ?? []).some(
    (owned) => owned === '*' || owned === resource || (subresource !== undefined && owned === `*/${subresource}`),
  );
  const { resourceNames = [] } = rule;
  const [name] = atom.resourceNames ?? [];
  return (
    has(rule.apiGroups, atom.apiGroups?.[0]) &&
    resourceOwned &&
    (resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name)))
  );
}

/** Rules that differ only in their verbs (or, of one verb, in nothing else) put together, for people to read. */
export function compact(rules: readonly PolicyRule[]): PolicyRule[] {
  const byTarget = new Map<string, PolicyRule>();
  for (const { verbs, ...target } of rules) {
    const key = JSON.stringify(target);
    const known = byTarget.get(key);
    byTarget.set(key, { verbs: [...new Set([...(known?.verbs ?? []), ...verbs])], ...target });
  }
  return [...byTarget.values()];
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`: how messages show a rule. */
export function ruleText({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): string {
  const parts = Object.entries({
    APIGroups: apiGroups,
    Resources: resources,
    ResourceNames: resourceNames,
    NonResourceURLs: nonResourceURLs,
    Verbs: verbs,
  })
    .filter(([, list]) => (list ?? []).length > 0)
    .map(([name, list]) => `${name}:[${(list ?? []).map((item) => JSON.stringify(item)).join(' ')}]`);
  return `{${parts.join(', ')}}`;
}
