import { asRole } from '../kinds/rbac.ts';
import { kindNamed } from '../kinds/table.ts';
import { equalJson, type JsonObject } from '../json.ts';
import type { Registry } from '../registry.ts';
import { meets } from '../selectors.ts';

const clusterRoles = kindNamed('ClusterRole');

/**
 * Fills cluster roles that have an aggregation rule with the rules of the roles that it selects. Follows
 * pkg/controller/clusterroleaggregation.
 */
export class RoleAggregation {
  readonly #registry: Registry;
  #stop: (() => void) | undefined;
  #due = false;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  start(): void {
    const { store } = this.#registry;
    this.#stop = store.subscribe(clusterRoles, store.version, () => {
      if (this.#due) return;
      this.#due = true;
      setImmediate(() => {
        this.#due = false;
        if (this.#stop !== undefined) this.#aggregate();
      });
    });
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }

  #aggregate(): void {
    const all = this.#registry.store.list(clusterRoles);
    for (const object of all) {
      const { aggregationRule, rules } = asRole(object);
      if (aggregationRule === undefined) continue;
      const { name } = object.metadata;
      const selected = all.filter(
        ({ metadata }) =>
          metadata.name !== name &&
          (aggregationRule.clusterRoleSelectors ?? []).some(
            ({ matchLabels = {}, matchExpressions = [] }) =>
              Object.entries(matchLabels).every(([key, value]) => metadata.labels?.[key] === value) &&
              matchExpressions.every(({ key, operator, values = [] }) =>
                meets({ key, operator, values }, metadata.labels?.[key]),
              ),
          ),
      );
      const texts = new Set(selected.flatMap((role) => (asRole(role).rules ?? []).map((rule) => JSON.stringify(rule))));
      const wanted = [...texts].map((text) => JSON.parse(text) as JsonObject);
      if (equalJson(wanted, rules ?? [])) continue;
      this.#registry.change(clusterRoles, undefined, name, undefined, (current) => ({ ...current, rules: wanted }));
    }
  }
}
