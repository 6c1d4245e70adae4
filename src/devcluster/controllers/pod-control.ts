import { messageOf } from '../../core/errors.ts';
import type { Pod } from '../../core/objects.ts';
import type { AnyObject } from './cluster-objects.ts';
import type { ControllerContext } from './controller.ts';
import type { OwnerReference, PodTemplate } from './types.ts';

/** An object that can own others. */
export type Owner = AnyObject & { readonly apiVersion?: string | undefined };

/** The reference of what `owner` controls (metav1.NewControllerRef). */
export function controllerReference({ kind, apiVersion, metadata: { name, uid } }: Owner): OwnerReference {
  return {
    apiVersion: apiVersion ?? '',
    kind: kind ?? '',
    name,
    uid,
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** A pod from a template, as its controller creates it (GetPodFromTemplate in pkg/controller/controller_utils.go). */
export function podFromTemplate(
  owner: Owner,
  { metadata, spec }: PodTemplate,
): { metadata: Partial<Pod['metadata']>; spec: Pod['spec'] } {
  const { labels, annotations, finalizers } = metadata ?? {};
  return {
    metadata: {
      generateName: `${owner.metadata.name}-`,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: spec as Pod['spec'],
  };
}

/** Creates and deletes the pods of a controller and says so in events. Follows RealPodControl. */
export class PodControl {
  readonly #context: ControllerContext;
  readonly #component: string;

  constructor(context: ControllerContext, component: string) {
    this.#context = context;
    this.#component = component;
  }

  /** Errors are the API server's; they are recorded. */
  create(owner: Owner, pod: object): Pod {
    const { objects, events } = this.#context;
    try {
      const created = objects.create<Pod>('Pod', owner.metadata.namespace, pod);
      events.record(this.#component, owner, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`);
      return created;
    } catch (error) {
      if (!isNamespaceTerminating(error))
        events.record(this.#component, owner, 'Warning', 'FailedCreate', `Error creating: ${messageOf(error)}`);
      throw error;
    }
  }

  delete(owner: Owner, pod: Pod): void {
    const { objects, events } = this.#context;
    if (objects.delete(pod))
      events.record(this.#component, owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`);
  }
}

/** True when a write was refused because its namespace is going: there is nothing to do about it. */
export function isNamespaceTerminating(error: unknown): boolean {
  const { details } = error as { details?: { causes?: { reason?: string }[] } };
  return details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') === true;
}
