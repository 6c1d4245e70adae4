import type { KubeNode } from '../core/objects.ts';
import type { JsonObject } from './json.ts';
import { notReadyTaint } from './kinds/node.ts';
import { kindNamed } from './kinds/table.ts';
import type { Registry } from './registry.ts';

const nodes = kindNamed('Node');

/**
 * Keeps the not-ready taint in step with a node's Ready condition, as the node lifecycle controller does. It watches
 * no leases: a node whose daemon died stays as it last said it was.
 */
export class NodeController {
  readonly #registry: Registry;
  #stop: (() => void) | undefined;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  start(): void {
    const { store } = this.#registry;
    this.#stop = store.subscribe(nodes, store.version, ({ type, object }) => {
      if (type !== 'DELETED' && wrong(object)) setImmediate(() => this.#correct(object.metadata.name));
    });
  }

  stop(): void {
    this.#stop?.();
  }

  #correct(name: string): void {
    const node = this.#registry.store.get(nodes, undefined, name) as unknown as KubeNode | undefined;
    if (node === undefined || !wrong(node)) return;
    const others = (node.spec?.taints ?? []).filter((taint) => !isNotReady(taint));
    const taints = isReady(node) ? others : [...others, notReadyTaint];
    this.#registry.change(nodes, undefined, name, undefined, (current) => ({
      ...current,
      spec: { ...(current['spec'] as JsonObject), taints: taints as unknown as JsonObject[] },
    }));
  }
}

function wrong(node: KubeNode): boolean {
  return isReady(node) === (node.spec?.taints ?? []).some(isNotReady);
}

function isReady({ status }: KubeNode): boolean {
  return status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') === true;
}

function isNotReady({ key, effect }: { key: string; effect: string }): boolean {
  return key === notReadyTaint.key && effect === notReadyTaint.effect;
}
